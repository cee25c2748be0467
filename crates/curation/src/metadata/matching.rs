//! Inputs and posts brought together: each input has one post or none, and it is known why.
//!
//! A file's post is read out of its own name (`name`), or out of its path by `--id-pattern`. Two rules on what is around
//! the file come before:
//!
//! * **Archives.** The members of an archive whose name names a post (`7654321.zip`, an animation's frames) follow that
//!   post. The archive is a shard instead, and members go by their own names, when all ids among its members are sharded by
//!   its number (`12.zip` with `1000012.png`, `0123.zip`, `d4.zip` with MD5s that begin with `d4`), or when its name names no
//!   post (`data-000.tar`). A member with an id of five digits or more in an archive of another post is unclear. In an
//!   archive without a post, numbers that run from 0 or 1 without a gap are pages.
//! * **Folders.** A number of up to four digits in a folder that names another post (`7654321/2.png`) may be a page of that
//!   post: unclear, unless the folder is a shard (`0012/12.png`).

use super::labels::LabelSource;
use super::name::{
    MAX_COUNTER_DIGITS, NamedPost, Reading, is_shard_of, read_name, site_of_folders,
};
use super::post::{Field, Post};
use super::posts::{Found, Posts, settle_ratings};
use super::sidecar::{Sidecar, Sidecars};
use super::site::Site;
use super::{MetadataError, MetadataFilter, shorten, tags};
use crate::inputs::Entry;
use crate::record::Reason;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// The post of each input.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    posts: Posts,
    of: Vec<Match>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Match {
    Post(u32),
    /// No post, and why.
    None(&'static str),
    /// More than one post is possible, in words; or a sidecar that cannot be read.
    Unclear(String),
    /// Metadata or a text beside the images: no image, whatever its name.
    Text,
    /// Cannot be read anyway.
    Unreadable,
}

/// Counts of files without a post and of posts without a filtered field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetadataSummary {
    /// Inputs without a post; those whose name can be read in two ways included.
    pub n_unmatched: usize,
    /// Three of them.
    pub unmatched: Vec<String>,
    /// Inputs whose name can be read in two ways.
    pub n_unclear: usize,
    /// Three of them.
    pub unclear: Vec<String>,
    /// Posts without a field that a filter or label looks at.
    pub gaps: Vec<FieldGap>,
}

/// Posts without a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldGap {
    /// Which field.
    pub field: Field,
    /// How many posts.
    pub n: usize,
    /// Three of them.
    pub posts: Vec<String>,
}

/// Names shown of each kind.
const N_SHOWN: usize = 3;

/// The value of `--metadata` that means files beside each image.
const SIDECAR: &str = "sidecar";

const NO_POST: &str = "no post in the metadata";

impl Matches {
    /// Reads the metadata and finds the post of each entry.
    ///
    /// # Errors
    /// When metadata is asked for and missing, cannot be read, or lacks a field that a filter or label looks at.
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
                    // Named by its image.
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

    /// The post of an input.
    pub fn post(&self, input: usize) -> Option<&Post> {
        match self.of.get(input)? {
            Match::Post(idx) => self.posts.get(*idx),
            _ => None,
        }
    }

    /// Why inputs are refused before they are read; `None` for those that are wanted or cannot be read anyway.
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

    /// Counts for the summary; `None` when no post is looked at.
    pub fn summary(&self, entries: &[Entry]) -> Option<MetadataSummary> {
        if self.fields.is_empty() {
            return None;
        }
        let mut summary = MetadataSummary::default();
        let show = |list: &mut Vec<String>, name: &str| {
            if list.len() < N_SHOWN {
                list.push(name.to_owned());
            }
        };
        for (found, entry) in self.of.iter().zip(entries) {
            let is_unclear = matches!(found, Match::Unclear(_));
            if is_unclear || matches!(found, Match::None(_)) {
                summary.n_unmatched += 1;
                show(&mut summary.unmatched, &entry.source);
            }
            if is_unclear {
                summary.n_unclear += 1;
                show(&mut summary.unclear, &entry.source);
            }
        }
        for &field in &self.fields {
            let mut gap = FieldGap {
                field,
                n: 0,
                posts: Vec::new(),
            };
            for post in self.posts.iter().filter(|post| !post.has(field)) {
                gap.n += 1;
                let md5 = || post.md5.map(|md5| format!("{md5:032x}"));
                show(
                    &mut gap.posts,
                    &post.id.clone().or_else(md5).unwrap_or_default(),
                );
            }
            if gap.n > 0 {
                summary.gaps.push(gap);
            }
        }
        Some(summary)
    }
}

/// Files that are never images by their extension, if their content agrees.
const TEXT_EXTENSIONS: &[&str] = &[
    "json", "jsonl", "ndjson", "txt", "csv", "tsv", "xml", "toml", "yaml", "yml", "md", "html",
    "htm", "log", "gz", "zst", "db", "sqlite", "ini", "url", "ds_store",
];

