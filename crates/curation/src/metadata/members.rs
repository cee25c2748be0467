//! Finds which post each input names, by its name, its folders and its archive.
//!
//! The post of a file is read from its path by `--id-pattern` if one is given, else from its own name (`name`). In the
//! latter case two rules about its surroundings come first:
//!
//! * **Archives.** An archive whose name names a post (`7654321.zip`, an animation's frames) gives that post to its
//!   members. It is a shard instead, and its members go by their own names, when the ids or MD5s of all members belong
//!   to a shard with its number (`12.zip` with `1000012.png`, `0123.zip`, `d4.zip` with MD5s that begin with `d4`), or
//!   when its name names no post (`data-000.tar`). A member with an id of five digits or more in an archive of another
//!   post is unclear. In an archive without a post, ids of up to four digits that run from 1 without a gap may be
//!   pages: unclear.
//! * **Folders.** A number of up to four digits in a folder that names another post (`7654321/2.png`) may be a page of
//!   that post: unclear, unless the folder is a shard (`0012/12.png`). So are numbers in a folder that run from 1
//!   without a gap.

use super::MetadataFilter;
use super::name::{
    MAX_COUNTER_DIGITS, NamedPost, Reading, is_shard_of, read_name, site_of_folders,
};
use super::site::Site;
use crate::inputs::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Returns, for a member of an archive, the path of the archive, with which the entry's source begins, and the
/// archive's file name. The path is empty when the archive is the only input.
fn archive_of(entry: &Entry) -> Option<(&str, &str)> {
    let name = entry.archive.as_deref()?;
    let mut at = 0;
    for part in entry.source.split('/') {
        // When two inputs have the same name, the second has `#` and a number behind it.
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

/// For each entry, the path of its archive, when the archive's name names a post.
pub(super) fn post_archives(entries: &[Entry]) -> Vec<Option<&str>> {
    let path = |entry| {
        let (path, name) = archive_of(entry)?;
        let names_post = matches!(read_name(name).reading, Reading::Id(_) | Reading::Md5(_));
        (names_post && !path.is_empty()).then_some(path)
    };
    entries.iter().map(path).collect()
}

/// The post that each entry names, from its own name and its surroundings, or by `--id-pattern`.
pub(super) fn readings(entries: &[Entry], filter: &MetadataFilter) -> Vec<NamedPost> {
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

/// Makes the ids in a folder unclear when they run from 1 without a gap: they may be posts or the pages of a book.
/// Members of archives are left as they are.
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

/// The post that an entry names by its own name and its folders; an archive in its path does not count as a folder.
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

/// Returns the posts that the members of an archive name, by the rule on archives in the module's documentation.
/// `around` is the post that the archive's name names, `own` the posts that the members' own names name.
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
            // An archive of unknown kind: numbers that may be its pages are not taken for posts.
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

/// Whether there are at least two ids and they run from 1 without a gap. A page 0 does not matter, since 0 is never
/// read as an id.
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

    /// The post that each member names: an id, `m` for an MD5, `-` for none, `?` for unclear.
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
