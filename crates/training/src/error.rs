use std::path::{Path, PathBuf};

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be, or that contradicts another.
    #[error("{name}: {reason}")]
    Setting {
        /// The setting, named as its flag.
        name: &'static str,
        /// What is wrong, and what to do instead.
        reason: String,
    },
    /// The text of an augmentation pipe.
    #[error("augpipe: {0}")]
    Augpipe(#[from] augment::AugmentError),
    /// The networks.
    #[error(transparent)]
    Network(#[from] networks::Error),
    /// The tensor library.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The real images.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// A saved state that does not fit or is damaged.
    #[error("training state: {0}")]
    State(String),
    /// The folder of the run.
    #[error(transparent)]
    RunFolder(#[from] run_folder::Error),
    /// A file that cannot be read or written.
    #[error("'{}': {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn state(reason: impl Into<String>) -> Self {
        Self::State(reason.into())
    }

    /// For `map_err` of file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// A setting that cannot be.
    pub fn setting(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            name,
            reason: reason.into(),
        }
    }
}