/// What becomes of an entry without a post: metadata among the inputs is not counted as an image without one.
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

/// The path of the archive that holds an entry, as the sources begin with it, and the archive's name. The path is empty
/// when the archive is the only input.
fn archive_of(entry: &Entry) -> Option<(&str, &str)> {
    let name = entry.archive.as_deref()?;
    let mut at = 0;
    for part in entry.source.split('/') {
        // Of two inputs with one name, the second has a number.
        let is_it = part.strip_prefix(name).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix('#')
                    .is_some_and(|n| n.parse::<u32>().is_ok())
        });
        if is_it && at + part.len() < entry.source.len() {
            return Some((&entry.source[..at + part.len()], name));
        }
        at += part.len() + 1;
    }
    Some(("", name))
}

/// For members of archives that name a post, the archive's path.
fn post_archives(entries: &[Entry]) -> Vec<Option<&str>> {
    let path = |entry| {
        let (path, name) = archive_of(entry)?;
        let names_post = matches!(read_name(name).reading, Reading::Id(_) | Reading::Md5(_));
        (names_post && !path.is_empty()).then_some(path)
    };
    entries.iter().map(path).collect()
}

/// What the name of each entry, and what is around it, says of its post.
fn readings(entries: &[Entry], filter: &MetadataFilter) -> Vec<NamedPost> {
    if let Some(pattern) = &filter.id_pattern {
        let read = |entry: &Entry| {
            let path = match archive_of(entry) {
                Some(("", name)) => format!("{name}/{}", entry.source),
                _ => entry.source.clone(),
            };
            NamedPost {
                reading: pattern.read(&path),
                site: Site::UNKNOWN,
            }
        };
        return entries.iter().map(read).collect();
    }
    let mut named: Vec<NamedPost> = entries.iter().map(by_name_and_folders).collect();
    let mut archives: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if let Some(archive) = archive_of(entry) {
            archives.entry(archive).or_default().push(i);
        }
    }
    mark_pages_of_folders(entries, &mut named);
    for ((path, name), members) in archives {
        let own: Vec<NamedPost> = members.iter().map(|&i| named[i].clone()).collect();
        let mut around = read_name(name);
        if around.site == Site::UNKNOWN {
            around.site = site_of_folders(path);
        }
        for (&i, reading) in members.iter().zip(in_archive(&around, &own, name)) {
            named[i] = reading;
        }
    }
    named
}

/// Numbers that run from 1 without a gap in a folder of the dump may be posts or the pages of a book.
fn mark_pages_of_folders(entries: &[Entry], named: &mut [NamedPost]) {
    let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if archive_of(entry).is_none()
            && let Some((folder, _)) = entry.source.rsplit_once('/')
            && matches!(named[i].reading, Reading::Id(_))
        {
            folders.entry(folder).or_default().push(i);
        }
    }
    for (folder, members) in folders {
        let id_of = |&i: &usize| match &named[i].reading {
            Reading::Id(id) => Some(id.as_str()),
            _ => None,
        };
        if !are_pages(&members.iter().filter_map(id_of).collect()) {
            continue;
        }
        for i in members {
            if let Reading::Id(id) = &named[i].reading {
                let text = format!("{id} may be a post or a page of '{folder}'");
                named[i].reading = Reading::Unclear(text);
            }
        }
    }
}

/// The reading of an entry by its own name and its folders; an archive among them is left out.
fn by_name_and_folders(entry: &Entry) -> NamedPost {
    let (folders, name) = entry
        .source
        .rsplit_once('/')
        .map_or(("", entry.source.as_str()), |(f, n)| (f, n));
    let mut named = read_name(name);
    if named.site == Site::UNKNOWN {
        named.site = site_of_folders(folders);
    }
    let archive = archive_of(entry).map_or("", |(path, _)| path);
    let outer = archive.rsplit_once('/').map_or("", |(outer, _)| outer);
    let inner = folders.get(archive.len()..).unwrap_or_default();
    if let Reading::Id(id) = &named.reading
        && id.len() <= MAX_COUNTER_DIGITS
    {
        let may_be_page = |folder: &&str| match read_name(folder).reading {
            Reading::Id(other) => other.len() > id.len() && !is_shard_of(&other, id),
            Reading::Md5(_) => true,
            _ => false,
        };
        if let Some(folder) = outer.split('/').chain(inner.split('/')).find(may_be_page) {
            let text = format!("{id} may be a post or a page of '{folder}'");
            named.reading = Reading::Unclear(text);
        }
    }
    named
}

