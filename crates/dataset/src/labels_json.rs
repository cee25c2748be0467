//! Parses `dataset.json` entry by entry to names and labels, without a JSON tree of the whole file: the tree would take
//! ten times the memory of the text, and the file of 5 million images has 400 MB.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::label::Label;

/// The name of a sample, and its label or the description of what is wrong with it.
type Entry = (String, Result<Label, String>);

/// Largest accepted class: longer one-hot vectors are a mistake in the file, not a dataset.
const MAX_CLASS: u64 = 65_535;

/// Largest accepted length of a vector: a longer one is a mistake in the file, too.
const MAX_LENGTH: usize = MAX_CLASS as usize + 1;

/// The entries of `labels`, in the order of the file; empty for `null`.
///
/// # Errors
/// The reason, when the file does not have the form of `dataset.json`.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let labels = json.deserialize_any(Root).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())?;
    labels.ok_or_else(|| "there is no 'labels'".to_owned())
}

/// Implements the methods of a visitor for the listed kinds of values, all of which it refuses: each method consumes
/// the value and returns the result of the function `$value`, called with a text that describes the refused value.
macro_rules! others {
    (@ bool $value:expr) => {
        fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> { $value(v.to_string()) }
    };
    (@ number $value:expr) => {
        fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> { $value(v.to_string()) }
        fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> { $value(v.to_string()) }
        fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> { $value(format!("{v:?}")) }
    };
    (@ text $value:expr) => {
        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            $value(format!("{:?}", v.chars().take(40).collect::<String>()))
        }
    };
    (@ null $value:expr) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { $value("null".to_owned()) }
    };
    (@ list $value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            $value("a list".to_owned())
        }
    };
    (@ object $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            $value("an object".to_owned())
        }
    };
    ($value:expr; $($kind:ident)*) => {
        $(others!(@ $kind $value);)*
    };
}

/// Visitor of the whole file: its entries, or `None` when it has no `labels`.
struct Root;

impl<'de> Visitor<'de> for Root {
    type Value = Option<Vec<Entry>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    others!(|_| Ok(None); bool number text null list);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "labels" {
                labels = Some(map.next_value_seed(List)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(labels)
    }
}

/// Visitor of the value of `labels`: the entries.
struct List;

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'labels' that are a list or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    others!(|_| Err(Error::custom("'labels' is neither a list nor null")); bool number text object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element_seed(EntrySeed)? {
            let i = entries.len();
            entries.push(entry.ok_or_else(|| {
                A::Error::custom(format!("entry {i} of 'labels' is not [name, label]"))
            })?);
        }
        Ok(entries)
    }
}

/// Visitor of one entry `[name, label]`; `None` for a value of another form.
struct EntrySeed;

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = Option<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = Option<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[name, label]")
    }

    others!(|_| Ok(None); bool number text null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let name = list.next_element_seed(Name)?.flatten();
        let label = list.next_element_seed(LabelSeed)?;
        let mut is_longer = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            is_longer = true;
        }
        Ok(name.zip(label).filter(|_| !is_longer))
    }
}

/// Visitor of a name: its text, or `None` for a value that is not a string.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Some(v.to_owned()))
    }

    others!(|_| Ok(None); bool number null list object);
}

/// Visitor of a label: a class or a vector, or the description of what is wrong with it.
struct LabelSeed;

impl<'de> DeserializeSeed<'de> for LabelSeed {
    type Value = Result<Label, String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LabelSeed {
    type Value = Result<Label, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a class or a vector")
    }

    others!(|other| Ok(Err(format!("{other} is neither a class nor a vector"))); bool text null object);

    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        Ok(match v <= MAX_CLASS {
            true => Ok(Label::Class(v as u32)),
            false => no_class(v),
        })
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        Ok(no_class(v))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        Ok(no_class(format_args!("{v:?}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut vector = Vec::new();
        let (mut length, mut is_good) = (0usize, true);
        while let Some(number) = list.next_element_seed(Number)? {
            length += 1;
            match number.filter(|v| v.is_finite()) {
                Some(number) if is_good && length <= MAX_LENGTH => vector.push(number),
                Some(_) => {}
                None => is_good = false,
            }
        }
        Ok(if !is_good || length == 0 {
            Err("not a list of finite numbers".to_owned())
        } else if length > MAX_LENGTH {
            Err(format!(
                "a vector of {length} numbers, and at most {MAX_LENGTH} are read"
            ))
        } else {
            vector.shrink_to_fit();
            Ok(Label::Vector(vector))
        })
    }
}

fn no_class(found: impl fmt::Display) -> Result<Label, String> {
    Err(format!("{found} is not a class from 0 to {MAX_CLASS}"))
}

/// Visitor of a number; `None` for a value of another kind.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Option<f32>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = Option<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Some(v as f64 as f32))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Some(v as f64 as f32))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Some(v as f32))
    }

    others!(|_| Ok(None); bool text null list object);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_kind_are_told_apart() {
        let json =
            br#"{"x": {"y": [1]}, "labels": [["a", 3], ["b", [1, -0.5]], ["c", -1], ["d", 1.0],
            ["e", [1, "x"]], ["f", []], ["g", null], ["h", {"k": 1}], ["i", 70000]], "z": 1}"#;
        let found = entries(json).unwrap();
        let texts: Vec<String> = found
            .into_iter()
            .map(|(name, label)| match label {
                Ok(Label::Class(class)) => format!("{name} {class}"),
                Ok(Label::Vector(vector)) => format!("{name} {vector:?}"),
                Err(reason) => format!("{name}: {reason}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                "a 3",
                "b [1.0, -0.5]",
                "c: -1 is not a class from 0 to 65535",
                "d: 1.0 is not a class from 0 to 65535",
                "e: not a list of finite numbers",
                "f: not a list of finite numbers",
                "g: null is neither a class nor a vector",
                "h: an object is neither a class nor a vector",
                "i: 70000 is not a class from 0 to 65535",
            ]
        );
        assert_eq!(entries(br#"{"labels": null}"#).unwrap(), []);
    }

    #[test]
    fn other_forms_say_what_they_lack() {
        for (json, part) in [
            ("", "EOF"),
            ("[]", "no 'labels'"),
            ("{}", "no 'labels'"),
            (r#"{"labels": 3}"#, "neither a list nor null"),
            (r#"{"labels": {}}"#, "neither a list nor null"),
            (r#"{"labels": [["a", 1], ["b"]]}"#, "entry 1 of 'labels'"),
            (r#"{"labels": [["a", 1, 2]]}"#, "entry 0 of 'labels'"),
            (r#"{"labels": [[1, "a"]]}"#, "entry 0 of 'labels'"),
            (r#"{"labels": ["a"]}"#, "entry 0 of 'labels'"),
            (r#"{"labels": null} x"#, "trailing"),
        ] {
            let error = entries(json.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn a_vector_a_million_wide_is_a_bad_label() {
        let json = format!(r#"{{"labels": [["a", [{}1]]]}}"#, "1,".repeat(1_000_000));
        let found = entries(json.as_bytes()).unwrap();
        let reason = found[0].1.as_ref().unwrap_err();
        assert_eq!(
            reason,
            "a vector of 1000001 numbers, and at most 65536 are read"
        );
    }
}
