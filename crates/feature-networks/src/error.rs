//! Errors of feature networks and of their weights.

use std::path::PathBuf;

/// Errors of feature networks and of their weight files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Feature vectors of two different lengths (the two fields) were combined; or a number of values (second field) is
    /// not a multiple of the length of a row (first field).
    #[error("features of {0} and of {1} numbers cannot be compared")]
    Dimensions(usize, usize),
    /// Weights that the call needs were not loaded. The text says which ones and where they can be obtained.
    #[error("{0}")]
    NoWeights(String),
    /// A weight file does not contain the expected tensors.
    #[error("'{path}': {reason}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// The reason, and what the user can do.
        reason: String,
    },
    /// A weight file cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] interop::Error),
    /// An operation of the tensor library failed, for example for lack of memory.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A file in the cache cannot be written.
    #[error("cannot write to the cache: {0}; set KAOGAN_CACHE to a folder that can be written")]
    Cache(#[from] std::io::Error),
    /// Images have the wrong shape or element type. The text describes the images given.
    #[error("images must be u8 [n, 1 or 3, height, width], not {0}")]
    Images(String),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
