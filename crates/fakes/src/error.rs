//! Errors of generating images for metrics.

/// Errors of generating images for metrics.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The generator needs labels that the dataset does not have.
    #[error(
        "the network was trained with labels of {c_dim} entries, but the dataset has {label_dim}; give the labeled \
         dataset"
    )]
    Labels {
        /// Number of elements of a label that the network expects.
        c_dim: usize,
        /// Number of elements of a label in the dataset; 0 without labels.
        label_dim: usize,
    },
    /// The evaluation was asked to stop.
    #[error("interrupted by a request to stop")]
    Interrupted,
    /// The generator failed.
    #[error(transparent)]
    Network(#[from] networks::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A metric failed.
    #[error(transparent)]
    Metric(#[from] metrics::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
