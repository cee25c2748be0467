//! Class labels of samples, from folders or tags.

use super::post::Post;
use super::tags::normalize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Source of class labels, written `folder` or `tag:a,b,c`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LabelSource {
    /// The class is the index of the image's folder in the sorted list of all folders of kept images.
    Folder,
    /// The class is the index of the first of these tags that the image's post has; an image with none of them gets the
    /// number of tags as its class.
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
    /// The class of each source, and the names of all classes. `posts` are the posts of the sources, in the same order.
    pub fn classes(&self, sources: &[&str], posts: &[Option<&Post>]) -> (Vec<u32>, Vec<String>) {
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
                let wanted: Vec<String> = tags.iter().map(|tag| normalize(tag)).collect();
                let classes = posts
                    .iter()
                    .map(|post| {
                        let found = post.and_then(|post| post.tags.as_ref());
                        wanted
                            .iter()
                            .position(|tag| found.is_some_and(|tags| tags.contains(tag)))
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

    fn post(tags: &[&str]) -> Post {
        Post {
            tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            ..Post::default()
        }
    }

    #[test]
    fn labels_are_numbered_by_name_or_by_list() {
        let posts = [post(&["solo", "blue_hair"]), post(&["solo"])];
        let posts = [Some(&posts[0]), Some(&posts[1]), None];
        let sources = ["b/101.jpg", "a/2021.jpg", "b/9.jpg"];
        let (classes, names) = LabelSource::Folder.classes(&sources, &posts);
        assert_eq!(
            (classes, names),
            (vec![1, 0, 1], vec!["a".to_owned(), "b".to_owned()])
        );
        let tags: LabelSource = "tag:Blue Hair,solo".parse().unwrap();
        assert_eq!(tags.classes(&sources, &posts).0, [0, 1, 2]);
        assert!("tags:x".parse::<LabelSource>().is_err());
    }
}
