//! Finds which post a file name names, by one rule. A name that can be read in two ways is unclear and names no post.
//!
//! The name is taken without its extension and split into words at every character that is neither a letter nor a
//! digit.
//!
//! 1. A word of 32 hexadecimal digits is an MD5, and nothing else in the name counts. With two different MD5s it is
//!    unclear.
//! 2. The following is left out: UUIDs; a date with a time (`20210304_121314`), a date in parts (`2021-03-04`), a
//!    14-digit time stamp; a counter in brackets (`(2)`); a counter of up to four digits together with the word before
//!    it (`page 3`, `frame_12`, `part-2`); numbers with leading zeros, which are frames, pages or shards. Words that
//!    mix digits and letters are not numbers: `p10`, `master1200`, `1920x1080`, `v2`.
//! 3. The whole numbers that remain decide. Without any, the name names no post; with two or more, it is unclear. A
//!    single number is the id, with two exceptions:
//!    - A number of up to four digits is unclear beside words of unknown meaning (`cover_12`), where it may be a
//!      counter, a year or a size in pixels. It is also unclear beside a date (`20210304_121314_12`), since cameras
//!      count the images of a day, unless the name mentions a board. Between a word and a date, where downloaders write
//!      the id, it is the id (`artist_12_20210304_121314`).
//!    - Eight digits that are a date are unclear, unless the name mentions a board or a page (`20210304_p0`) and has no
//!      words of unknown meaning.
//!
//!    Words of known meaning are boards (`danbooru`, `yande.re`), marks of previews (`sample`, `preview`, `thumbnail`),
//!    `id`, `post`, pages and sizes.
//! 4. In names as the moebooru boards give them (`yande.re 1000001 tags`, `Konachan.com - 1000001 tags`), the number
//!    after the board is the id.
//!
//! | name | post |
//! |---|---|
//! | `1000001.png`, `0123/1000123.jpg`, `danbooru_12.png`, `sample-12.jpg` | the number |
//! | `12_p3.png`, `12_p0_master1200.jpg` | the number |
//! | `artist_1000001_20210304_121314.jpg`, `miku-1000001.png`, `1000001 (2).png`, `1000001_page_3.png` | 1000001 |
//! | `__tags__d41d8cd98f00b204e9800998ecf8427e.jpg`, `1000001_d41d...427e.png` | that of the MD5 |
//! | `000012.png`, `frame_12.png`, `image (2).png`, `cover.png` | none |
//! | `1000001_1000002.png`, `1000001_2.png`, `cover_12.png`, `art_20210304.png` | unclear |

mod dates;
mod pattern;
#[cfg(test)]
mod tests;
mod words;

pub use pattern::IdPattern;

use super::post::parse_md5;
use super::site::Site;
use dates::{Dates, drop_dates, is_date};
use words::{Word, percent_decoded, split, stem};

/// The post that a file name names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A post by the MD5 of its file.
    Md5(u128),
    /// A post by its id.
    Id(String),
    /// No post.
    Nothing,
    /// More than one post is possible; the text describes which.
    Unclear(String),
}

/// The post that a name names, and the image board that the name mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPost {
    /// The post, by id or MD5.
    pub reading: Reading,
    /// The board; [`Site::UNKNOWN`] when none is mentioned.
    pub site: Site,
}

/// Largest number of digits of counters, years and sizes in pixels.
pub const MAX_COUNTER_DIGITS: usize = 4;

/// Words of known meaning: beside them a number of up to four digits is still an id.
const KNOWN_WORDS: &[&str] = &[
    "sample",
    "preview",
    "thumb",
    "thumbnail",
    "thumbs",
    "large",
    "orig",
    "original",
    "full",
    "fullsize",
    "small",
    "medium",
    "big",
    "hd",
    "resized",
    "scaled",
    "copy",
    "com",
    "net",
    "org",
    "re",
    "us",
    "www",
    "id",
    "post",
    "posts",
    "show",
    "view",
    "ugoira",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "gif",
    "master",
    "square",
    "custom",
    "booru",
];

