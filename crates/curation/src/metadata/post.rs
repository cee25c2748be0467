//! One post of an image board, read from a JSON object.
//!
//! Boards and downloaders name and nest fields differently; every accepted form is a row in the tables of the tests.

use super::rating::Rating;
use super::site::Site;
use super::tags;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// The fields of a post that are used. A field is `None` when it is missing or not in a known form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Post {
    /// Identifier of the post on its board, mostly a number.
    pub id: Option<String>,
    /// MD5 of the post's file.
    pub md5: Option<u128>,
    /// The image board.
    pub site: Site,
    /// The rating.
    pub rating: Option<Rating>,
    /// Votes for the post less votes against it.
    pub score: Option<i64>,
    /// All tags in lower case, with `_` between words.
    pub tags: Option<HashSet<String>>,
}

/// A field that filters and labels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// [`Post::tags`].
    Tags,
    /// [`Post::rating`].
    Rating,
    /// [`Post::score`].
    Score,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "tags",
            Self::Rating => "a rating",
            Self::Score => "a score",
        })
    }
}

impl Post {
    /// Reads the fields of a JSON object; fields of an unknown form stay `None`.
    pub fn from_object(object: &Map<String, Value>) -> Self {
        let layers = layers(object);
        let find = |keys: &[&str]| -> Vec<&Value> {
            let values = keys
                .iter()
                .flat_map(|key| layers.iter().filter_map(|layer| layer.get(*key)));
            values.filter(|value| !value.is_null()).collect()
        };
        let found_tags = find_tags(&layers);
        let rating = find(&["rating", "safety"])
            .into_iter()
            .find_map(|value| Rating::parse(value.as_str()?))
            .or_else(|| {
                let tags = found_tags.as_ref()?;
                let mut ratings = tags.iter().filter(|tag| tag.starts_with("rating:"));
                let rating = Rating::parse(ratings.next()?)?;
                ratings.next().is_none().then_some(rating)
            });
        let score = find(&["score"]).into_iter().find_map(score).or_else(|| {
            let up = find(&["up_score"]).into_iter().find_map(integer)?;
            let down = find(&["down_score"]).into_iter().find_map(integer)?;
            up.checked_sub(down.checked_abs()?)
        });
        let urls = find(&[
            "file_url",
            "large_file_url",
            "sample_url",
            "preview_file_url",
            "preview_url",
            "url",
        ]);
        let urls: Vec<&str> = urls.into_iter().filter_map(Value::as_str).collect();
        let md5 = find(&["md5", "hash", "checksumMD5"])
            .into_iter()
            .find_map(|value| parse_md5(value.as_str()?))
            .or_else(|| urls.first().and_then(|url| md5_of_url(url)));
        let site = find(&["category", "site"])
            .into_iter()
            .find_map(|value| Site::from_word(&value.as_str()?.to_ascii_lowercase()))
            .or_else(|| urls.iter().find_map(|url| Site::from_url(url)));
        Self {
            id: find(&["id", "post_id"]).into_iter().find_map(id),
            md5,
            site: site.unwrap_or_default(),
            rating,
            score,
            tags: found_tags,
        }
    }

    /// Whether the post has a value for `field`.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Tags => self.tags.is_some(),
            Field::Rating => self.rating.is_some(),
            Field::Score => self.score.is_some(),
        }
    }
}

/// Returns the object itself, then the nested objects with fields of the same post: `file` (e621), `post`, and in the
/// files of waifuc an object under the name of the board.
fn layers(object: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let mut layers = vec![object];
    for (key, value) in object {
        if let Some(inner) = value.as_object()
            && (matches!(key.as_str(), "file" | "post") || Site::from_word(key).is_some())
        {
            layers.push(inner);
        }
    }
    layers
}

