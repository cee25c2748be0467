//! Posts of a dump: Danbooru-style JSON lines, filters on them, and labels.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which posts are wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataFilter {
    /// JSON lines, one post each.
    pub posts: Option<PathBuf>,
    /// Tags that a post must have, all of them.
    pub include_tags: Vec<String>,
    /// Tags that a post must not have, none of them.
    pub exclude_tags: Vec<String>,
    /// Ratings that are accepted, by their first letter; any when empty.
    pub ratings: Vec<String>,
    /// Least score.
    pub min_score: Option<i64>,
}

impl MetadataFilter {
    /// Whether any post could be refused.
    pub fn is_active(&self) -> bool {
        !self.include_tags.is_empty()
            || !self.exclude_tags.is_empty()
            || !self.ratings.is_empty()
            || self.min_score.is_some()
    }

    /// Why a picture is not wanted; `None` when it is.
    pub fn refuse(&self, post: Option<&Post>) -> Option<String> {
        if !self.is_active() {
            return None;
        }
        let Some(post) = post else {
            return Some("no post in the metadata".to_owned());
        };
        if let Some(tag) = self
            .include_tags
            .iter()
            .find(|tag| !post.tags.contains(*tag))
        {
            return Some(format!("without the tag {tag}"));
        }
        if let Some(tag) = self
            .exclude_tags
            .iter()
            .find(|tag| post.tags.contains(*tag))
        {
            return Some(format!("has the tag {tag}"));
        }
        let is_rated = |wanted: &String| {
            wanted
                .chars()
                .next()
                .is_some_and(|c| Some(c.to_ascii_lowercase()) == post.rating)
        };
        if !self.ratings.is_empty() && !self.ratings.iter().any(is_rated) {
            let rating = post
                .rating
                .map_or_else(|| "unknown".to_owned(), String::from);
            return Some(format!("rating {rating}"));
        }
        if let Some(least) = self.min_score
            && post.score.is_none_or(|score| score < least)
        {
            return Some(
                post.score
                    .map_or_else(|| "no score".to_owned(), |score| format!("score {score}")),
            );
        }
        None
    }
}

/// What we keep of a post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Post {
    /// First letter of the rating: g, s, q, e.
    pub rating: Option<char>,
    /// Votes.
    pub score: Option<i64>,
    /// All tags.
    pub tags: HashSet<String>,
}

/// The posts of a metadata file, found by id or by MD5.
#[derive(Clone, Debug, Default)]
pub struct Posts {
    posts: Vec<Post>,
    by_id: HashMap<u64, usize>,
    by_md5: HashMap<String, usize>,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The file cannot be read.
    #[error("cannot read metadata '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is no post.
    #[error("metadata '{}' line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Filters or tag labels without posts.
    #[error("{0} needs posts: give them with --metadata posts.jsonl")]
    Missing(&'static str),
}

impl Posts {
    /// Reads JSON lines: `id`, `rating`, `score`, and tags as `tag_string` or as a list of strings or of `{"name": ...}`.
    ///
    /// Numbers may be written as strings. A later line of an id replaces the earlier.
    ///
    /// # Errors
    /// [`MetadataError`] naming the line.
    pub fn read(path: &Path) -> Result<Self, MetadataError> {
        let read = |source| MetadataError::Read {
            path: path.to_owned(),
            source,
        };
        let mut posts = Self::default();
        for (i, line) in BufReader::new(File::open(path).map_err(read)?)
            .lines()
            .enumerate()
        {
            let line = line.map_err(read)?;
            if !line.trim().is_empty() {
                posts.add(&line).map_err(|message| MetadataError::Line {
                    path: path.to_owned(),
                    line: i + 1,
                    message,
                })?;
            }
        }
        Ok(posts)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let object = value.as_object().ok_or("not an object")?;
        let integer = |key: &str| -> Option<i64> {
            let value = object.get(key)?;
            value
                .as_i64()
                .or_else(|| value.as_str()?.trim().parse().ok())
        };
        let mut tags: HashSet<String> = HashSet::new();
        for key in ["tag_string", "tags"] {
            match object.get(key) {
                Some(Value::String(text)) => {
                    tags.extend(text.split_whitespace().map(str::to_owned))
                }
                Some(Value::Array(list)) => {
                    tags.extend(list.iter().filter_map(|tag| {
                        tag.as_str()
                            .or_else(|| tag.get("name")?.as_str())
                            .map(str::to_owned)
                    }));
                }
                _ => {}
            }
        }
        let post = Post {
            rating: object
                .get("rating")
                .and_then(|r| r.as_str()?.chars().next())
                .map(|c| c.to_ascii_lowercase()),
            score: integer("score"),
            tags,
        };
        let idx = self.posts.len();
        let id = integer("id").and_then(|id| u64::try_from(id).ok());
        let md5 = object
            .get("md5")
            .and_then(|m| m.as_str())
            .map(str::to_ascii_lowercase);
        if id.is_none() && md5.is_none() {
            return Err("a post with neither 'id' nor 'md5'".to_owned());
        }
        if let Some(id) = id {
            self.by_id.insert(id, idx);
        }
        if let Some(md5) = md5 {
            self.by_md5.insert(md5, idx);
        }
        self.posts.push(post);
        Ok(())
    }

    /// The post of a picture, by its file name: an MD5 in it, else the whole stem as a number, else the last number of
    /// two digits or more (`danbooru_1234567.jpg`).
    pub fn find(&self, source: &str) -> Option<&Post> {
        let name = source.rsplit('/').next()?;
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let words = || stem.split(|c: char| !c.is_ascii_alphanumeric());
        let by_md5 = words()
            .filter(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit()))
            .find_map(|word| self.by_md5.get(&word.to_ascii_lowercase()));
        let by_id = || {
            let whole = stem.parse::<u64>().ok();
            let last = stem
                .split(|c: char| !c.is_ascii_digit())
                .rfind(|run| run.len() > 1)
                .and_then(|run| run.parse().ok());
            whole.or(last).and_then(|id| self.by_id.get(&id))
        };
        by_md5.or_else(by_id).map(|&idx| &self.posts[idx])
    }

