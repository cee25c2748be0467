use std::io;
use std::path::{Path, PathBuf};

/// Problems with the folder of a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program trains this run.
    #[error("'{}' is being trained by another program; wait until it ends, or stop it", .0.display())]
    InUse(PathBuf),
    /// A file that cannot be read or written.
    #[error("'{}': {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder that cannot be read as that of a run.
    #[error("cannot read the run '{}': {error}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder without any file of a run.
    #[error(
        "'{}' is no folder of a run: there is nothing to read in training_options.json, stats.jsonl, \
         events.out.tfevents.*, log.txt and metric-*.jsonl, and no network-snapshot-*{damage}",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// Files that are there but damaged, each behind `; `; empty where there are none.
        damage: String,
    },
    /// A run without the checkpoint that was asked for.
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
    /// For `map_err` of file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// For `map_err` of a folder that is read.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Unreadable {
            path: path.to_owned(),
            error,
        }
    }
}