/// The readings of an archive's members, by the rule on archives above.
fn in_archive(around: &NamedPost, own: &[NamedPost], archive: &str) -> Vec<NamedPost> {
    let ids: BTreeSet<&str> = own
        .iter()
        .filter_map(|named| match &named.reading {
            Reading::Id(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let is_long = |id: &str| id.len() > MAX_COUNTER_DIGITS;
    let post = match &around.reading {
        Reading::Md5(_) => &around.reading,
        Reading::Id(number) => {
            let by_id = ids
                .iter()
                .all(|id| is_long(id) && *id != number && is_shard_of(number, id));
            let by_md5 = own.iter().all(|named| match named.reading {
                Reading::Md5(md5) => format!("{md5:032x}").starts_with(number.as_str()),
                _ => true,
            });
            let n_md5 = own
                .iter()
                .filter(|named| matches!(named.reading, Reading::Md5(_)))
                .count();
            if by_id && by_md5 && (!ids.is_empty() || n_md5 > 0) {
                return own.to_vec();
            }
            &around.reading
        }
        Reading::Nothing | Reading::Unclear(_) => {
            // An archive of unknown kind: what can be pages of it are no posts.
            let is_comic = archive.to_ascii_lowercase().ends_with(".cbz");
            let is_unclear = matches!(around.reading, Reading::Unclear(_));
            let are_pages = is_comic || is_unclear || are_pages(&ids);
            let read = |named: &NamedPost| match &named.reading {
                Reading::Id(id) if are_pages && !is_long(id) => NamedPost {
                    reading: Reading::Unclear(format!(
                        "{id} may be a post or a page of '{archive}'"
                    )),
                    site: named.site,
                },
                _ => named.clone(),
            };
            return own.iter().map(read).collect();
        }
    };
    let read = |named: &NamedPost| {
        let is_other = |id: &str| is_long(id) && Reading::Id(id.to_owned()) != *post;
        let reading = match &named.reading {
            Reading::Md5(_) => named.reading.clone(),
            Reading::Id(id) if is_other(id) => {
                Reading::Unclear(format!("post {id} in the archive of another, '{archive}'"))
            }
            _ => post.clone(),
        };
        NamedPost {
            reading,
            site: if named.site == Site::UNKNOWN {
                around.site
            } else {
                named.site
            },
        }
    };
    own.iter().map(read).collect()
}

/// Whether numbers run from 0 or 1 without a gap.
fn are_pages(ids: &BTreeSet<&str>) -> bool {
    let mut numbers: Vec<u64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.len() > 1
        && numbers
            .iter()
            .zip(1..)
            .all(|(number, page)| *number == page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The post of each member: an id, `-` for none, `?` for unclear, `m` for that of an MD5.
    fn members(archive: &str, names: &[&str]) -> Vec<String> {
        let own: Vec<NamedPost> = names.iter().map(|name| read_name(name)).collect();
        in_archive(&read_name(archive), &own, archive)
            .into_iter()
            .map(|named| match named.reading {
                Reading::Id(id) => id,
                Reading::Md5(_) => "m".to_owned(),
                Reading::Nothing => "-".to_owned(),
                Reading::Unclear(_) => "?".to_owned(),
            })
            .collect()
    }

    #[test]
    fn members_follow_their_archive_or_go_by_their_own_names() {
        let md5 = "12345678901234567890123456789012.png";
        for (archive, names, expected) in [
            // The archive of one post.
            (
                "7654321.zip",
                vec!["000000.png", "000012.png", "2.png"],
                "7654321 7654321 7654321",
            ),
            (
                "7654321.zip",
                vec!["7654321_1.png", "cover.png"],
                "7654321 7654321",
            ),
            (
                "7654321.zip",
                vec!["12.png", "1000001.png", md5],
                "7654321 ? m",
            ),
            (
                "art (7654321).cbz",
                vec!["1.png", "2.png"],
                "7654321 7654321",
            ),
            ("7654321_ugoira600x600.zip", vec!["000000.jpg"], "7654321"),
            (
                "d41d8cd98f00b204e9800998ecf8427e.zip",
                vec!["000000.jpg"],
                "m",
            ),
            ("12.zip", vec!["1.png", "000002.png"], "12 12"),
            // Shards.
            (
                "0123.zip",
                vec!["1000123.png", "2000123.png"],
                "1000123 2000123",
            ),
            (
                "123.zip",
                vec!["1000123.png", "2000123.png"],
                "1000123 2000123",
            ),
            (
                "1000.tar",
                vec!["1000123.png", "1000124.png"],
                "1000123 1000124",
            ),
            (
                "1000000.tar",
                vec!["1000123.png", "1000124.png"],
                "1000123 1000124",
            ),
            ("12.zip", vec![md5], "m"),
            (
                "data-000.tar",
                vec!["1000001.png", "12.png", "000003.png"],
                "1000001 12 -",
            ),
            ("images.zip", vec!["2.png", "12.png"], "2 12"),
            // Pages.
            ("images.zip", vec!["1.png", "2.png", "3.png"], "? ? ?"),
            ("book.cbz", vec!["2.png", "12.png"], "? ?"),
            (
                "1000001_1000002.zip",
                vec!["2.png", "1000001.png"],
                "? 1000001",
            ),
        ] {
            assert_eq!(
                members(archive, &names).join(" "),
                expected,
                "{archive}: {names:?}"
            );
        }
    }
}
