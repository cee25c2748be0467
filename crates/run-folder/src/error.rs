//! Errors of run folders.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of run folders.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program trains this run.
    #[error("'{}' is being trained by another program; wait until it ends, or stop it", .0.display())]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("'{}': {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder cannot be read as a run folder.
    #[error("cannot read the run '{}': {error}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder has no file of a run.
    #[error(
        "'{}' is not a run folder: there is nothing to read in training_options.json, stats.jsonl, \
         events.out.tfevents.*, log.txt and metric-*.jsonl, and no network-snapshot-*{damage}",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The damaged files of the folder, each preceded by `; `; empty without damage.
        damage: String,
    },
    /// A run does not have the requested checkpoint.
    #[error("'{}' {reason}", path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// The reason, and the checkpoints that there are.
        reason: String,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::File`], for `map_err` of file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// An [`Error::Unreadable`], for `map_err` of reading a folder.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Unreadable {
            path: path.to_owned(),
            error,
        }
    }
}