/// Words after which a number of up to four digits is a counter.
const COUNTER_WORDS: &[&str] = &[
    "p",
    "page",
    "pg",
    "pp",
    "frame",
    "frames",
    "part",
    "pt",
    "pic",
    "photo",
    "video",
    "no",
    "nr",
    "num",
    "vol",
    "volume",
    "ch",
    "chapter",
    "ep",
    "episode",
    "img",
    "image",
    "dsc",
    "dscn",
    "dscf",
    "v",
    "ver",
    "version",
    "copy",
    "w",
    "h",
    "q",
    "width",
    "height",
    "size",
    "crop",
    "face",
    "head",
    "person",
    "variant",
    "variation",
    "alt",
    "take",
    "cut",
    "scene",
    "untitled",
    "screenshot",
    "master",
    "square",
    "custom",
    "scan",
    "slide",
    "panel",
    "set",
];

/// Words after which a number of any length is the number of a shard, which is a part of a dataset.
const SHARD_WORDS: &[&str] = &[
    "shard", "data", "batch", "chunk", "split", "train", "val", "test", "images", "dataset",
    "bucket", "subset", "pack",
];

/// Finds which post a file name, without its folders, names.
pub fn read_name(name: &str) -> NamedPost {
    let decoded = percent_decoded(name);
    let stem = stem(&decoded).to_lowercase();
    let mut words = split(&stem);
    let site = match site_of(&words) {
        Ok(site) => site,
        Err(text) => {
            return NamedPost {
                reading: Reading::Unclear(text),
                site: Site::UNKNOWN,
            };
        }
    };
    let named = |reading| NamedPost { reading, site };

    let mut md5s: Vec<u128> = words
        .iter()
        .filter_map(|word| parse_md5(word.text))
        .collect();
    md5s.sort_unstable();
    md5s.dedup();
    match md5s[..] {
        [] => {}
        [md5] => return named(Reading::Md5(md5)),
        _ => return named(Reading::Unclear("two MD5s".to_owned())),
    }
    if let Some(id) = moebooru(&words) {
        return named(Reading::Id(id.to_owned()));
    }

    drop_uuids(&mut words);
    let dates = drop_dates(&mut words);
    drop_counters(&mut words);
    let mut ids: Vec<&str> = words.iter().filter_map(|word| id_in(word.text)).collect();
    let n_numbers = ids.len();
    ids.sort_unstable();
    ids.dedup();
    match ids[..] {
        [] => named(Reading::Nothing),
        [id] => {
            let is_free = |word: &Word<'_>| id_in(word.text).is_none() && !is_known(word.text);
            let is_alone = !words.iter().any(is_free) && n_numbers == 1;
            let is_marked = site != Site::UNKNOWN || words.iter().any(|word| is_page(word.text));
            if is_date(id) && !(is_alone && is_marked) {
                named(Reading::Unclear(format!("{id} may be an id or a date")))
            } else if id.len() > MAX_COUNTER_DIGITS
                || (is_alone && (dates == Dates::None || site != Site::UNKNOWN))
                || dates == Dates::BehindNumber
            {
                named(Reading::Id(id.to_owned()))
            } else {
                let text = format!("{id} may be an id or a counter, a year or a size");
                named(Reading::Unclear(text))
            }
        }
        _ => {
            let list: Vec<&str> = ids.iter().take(4).copied().collect();
            named(Reading::Unclear(format!(
                "it may be post {}",
                list.join(" or ")
            )))
        }
    }
}

/// Returns the board that the folders of a path mention; if several mention one, that of the innermost of these
/// folders.
pub fn site_of_folders(folders: &str) -> Site {
    let site = |folder: &str| {
        let folder = folder.to_lowercase();
        site_of(&split(&folder))
            .ok()
            .filter(|site| *site != Site::UNKNOWN)
    };
    folders.rsplit('/').find_map(site).unwrap_or_default()
}