    /// Number of posts.
    pub fn len(&self) -> usize {
        self.posts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }
}

/// What becomes a label: `folder`, or `tag:a,b,c`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LabelSource {
    /// The class is the number of the picture's folder among all folders of kept pictures, sorted.
    Folder,
    /// The class is the number of the first of these tags that the post has; pictures with none get the number after the last.
    Tags(Vec<String>),
}

impl FromStr for LabelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "folder" => Ok(Self::Folder),
            Some(("tag", tags)) if !tags.is_empty() => {
                let tags: Vec<String> = tags
                    .split(',')
                    .map(|t| t.trim().to_owned())
                    .filter(|t| !t.is_empty())
                    .collect();
                if tags.is_empty() {
                    Err("'tag:' names no tag".to_owned())
                } else {
                    Ok(Self::Tags(tags))
                }
            }
            _ => Err(format!("'{text}' is neither 'folder' nor 'tag:NAME,NAME'")),
        }
    }
}

impl fmt::Display for LabelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("folder"),
            Self::Tags(tags) => write!(f, "tag:{}", tags.join(",")),
        }
    }
}

impl TryFrom<String> for LabelSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LabelSource> for String {
    fn from(source: LabelSource) -> Self {
        source.to_string()
    }
}

impl LabelSource {
    /// The class of each source, and the names of the classes.
    pub fn classes(&self, sources: &[&str], posts: &Posts) -> (Vec<u32>, Vec<String>) {
        match self {
            Self::Folder => {
                let folder = |source: &str| {
                    source
                        .rsplit_once('/')
                        .map_or("", |(folder, _)| folder)
                        .to_owned()
                };
                let names: Vec<String> = sources
                    .iter()
                    .map(|s| folder(s))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect();
                let classes = sources
                    .iter()
                    .map(|s| {
                        names
                            .binary_search(&folder(s))
                            .map_or(0, |class| class as u32)
                    })
                    .collect();
                (classes, names)
            }
            Self::Tags(tags) => {
                let classes = sources
                    .iter()
                    .map(|s| {
                        let post = posts.find(s);
                        tags.iter()
                            .position(|t| post.is_some_and(|p| p.tags.contains(t)))
                            .unwrap_or(tags.len()) as u32
                    })
                    .collect();
                (
                    classes,
                    tags.iter()
                        .cloned()
                        .chain(["(none of them)".to_owned()])
                        .collect(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posts() -> Posts {
        let mut posts = Posts::default();
        for line in [
            r#"{"id": 101, "rating": "g", "score": 12, "tag_string": "1girl solo blue_hair"}"#,
            r#"{"id": "2021", "rating": "Sensitive", "score": "3", "tags": [{"id": "1", "name": "monochrome"}, {"name": "solo"}]}"#,
            r#"{"md5": "00112233445566778899AABBCCDDEEFF", "rating": "q", "tags": ["solo"]}"#,
        ] {
            posts.add(line).unwrap();
        }
        posts
    }

    #[test]
    fn posts_are_found_by_name() {
        let posts = posts();
        for name in ["0101/101.jpg", "a/danbooru_101.png", "101_p0.png"] {
            assert_eq!(posts.find(name).unwrap().score, Some(12), "{name}");
        }
        assert_eq!(
            posts
                .find("__miku__00112233445566778899aabbccddeeff.jpg")
                .unwrap()
                .rating,
            Some('q')
        );
        assert_eq!(posts.find("x/2021.jpg").unwrap().rating, Some('s'));
        assert!(posts.find("103.jpg").is_none() && posts.find("cover.jpg").is_none());
    }

    #[test]
    fn filters_say_why() {
        let posts = posts();
        let filter = MetadataFilter {
            include_tags: vec!["solo".into()],
            exclude_tags: vec!["monochrome".into()],
            ratings: vec!["g".into(), "questionable".into()],
            min_score: Some(5),
            ..MetadataFilter::default()
        };
        assert_eq!(filter.refuse(posts.find("101.jpg")), None);
        assert_eq!(
            filter.refuse(posts.find("2021.jpg")).unwrap(),
            "has the tag monochrome"
        );
        assert_eq!(filter.refuse(None).unwrap(), "no post in the metadata");
        let by_md5 = posts.find("00112233445566778899aabbccddeeff.png");
        assert_eq!(filter.refuse(by_md5).unwrap(), "no score");
        assert_eq!(MetadataFilter::default().refuse(None), None);
    }

    #[test]
    fn labels_are_numbered_by_name_or_by_list() {
        let posts = posts();
        let sources = ["b/101.jpg", "a/2021.jpg", "b/9.jpg"];
        let (classes, names) = LabelSource::Folder.classes(&sources, &posts);
        assert_eq!(
            (classes, names),
            (vec![1, 0, 1], vec!["a".to_owned(), "b".to_owned()])
        );
        let tags: LabelSource = "tag:blue_hair,solo".parse().unwrap();
        assert_eq!(tags.classes(&sources, &posts).0, [0, 1, 2]);
        assert!("tags:x".parse::<LabelSource>().is_err());
    }

    #[test]
    fn a_line_that_is_no_post_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"id\": 1}\n{\"rating\": \"g\"}\n").unwrap();
        let error = Posts::read(file.path()).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("'id'"),
            "{error}"
        );
    }
}
