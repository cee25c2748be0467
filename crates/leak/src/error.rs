//! Errors of the leak check.

/// Errors of a leak check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are too few images to train the discriminant or to measure with it.
    #[error("a leak check needs {needed}, but there are {found}")]
    TooFew {
        /// The smallest sufficient number and the kind of images, as text.
        needed: String,
        /// The number of images given.
        found: usize,
    },
    /// The covariance of the descriptors is not finite.
    #[error("covariance of descriptors: the matrix holds numbers that are not finite")]
    NotFinite,
    /// Images have another shape or type than the check accepts.
    #[error("images must be u8 [n, 1 or 3, height, width] of at least 16 x 16 pixels, not {0}")]
    Images(String),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
