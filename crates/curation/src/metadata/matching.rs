//! Finds the post of each input, or the reason why it has none.
//!
//! `members` reads which post a file names from the file's name and surroundings. Here these posts are looked up in the
//! metadata, and inputs without a post are classified.

use super::labels::LabelSource;
use super::members::{post_archives, readings};
use super::name::Reading;
use super::post::{Field, Post};
use super::posts::{Found, Posts, settle_ratings};
use super::sidecar::{Sidecar, Sidecars};
use super::{MetadataError, MetadataFilter, shorten, tags};
use crate::inputs::Entry;
use crate::record::Reason;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;

/// The post of each input.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    pub(super) posts: Posts,
    pub(super) of: Vec<Match>,
    pub(super) fields: Vec<Field>,
}

/// The result of matching one input with the posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Post(u32),
    /// There is no post; the text is the reason.
    None(&'static str),
    /// More than one post is possible, or a sidecar cannot be read; the text describes the problem.
    Unclear(String),
    /// The input is metadata or a text, not an image.
    Text,
    /// The input cannot be read, so it needs no post.
    Unreadable,
}

/// The value of `--metadata` that stands for a file beside each image.
const SIDECAR: &str = "sidecar";

const NO_POST: &str = "no post in the metadata";

impl Matches {
    /// Reads the metadata and finds the post of each entry.
    ///
    /// # Errors
    /// When metadata is asked for and missing, cannot be read, or lacks a field that a filter or label uses.
    pub fn find(
        entries: &[Entry],
        filter: &MetadataFilter,
        labels: Option<&LabelSource>,
    ) -> Result<Self, MetadataError> {
        filter.validate()?;
        let label_tags = match labels {
            Some(LabelSource::Tags(tags)) => tags.as_slice(),
            _ => &[],
        };
        let Some(path) = &filter.posts else {
            if filter.is_active() {
                return Err(MetadataError::Missing("a filter on tags, rating or score"));
            }
            if filter.id_pattern.is_some() {
                return Err(MetadataError::Missing("--id-pattern"));
            }
            if !label_tags.is_empty() {
                return Err(MetadataError::Missing("a label from tags"));
            }
            return Ok(Self::default());
        };
        let mut fields = filter.fields();
        if !label_tags.is_empty() && !fields.contains(&Field::Tags) {
            fields.push(Field::Tags);
        }
        let tags: HashSet<String> = filter
            .tags()
            .chain(label_tags.iter().map(|tag| tags::normalize(tag)))
            .collect();
        if path == Path::new(SIDECAR) {
            if filter.id_pattern.is_some() {
                tracing::warn!("--id-pattern has no use with --metadata sidecar");
            }
            return Self::sidecars(entries, fields, &tags);
        }
        let posts = Posts::read(path, &tags)?;
        for field in &fields {
            posts.require(*field)?;
        }
        let of = readings(entries, filter)
            .into_iter()
            .zip(entries)
            .map(|(named, entry)| {
                let found = match &named.reading {
                    Reading::Md5(md5) => posts.by_md5(*md5, named.site),
                    Reading::Id(id) => posts.by_id(id, named.site),
                    Reading::Nothing => Found::Nothing,
                    Reading::Unclear(text) => return outside(entry, Match::Unclear(text.clone())),
                };
                match found {
                    Found::Post(idx) => Match::Post(idx),
                    Found::Nothing => outside(entry, Match::None(NO_POST)),
                    Found::Several => {
                        let text = "posts of several boards or with one MD5".to_owned();
                        outside(entry, Match::Unclear(text))
                    }
                }
            })
            .collect();
        Ok(Self { posts, of, fields })
    }

