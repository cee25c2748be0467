//! `dataset.json`: `{"labels": [["00000/img00000000.png", 3], ...]}`, with classes or vectors, or `{"labels": null}`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::aliases::Aliases;
use crate::label::Label;
use crate::labels_json;
use crate::problem::{Problem, ProblemKind};

/// The labels of a dataset, by the name of the sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    by_name: HashMap<String, Result<Label, String>>,
    /// Maps a name with `/` in place of `\` to the same name as it is in `by_name`; contains only names with `\`.
    by_path: HashMap<String, String>,
}

/// Labels in the order of the samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    /// Length of a label vector; 0 without labels.
    pub(crate) dim: usize,
    /// The labels as in `dataset.json`; empty without labels.
    ///
    /// One-hot vectors are made on demand: those of a million samples in 65,536 classes would take 262 GB.
    pub(crate) raw: Vec<Label>,
}

impl Labels {
    /// Parses the content of `dataset.json`; `"labels": null` gives no labels.
    ///
    /// Names may have `\` in place of `/`. A bad label of one image is not an error here; [`check`](crate::check)
    /// reports it by name.
    ///
    /// # Errors
    /// The reason, when the file does not have the form of `dataset.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let entries = labels_json::entries(bytes)?;
        let mut by_name = HashMap::with_capacity(entries.len());
        let mut by_path = HashMap::new();
        for (name, label) in entries {
            if name.contains('\\') {
                by_path.insert(with_slashes(&name).into_owned(), name.clone());
            }
            by_name.insert(name, label);
        }
        Ok(Self { by_name, by_path })
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The label of a sample; `None` if it has none or an invalid one.
    pub fn get(&self, name: &str) -> Option<&Label> {
        self.of(name, &Aliases::default())
    }

    pub(crate) fn of(&self, name: &str, aliases: &Aliases) -> Option<&Label> {
        self.find(name, aliases)?.1.as_ref().ok()
    }

    /// The entry of a sample. It is looked up, in this order, by the name of the sample with `/` in place of `\`, as in
    /// NVIDIA's loader; by the unchanged name; among entries that have `\` in place of `/` in their names; and by the
    /// alternative names of the sample.
    fn find(&self, name: &str, aliases: &Aliases) -> Option<(&String, &Result<Label, String>)> {
        let find = |name: &str| {
            let path = with_slashes(name);
            let found = self.by_name.get_key_value(path.as_ref());
            found
                .or_else(|| self.by_name.get_key_value(name))
                .or_else(|| self.by_name.get_key_value(self.by_path.get(path.as_ref())?))
        };
        let others = aliases.of(name).iter();
        find(name).or_else(|| others.map(String::as_str).find_map(find))
    }

    /// Names in `dataset.json` whose entries belong to none of the samples `names`, sorted.
    pub(crate) fn strangers(&self, names: &[String], aliases: &Aliases) -> Vec<String> {
        let used: HashSet<&String> = names
            .iter()
            .filter_map(|name| Some(self.find(name, aliases)?.0))
            .collect();
        let all = self.by_name.keys();
        let mut strangers: Vec<_> = all.filter(|name| !used.contains(name)).cloned().collect();
        strangers.sort_unstable();
        strangers
    }

    /// Labels in the order of `names`, or all problems with the labels.
    pub(crate) fn resolve(
        &self,
        names: &[String],
        aliases: &Aliases,
    ) -> Result<Resolved, Vec<Problem>> {
        if self.is_empty() {
            return Ok(Resolved::default());
        }
        let mut problems = Vec::new();
        let mut raw = Vec::with_capacity(names.len());
        let mut form = None;
        for name in names {
            let kind = match self.find(name, aliases).map(|(_, label)| label) {
                None => ProblemKind::MissingLabel,
                Some(Err(reason)) => ProblemKind::BadLabel(reason.clone()),
                Some(Ok(label)) => {
                    let expected = *form.get_or_insert(label.form());
                    if expected == label.form() {
                        raw.push(label.clone());
                        continue;
                    }
                    ProblemKind::BadLabel(format!(
                        "{}, not {}",
                        describe(label.form()),
                        describe(expected)
                    ))
                }
            };
            problems.push(Problem::new(name, kind));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Resolved::new(raw))
    }
}

impl Label {
    /// Form of the label, which all labels must share: `None` for a class, the length for a vector.
    fn form(&self) -> Option<usize> {
        match self {
            Self::Class(_) => None,
            Self::Vector(vector) => Some(vector.len()),
        }
    }
}

