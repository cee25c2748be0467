/// Errors of generators as a source of images.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The generator wants labels that the dataset has not.
    #[error(
        "the network was trained with labels of {c_dim} entries, but the dataset has {label_dim}; give the labelled \
         dataset"
    )]
    Labels {
        /// Width of the network's labels.
        c_dim: usize,
        /// Width of the dataset's.
        label_dim: usize,
    },
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