    fn sidecars(
        entries: &[Entry],
        fields: Vec<Field>,
        tags: &HashSet<String>,
    ) -> Result<Self, MetadataError> {
        let sidecars = Sidecars::new(entries);
        let parents: Vec<Option<&str>> = post_archives(entries);
        let found: Vec<Sidecar> = entries
            .par_iter()
            .zip(parents)
            .map(
                |(entry, parent)| match outside(entry, Match::None(NO_POST)) {
                    Match::None(_) => sidecars.read(entry, parent),
                    _ => Sidecar::Missing,
                },
            )
            .collect();
        let mut posts = Vec::new();
        let mut of = Vec::with_capacity(entries.len());
        let (mut first_broken, mut first_line) = (None, None);
        for (entry, sidecar) in entries.iter().zip(found) {
            of.push(match sidecar {
                Sidecar::Post(mut post, shown) => {
                    first_line.get_or_insert(shown);
                    if let Some(found) = &mut post.tags {
                        found.retain(|tag| tags.contains(tag));
                    }
                    // The name of the image serves as the id of the post.
                    post.id = Some(entry.source.clone());
                    posts.push(*post);
                    Match::Post(posts.len() as u32 - 1)
                }
                Sidecar::Missing => outside(entry, Match::None("no sidecar file beside it")),
                Sidecar::Broken(name, message) => {
                    let text = format!("its sidecar '{name}': {message}");
                    first_broken.get_or_insert_with(|| text.clone());
                    outside(entry, Match::Unclear(text))
                }
            });
        }
        if posts.is_empty() && !entries.is_empty() && !fields.is_empty() {
            return Err(first_broken.map_or(MetadataError::NoSidecars, |text| {
                MetadataError::Kind {
                    path: SIDECAR.into(),
                    kind: format!("not readable: {}", shorten(&text)),
                }
            }));
        }
        settle_ratings(&mut posts);
        let posts = Posts::of_sidecars(posts, first_line.unwrap_or_default());
        if !entries.is_empty() {
            for field in &fields {
                posts.require(*field)?;
            }
        }
        Ok(Self { posts, of, fields })
    }

    /// The post of the input with index `input`.
    pub fn post(&self, input: usize) -> Option<&Post> {
        match self.of.get(input)? {
            Match::Post(idx) => self.posts.get(*idx),
            _ => None,
        }
    }

    /// Why each input is rejected before it is read; `None` for inputs that are accepted or cannot be read anyway.
    pub fn refused(
        &self,
        n_inputs: usize,
        filter: &MetadataFilter,
    ) -> Vec<Option<(Reason, String)>> {
        if !filter.is_active() {
            return vec![None; n_inputs];
        }
        let refuse = |found: &Match| match found {
            Match::Post(idx) => {
                let why = filter.refuse(self.posts.get(*idx)?)?;
                Some((Reason::Metadata, why))
            }
            Match::None(why) => Some((Reason::NoPost, (*why).to_owned())),
            Match::Unclear(why) => Some((Reason::NoPost, format!("no clear post: {why}"))),
            Match::Text => Some((Reason::NotAnImage, "metadata or a text".to_owned())),
            Match::Unreadable => None,
        };
        self.of.iter().map(refuse).collect()
    }
}

/// Extensions of files that are taken for text instead of images, if their content is not that of an image.
const TEXT_EXTENSIONS: &[&str] = &[
    "json", "jsonl", "ndjson", "txt", "csv", "tsv", "xml", "toml", "yaml", "yml", "md", "html",
    "htm", "log", "gz", "zst", "db", "sqlite", "ini", "url", "ds_store",
];

/// Returns the match of an entry without a post. This is `found`, unless the entry is unreadable or is itself metadata
/// or a text; a text is not an image that lacks a post.
fn outside(entry: &Entry, found: Match) -> Match {
    if entry.is_unreadable() {
        return Match::Unreadable;
    }
    let extension = entry
        .source
        .rsplit_once('.')
        .map_or("", |(_, e)| e)
        .to_ascii_lowercase();
    let is_text = TEXT_EXTENSIONS.contains(&extension.as_str())
        && entry
            .head()
            .is_ok_and(|head| decode::Format::sniff(&head).is_none());
    if is_text { Match::Text } else { found }
}