impl Resolved {
    fn new(raw: Vec<Label>) -> Self {
        let dim = raw.iter().map(|label| match label {
            Label::Class(class) => *class as usize + 1,
            Label::Vector(vector) => vector.len(),
        });
        let dim = dim.max().unwrap_or(0);
        Self { dim, raw }
    }

    /// The label vector of a sample, `[dim]`; empty without labels.
    pub(crate) fn vector(&self, i: usize) -> Cow<'_, [f32]> {
        match self.raw.get(i) {
            None => Cow::Borrowed(&[]),
            Some(Label::Vector(values)) => Cow::Borrowed(values),
            Some(Label::Class(class)) => {
                let mut vector = vec![0.0; self.dim];
                vector[*class as usize] = 1.0;
                Cow::Owned(vector)
            }
        }
    }
}

fn with_slashes(name: &str) -> Cow<'_, str> {
    match name.contains('\\') {
        true => name.replace('\\', "/").into(),
        false => name.into(),
    }
}

fn describe(form: Option<usize>) -> String {
    match form {
        None => "a class".to_owned(),
        Some(n) => format!("a vector of {n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{i}.png")).collect()
    }

    fn resolve(json: &str, n: usize) -> Result<Resolved, Vec<Problem>> {
        Labels::parse(json.as_bytes())
            .unwrap()
            .resolve(&names(n), &Aliases::default())
    }

    #[test]
    fn classes_become_one_hot_up_to_the_largest() {
        let labels = resolve(r#"{"labels": [["1.png", 0], ["0.png", 2]]}"#, 2).unwrap();
        let vectors = [labels.vector(0), labels.vector(1)].concat();
        assert_eq!(
            (labels.dim, vectors),
            (3, vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
        );
    }

    #[test]
    fn vectors_stay_as_they_are_and_null_is_none() {
        let labels = resolve(r#"{"labels": [["0.png", [0.5, -1]]]}"#, 1).unwrap();
        assert_eq!((labels.dim, &*labels.vector(0)), (2, &[0.5, -1.0][..]));
        assert_eq!(resolve(r#"{"labels": null}"#, 3).unwrap().dim, 0);
    }

    #[test]
    fn every_offender_is_named() {
        let json = r#"{"labels": [["0.png", 1], ["2.png", -1], ["3.png", [1]], ["4.png", "x"]]}"#;
        let problems = resolve(json, 5).unwrap_err();
        let offenders: Vec<_> = problems.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(offenders, ["1.png", "2.png", "3.png", "4.png"]);
    }

    #[test]
    fn a_million_samples_of_the_largest_class_take_no_memory_of_their_own() {
        let labels = Resolved::new(vec![Label::Class(65_535); 1_000_000]);
        assert_eq!(labels.dim, 65_536);
        assert_eq!(labels.vector(999_999).iter().sum::<f32>(), 1.0);
    }

    #[test]
    fn backslashes_are_separators_as_in_the_reference() {
        let labels = |json: &str| Labels::parse(json.as_bytes()).unwrap();
        let class = |json: &str, name: &str| labels(json).get(name).cloned();
        let slash = r#"{"labels": [["a/1.png", 1]]}"#;
        let backslash = r#"{"labels": [["a\\1.png", 2]]}"#;
        let both = r#"{"labels": [["a\\1.png", 2], ["a/1.png", 1]]}"#;
        // `labels[fname.replace("\\", "/")]`
        for (json, name, expected) in [
            (slash, "a\\1.png", 1),
            (slash, "a/1.png", 1),
            (backslash, "a/1.png", 2),
            (backslash, "a\\1.png", 2),
            (both, "a\\1.png", 1),
            (both, "a/1.png", 1),
        ] {
            assert_eq!(
                class(json, name),
                Some(Label::Class(expected)),
                "{json} {name}"
            );
        }
        let names = ["a\\1.png".to_owned()];
        let strangers = |json: &str| labels(json).strangers(&names, &Aliases::default());
        assert_eq!(strangers(slash), Vec::<String>::new());
        assert_eq!(strangers(backslash), Vec::<String>::new());
        assert_eq!(strangers(both), ["a\\1.png"]);
    }

    #[test]
    fn other_forms_are_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"labels": 3}"#,
            r#"{"labels": [["a.png"]]}"#,
        ] {
            assert!(Labels::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
