//! Posts of image boards that belong to a dump: reading them, finding the post of each file, filters, class labels.
//!
//! `read` turns files of any accepted form into JSON objects, `post` reads the fields of one object, `posts` holds all
//! posts, `name` finds which post a file name names, `sidecar` reads the files beside an image, `matching` gives each
//! input its post. Nothing is guessed: a file that could belong to two posts belongs to none.

mod bounded;
mod filter;
#[cfg(test)]
mod fuzz;
mod labels;
mod matching;
mod members;
mod name;
mod post;
mod posts;
mod rating;
mod read;
mod sidecar;
mod site;
mod summary;
mod tags;
mod zstd;

pub use filter::MetadataFilter;
pub use labels::LabelSource;
pub use matching::Matches;
pub use name::IdPattern;
pub use post::{Field, Post};
pub use rating::Rating;
pub use site::Site;
pub use summary::{FieldGap, MetadataSummary};

use std::path::PathBuf;

/// Forms of metadata that are understood, in words; a part of error messages.
pub const FORMS: &str = "known forms: JSON objects one a line, a JSON array, or one object; plain, .gz or .zst; \
    `id` or `md5` as number or text; `tag_string` (or `tag_string_general` and its siblings), or `tags` as one text, a list \
    of texts, a list of objects with a `name`, or an object of lists; `rating` as g, s, q, e or general, sensitive, safe, \
    questionable, explicit; `score` as a number, as text, or an object with `total`; or `--metadata sidecar` for NAME.json \
    or NAME.txt beside each image";

/// Why the metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The file cannot be read.
    #[error("cannot read metadata '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system or of the decompressor.
        source: std::io::Error,
    },
    /// The file is of a kind that cannot be read.
    #[error("metadata '{}' is {kind}; {FORMS}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Description of the kind, and what to do about it.
        kind: String,
    },
    /// A part of the file is not a post.
    #[error("metadata '{}' {place}: {message}: `{shown}`; {FORMS}", path.display())]
    Post {
        /// The file.
        path: PathBuf,
        /// The line or element, counted from 1.
        place: String,
        /// The problem.
        message: String,
        /// The beginning of the part's text.
        shown: String,
    },
    /// A filter or label uses a field that no post has in a known form.
    #[error(
        "no post of metadata '{}' has {field} in a known form, which a filter or label asks for; first line: `{shown}`; {FORMS}",
        path.display()
    )]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: Field,
        /// The beginning of the file's first line.
        shown: String,
    },
    /// There is no sidecar file at all.
    #[error(
        "--metadata sidecar: no image has a sidecar file (NAME.json, NAME.EXT.json, NAME.txt or NAME.EXT.txt beside it)"
    )]
    NoSidecars,
    /// Filters, an id pattern or labels from tags are asked for without posts; the text names what needs them.
    #[error(
        "{0} needs posts: give them with --metadata posts.jsonl, or --metadata sidecar for files beside each image"
    )]
    Missing(&'static str),
    /// A rating that no post can have.
    #[error(
        "rating '{0}' (--rating) is none of g, s, q, e, general, sensitive, safe, questionable, explicit"
    )]
    Rating(String),
}

/// The first 160 characters of a text's first line, with `...` where the rest is left out.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 160;
    let line = text
        .trim_start()
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end();
    match line.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    }
}