fn site_of(words: &[Word<'_>]) -> Result<Site, String> {
    let mut sites: Vec<Site> = words
        .iter()
        .filter_map(|word| Site::from_word(word.text).or_else(|| Some(glued(word.text)?.0)))
        .filter(|site| *site != Site::UNKNOWN)
        .collect();
    sites.sort_unstable();
    sites.dedup();
    match sites[..] {
        [] => Ok(Site::UNKNOWN),
        [site] => Ok(site),
        _ => Err("the names of two boards".to_owned()),
    }
}

/// Splits a word such as `danbooru1000001` or `id1000001` into board and number; the board of `id` is unknown. The
/// number must have at least five digits.
fn glued(word: &str) -> Option<(Site, &str)> {
    let at = word
        .find(|c: char| c.is_ascii_digit())
        .filter(|at| *at > 0)?;
    let (name, number) = word.split_at(at);
    let is_id = number.len() > 4 && number.bytes().all(|b| b.is_ascii_digit());
    let site = if matches!(name, "id" | "post") {
        Some(Site::UNKNOWN)
    } else {
        Site::from_word(name)
    };
    is_id.then_some((site?, number))
}

/// The id in a word: a number without leading zeros, alone or directly after a board.
fn id_in(word: &str) -> Option<&str> {
    let number = glued(word).map_or(word, |(_, number)| number);
    let is_id = !number.starts_with('0')
        && number.len() <= 19
        && number.bytes().all(|b| b.is_ascii_digit());
    (is_id && !number.is_empty()).then_some(number)
}

/// Whether a word has a known meaning: a mark of pages, sizes or previews, or a board. A number with leading zeros has
/// none, so that `1,000,001` is not post 1.
fn is_known(word: &str) -> bool {
    if KNOWN_WORDS.contains(&word) || Site::from_word(word).is_some() {
        return true;
    }
    let trimmed = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = trimmed.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_digit = rest.len() < word.len();
    has_digit
        && matches!(
            rest,
            "p" | "pg"
                | "page"
                | "x"
                | "px"
                | "w"
                | "h"
                | "k"
                | "v"
                | "q"
                | "master"
                | "square"
                | "custom"
                | "ugoira"
                | "frame"
        )
}

/// Whether a word is a page such as `p0`.
fn is_page(word: &str) -> bool {
    word.strip_prefix('p')
        .is_some_and(|page| !page.is_empty() && page.bytes().all(|b| b.is_ascii_digit()))
}

/// The id in a name as moebooru boards give it: the board, the id, the tags.
fn moebooru<'a>(words: &[Word<'a>]) -> Option<&'a str> {
    let texts: Vec<&str> = words.iter().take(3).map(|word| word.text).collect();
    match texts[..] {
        ["yande", "re", id] | ["konachan", "com" | "net", id] => id_in(id),
        _ => None,
    }
}

fn drop_uuids(words: &mut Vec<Word<'_>>) {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |five: &[Word<'_>]| {
        five.iter().zip(LENGTHS).all(|(word, length)| {
            word.text.len() == length && word.text.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    while let Some(at) = words.windows(5).position(is_uuid) {
        words.drain(at..at + 5);
    }
}

fn drop_counters(words: &mut Vec<Word<'_>>) {
    let mut kept: Vec<Word<'_>> = Vec::with_capacity(words.len());
    for word in words.iter() {
        let before = kept.last().map_or("", |word| word.text);
        let is_short = word.text.len() <= MAX_COUNTER_DIGITS;
        let is_bracketed = matches!(
            (word.before, word.behind),
            (Some('('), Some(')')) | (Some('['), Some(']'))
        );
        if !word.is_number() {
            kept.push(*word);
        } else if (is_short && COUNTER_WORDS.contains(&before)) || SHARD_WORDS.contains(&before) {
            kept.pop();
        } else if !(is_short && is_bracketed) {
            kept.push(*word);
        }
    }
    *words = kept;
}

/// Whether the name `folder` of a folder or archive is a number by which the post `id` may be sharded: its last digits
/// (`0123/1000123`, `123/1000123`), its first ones (`1000/1000123`) or the start of a range (`1000000/1000123`).
pub fn is_shard_of(folder: &str, id: &str) -> bool {
    let (Ok(value), Ok(number)) = (folder.parse::<u64>(), id.parse::<u64>()) else {
        return false;
    };
    // The modulus is ten to the power of the folder's digits, or 1000 as in most dumps.
    let modulus = 10u64.checked_pow(folder.len() as u32);
    let is_remainder = modulus.is_some_and(|m| number % m == value) || number % 1000 == value;
    let is_prefix = id.len() > folder.len() && id.starts_with(folder.trim_start_matches('0'));
    let is_range = value > 0
        && (1..=9).any(|zeros| {
            let step = 10u64.pow(zeros);
            value % step == 0 && number / step * step == value
        });
    is_remainder || is_prefix || is_range
}