fn find_tags(layers: &[&Map<String, Value>]) -> Option<HashSet<String>> {
    let mut tags = HashSet::new();
    let mut is_understood = false;
    for (key, value) in layers.iter().copied().flatten() {
        let found = if key == "tag_string" || key.starts_with("tag_string_") {
            // Split at white space only, since such a tag may contain a comma.
            value
                .as_str()
                .map(|text| text.split_whitespace().map(tags::normalize).collect())
        } else if key == "tags" || key.starts_with("tags_") {
            tags_of(value, 0)
        } else {
            continue;
        };
        match found {
            Some(found) => {
                is_understood = true;
                tags.extend(found.into_iter().filter(|tag: &String| !tag.is_empty()));
            }
            // A `tags` of unknown form may contain any tag, so the post's tags are unknown whatever the other fields
            // say; `null` contains none.
            None if !value.is_null() && key == "tags" => return None,
            None => {}
        }
    }
    is_understood.then_some(tags)
}

/// Returns the tags in a text, in a list of texts or objects, in an object whose values have one of these forms, or in
/// an object that maps tags to weights. `None` when any part has another form. `depth` is the number of objects around
/// `value`.
fn tags_of(value: &Value, depth: usize) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(tags::split(text)),
        Value::Array(list) => {
            let mut tags = Vec::with_capacity(list.len());
            for item in list {
                match item {
                    Value::String(tag) => tags.push(tags::normalize(tag)),
                    Value::Object(object) => tags.extend(names_of(object)?),
                    _ => return None,
                }
            }
            Some(tags)
        }
        Value::Object(object) if depth < 2 && !object.is_empty() => {
            if object.values().all(Value::is_number) {
                return Some(object.keys().map(|tag| tags::normalize(tag)).collect());
            }
            let mut tags = Vec::new();
            let mut is_understood = false;
            for value in object.values().filter(|value| !value.is_null()) {
                tags.extend(tags_of(value, depth + 1)?);
                is_understood = true;
            }
            is_understood.then_some(tags)
        }
        _ => None,
    }
}

/// All names and translations of one tag that is given as an object.
fn names_of(object: &Map<String, Value>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for key in [
        "name",
        "tag",
        "tag_name",
        "tagName",
        "name_en",
        "translated_name",
        "names",
    ] {
        match object.get(key) {
            Some(Value::String(name)) => names.push(tags::normalize(name)),
            Some(Value::Array(list)) => {
                names.extend(list.iter().filter_map(Value::as_str).map(tags::normalize));
            }
            _ => {}
        }
    }
    (!names.is_empty()).then_some(names)
}

/// An integer, written as `3`, `3.0`, `"3"` or `"3.0"`; fractions are truncated.
fn integer(value: &Value) -> Option<i64> {
    let float = |v: f64| (v.is_finite() && v.abs() < 9e15).then_some(v as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| float(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| float(text.parse().ok()?))
        }
        _ => None,
    }
}

/// The score of a post: a number, or an object with `total`, or with `up` and `down`.
fn score(value: &Value) -> Option<i64> {
    let Some(object) = value.as_object() else {
        return integer(value);
    };
    if let Some(total) = object.get("total").and_then(integer) {
        return Some(total);
    }
    let up = object.get("up").and_then(integer)?;
    up.checked_sub(object.get("down").and_then(integer)?.checked_abs()?)
}

fn is_path(text: &str) -> bool {
    text.contains(['/', '\\'])
}

/// Returns the id of a post as text: numbers without a fraction, other texts as they are. `None` for a path, since
/// caption files of training programs have paths as ids.
fn id(value: &Value) -> Option<String> {
    let whole = |v: f64| (v.fract() == 0.0 && (0.0..9e15).contains(&v)).then(|| format!("{v:.0}"));
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(id) => Some(id.to_string()),
            None => whole(number.as_f64()?),
        },
        Value::String(text) => {
            let text = text.trim();
            if let Ok(id) = text.parse::<u64>() {
                return Some(id.to_string());
            }
            let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let decimal = is_decimal.then(|| text.parse().ok().and_then(whole));
            decimal
                .flatten()
                .or_else(|| (!text.is_empty() && !is_path(text)).then(|| text.to_owned()))
        }
        _ => None,
    }
}

