//! Errors of downloads.

use std::path::PathBuf;

/// Errors of downloads. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cache folder cannot be used.
    #[error(
        "the cache of downloads cannot be used: {}: {error}; set KAOGAN_CACHE to a folder that can be written",
        path.display()
    )]
    Cache {
        /// The file or folder in the cache.
        path: PathBuf,
        /// The reason that the system gave.
        error: std::io::Error,
    },
    /// A file could not be fetched.
    #[error("{url}: {what}")]
    Failed {
        /// Address of the file.
        url: String,
        /// Description of the error, and advice.
        what: String,
    },
    /// Neither `KAOGAN_CACHE` nor the system names a cache folder.
    #[error("no folder for downloads is known: set KAOGAN_CACHE to one")]
    NoFolder,
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
