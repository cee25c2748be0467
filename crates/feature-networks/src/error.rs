use std::path::PathBuf;

/// Errors of feature networks and their files of weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rows of features of different lengths were mixed.
    #[error("features of {0} and of {1} numbers cannot be compared")]
    Dimensions(usize, usize),
    /// Weights of a feature network are missing.
    #[error("{0}")]
    NoWeights(String),
    /// A file does not contain the expected weights.
    #[error("'{path}': {reason}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// The problem and its remedy.
        reason: String,
    },
    /// A file of weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] interop::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A file of the cache cannot be written.
    #[error("cannot write to the cache: {0}; set KAOGAN_CACHE to a folder that can be written")]
    Cache(#[from] std::io::Error),
    /// Images that are not `u8` of `[n, 1 or 3, height, width]`.
    #[error("images must be u8 [n, 1 or 3, height, width], not {0}")]
    Images(String),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
