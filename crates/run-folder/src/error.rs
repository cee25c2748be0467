//! Errors of run folders.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of run folders.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program is training this run.
    #[error("'{}' is being trained by another program; wait until it ends, or stop it", .0.display())]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("'{}': {error}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The folder of a run cannot be listed.
    #[error("cannot read the run '{}': {error}", path.display())]
    Unreadable {
        /// Path of the folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A folder has no readable file of a run.
    #[error(
        "'{}' is not a run folder: there is nothing to read in training_options.json, stats.jsonl, \
         events.out.tfevents.*, log.txt and metric-*.jsonl, and no network-snapshot-*{damage}",
        path.display()
    )]
    NoRun {
        /// Path of the folder.
        path: PathBuf,
        /// Messages about the damaged files of the folder, each preceded by `; `; empty without damage.
        damage: String,
    },
    /// A run does not have the requested snapshot.
    #[error("'{}' {reason}", path.display())]
    NoCheckpoint {
        /// Path of the folder.
        path: PathBuf,
        /// The reason, and which snapshots exist.
        reason: String,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A function that turns an I/O error of the file `path` into an [`Error::File`], for `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// A function that turns an I/O error of the folder `path` into an [`Error::Unreadable`], for `map_err`.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Unreadable {
            path: path.to_owned(),
            error,
        }
    }
}
