//! Errors of training.

use std::path::{Path, PathBuf};

/// Errors of training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that is impossible or contradicts another.
    #[error("{name}: {reason}")]
    Setting {
        /// The name of the setting, which is the name of its flag without `--`.
        name: &'static str,
        /// The reason, and a way to fix it.
        reason: String,
    },
    /// The text of an augmentation pipe cannot be parsed, or the pipe cannot be applied to the images.
    #[error("augpipe: {0}")]
    Augpipe(#[from] augment::AugmentError),
    /// The networks cannot be built or run.
    #[error(transparent)]
    Network(#[from] networks::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// A training state is damaged or does not fit the configuration.
    #[error("training state: {0}")]
    State(String),
    /// The run folder cannot be read or written.
    #[error(transparent)]
    RunFolder(#[from] run_folder::Error),
    /// A file cannot be read or written.
    #[error("'{}': {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn state(reason: impl Into<String>) -> Self {
        Self::State(reason.into())
    }

    /// A function that turns an I/O error of the file `path` into an [`Error::File`], for `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// An [`Error::Setting`] for the flag `name`.
    pub fn setting(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            name,
            reason: reason.into(),
        }
    }
}