/// Parses an MD5 of 32 hexadecimal digits.
pub(super) fn parse_md5(text: &str) -> Option<u128> {
    let is_md5 = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_md5
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// The MD5 in the file name of a URL: boards name original files by their MD5.
fn md5_of_url(url: &str) -> Option<u128> {
    let name = url.split(['?', '#']).next()?.rsplit('/').next()?;
    parse_md5(name.split('.').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(json: &str) -> Post {
        let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{json}: {e}"));
        Post::from_object(value.as_object().unwrap())
    }

    #[test]
    fn tags_are_read_in_every_form() {
        for (json, expected) in [
            (r#"{"tag_string": "1girl solo"}"#, Some("1girl solo")),
            (
                r#"{"tag_string_general": "1girl", "tag_string_meta": "highres"}"#,
                Some("1girl highres"),
            ),
            (
                r#"{"tag_string_general": "1girl", "tag_string_artist": "", "tags": null}"#,
                Some("1girl"),
            ),
            (
                r#"{"tag_string": null, "tag_string_general": "comic"}"#,
                Some("comic"),
            ),
            (
                r#"{"tag_string": "hello,_world comic"}"#,
                Some("comic hello,_world"),
            ),
            (r#"{"tags": "1girl solo"}"#, Some("1girl solo")),
            (r#"{"tags": " 1girl solo "}"#, Some("1girl solo")),
            (r#"{"tags": "1girl, long hair"}"#, Some("1girl long_hair")),
            (
                r#"{"tags": ["1girl", "long hair"]}"#,
                Some("1girl long_hair"),
            ),
            (
                r#"{"tags": [{"id": "1", "name": "1girl"}, {"name": "solo", "category": 0}]}"#,
                Some("1girl solo"),
            ),
            (r#"{"tags": [{"tag": "a"}, "b"]}"#, Some("a b")),
            (r#"{"tags": [{"names": ["a", "b"]}]}"#, Some("a b")),
            (
                r#"{"tags": [{"name": "x", "translated_name": "y"}]}"#,
                Some("x y"),
            ),
            (
                r#"{"tags": {"general": ["1girl"], "species": [], "meta": ["hi_res"]}}"#,
                Some("1girl hi_res"),
            ),
            (
                r#"{"tags": {"general": "1girl solo", "artist": null}}"#,
                Some("1girl solo"),
            ),
            (
                r#"{"tags": {"general": [{"name": "1girl"}]}}"#,
                Some("1girl"),
            ),
            (r#"{"tags": {"tags": [{"tag": "a"}]}}"#, Some("a")),
            (
                r#"{"tags": {"1girl": 0.99, "solo": 1}}"#,
                Some("1girl solo"),
            ),
            (
                r#"{"tags": ["&gt;_&lt;", "don&#039;t"]}"#,
                Some(">_< don't"),
            ),
            (
                r#"{"tags_general": ["1girl"], "tags_artist": "x y"}"#,
                Some("1girl x y"),
            ),
            (
                r#"{"danbooru": {"tag_string": "comic"}, "filename": "x"}"#,
                Some("comic"),
            ),
            (r#"{"tags": []}"#, Some("")),
            (r#"{"tags": ""}"#, Some("")),
            (r#"{"tags": null}"#, None),
            (r#"{"tags": {}}"#, None),
            (r#"{"tags": [1, 2]}"#, None),
            (r#"{"tags": ["a", 2]}"#, None),
            (r#"{"tags": [{"x": 1}]}"#, None),
            (r#"{"tags": 5}"#, None),
            (r#"{"tag_string": "", "tags": [1, 2]}"#, None),
            (r#"{"id": 1}"#, None),
        ] {
            let expected = expected.map(|text| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<HashSet<_>>()
            });
            assert_eq!(post(json).tags, expected, "{json}");
        }
    }

    #[test]
    fn ratings_are_read_in_every_form() {
        for (json, expected) in [
            (r#"{"rating": "g"}"#, Some(Rating::General)),
            (r#"{"rating": "General"}"#, Some(Rating::General)),
            (r#"{"rating": "s"}"#, Some(Rating::S)),
            (r#"{"rating": "safe"}"#, Some(Rating::Safe)),
            (r#"{"rating": "Sensitive"}"#, Some(Rating::Sensitive)),
            (r#"{"rating": "Questionable"}"#, Some(Rating::Questionable)),
            (r#"{"rating": "E"}"#, Some(Rating::Explicit)),
            (r#"{"rating": "rating:explicit"}"#, Some(Rating::Explicit)),
            (r#"{"tags": "solo rating:q"}"#, Some(Rating::Questionable)),
            (r#"{"tags": "rating:q rating:g"}"#, None),
            (r#"{"safety": "unsafe"}"#, Some(Rating::Explicit)),
            (r#"{"danbooru": {"rating": "e"}}"#, Some(Rating::Explicit)),
            (r#"{"rating": "great"}"#, None),
            (r#"{"rating": "", "x": 1}"#, None),
            (r#"{"rating": null}"#, None),
            (r#"{"rating": 1}"#, None),
        ] {
            assert_eq!(post(json).rating, expected, "{json}");
        }
    }

    #[test]
    fn scores_and_ids_are_read_in_every_form() {
        for (json, score) in [
            (r#"{"score": 5}"#, Some(5)),
            (r#"{"score": -5}"#, Some(-5)),
            (r#"{"score": 5.0}"#, Some(5)),
            (r#"{"score": "5"}"#, Some(5)),
            (r#"{"score": " 5.0 "}"#, Some(5)),
            (r#"{"score": {"up": 7, "down": -2, "total": 5}}"#, Some(5)),
            (r#"{"score": {"up": 7, "down": -2}}"#, Some(5)),
            (r#"{"up_score": 7, "down_score": 2}"#, Some(5)),
            (r#"{"score": "many"}"#, None),
            (r#"{"score": null}"#, None),
            (r#"{"score": {"x": 1}}"#, None),
        ] {
            assert_eq!(post(json).score, score, "{json}");
        }
        for (json, id) in [
            (r#"{"id": 1000001}"#, Some("1000001")),
            (r#"{"id": 1000001.0}"#, Some("1000001")),
            (r#"{"id": "1000001"}"#, Some("1000001")),
            (r#"{"id": "1000001.0"}"#, Some("1000001")),
            (r#"{"id": "01000001"}"#, Some("1000001")),
            (r#"{"id": 1e6}"#, Some("1000000")),
            (r#"{"id": "aBc"}"#, Some("aBc")),
            (r#"{"id": "/data/in/6300001.png"}"#, None),
            (r#"{"id": "in\\\\6300001.png"}"#, None),
            (r#"{"post_id": 7}"#, Some("7")),
            (r#"{"id": 1.5}"#, None),
            (r#"{"id": -1}"#, None),
            (r#"{"id": null}"#, None),
        ] {
            assert_eq!(post(json).id.as_deref(), id, "{json}");
        }
    }

    #[test]
    fn posts_of_the_boards() {
        let md5 = "00112233445566778899aabbccddeeff";
        let e621 = post(&format!(
            r#"{{"id": 9, "file": {{"ext": "png", "md5": "{md5}", "url": "https://static1.e621.net/data/00/11/{md5}.png"}},
                "score": {{"up": 3, "down": -1, "total": 2}}, "tags": {{"general": ["solo"]}}, "rating": "s"}}"#
        ));
        assert_eq!(e621.md5, parse_md5(md5));
        assert_eq!((e621.score, e621.rating), (Some(2), Some(Rating::S)));
        assert_eq!(Some(e621.site), Site::from_word("e621"));
        let gelbooru = post(&format!(
            r#"{{"id": 9, "md5": "{md5}", "file_url": "https://img3.gelbooru.com/images/x.jpg", "tags": "solo", "rating": "general"}}"#
        ));
        assert_eq!(Some(gelbooru.site), Site::from_word("gelbooru"));
        let moebooru = post(&format!(
            r#"{{"id": 9, "author": "x", "file_url": "https://files.yande.re/image/{md5}/yande.re%209%20solo.jpg", "source": "https://i.pximg.net/1.jpg", "rating": "s"}}"#
        ));
        assert_eq!(Some(moebooru.site), Site::from_word("yandere"));
        let gallery_dl =
            post(r#"{"category": "danbooru", "id": 9, "tags": ["solo"], "rating": "g"}"#);
        assert_eq!(Some(gallery_dl.site), Site::from_word("danbooru"));
        let by_url = post(&format!(
            r#"{{"file_url": "https://cdn.donmai.us/original/00/11/{md5}.png"}}"#
        ));
        assert_eq!(by_url.md5, parse_md5(md5));
    }
}
