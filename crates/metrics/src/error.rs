//! Errors of metrics.

use feature_networks::Error as NetworkError;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not the name of a metric.
    #[error(
        "'{0}' is no metric; there are fid50k_full, fid50k, kid50k_full, kid50k, pr50k3_full, dc50k5_full, mem50k_full, \
         is50k, ppl2_wend, ppl_zfull, ppl_wfull, ppl_zend and ppl_wend, where 50k may be any count (fid5k_full, fid500_full)"
    )]
    UnknownMetric(String),
    /// There are too few images for a metric.
    #[error("{metric} needs {needed}, but there are {found}")]
    TooFew {
        /// Name of the metric.
        metric: String,
        /// The required number of images, in words.
        needed: String,
        /// The available number of images.
        found: String,
    },
    /// A matrix contains NaN or infinite numbers; holds the name of the computation.
    #[error("{0}: the matrix holds numbers that are not finite")]
    NotFinite(&'static str),
    /// A feature network cannot be opened or used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The source of the generated images failed.
    #[error("{0}")]
    Source(Box<dyn std::error::Error + Send + Sync>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error for missing weights of a feature network.
    pub(crate) fn no_weights(reason: String) -> Self {
        NetworkError::NoWeights(reason).into()
    }

    /// The error for feature rows of two different lengths `a` and `b`.
    pub(crate) fn dimensions(a: usize, b: usize) -> Self {
        NetworkError::Dimensions(a, b).into()
    }

    /// The error for images of a type and shape, described by `form`, that a metric does not accept.
    pub(crate) fn images(form: String) -> Self {
        NetworkError::Images(form).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        NetworkError::Cache(error).into()
    }
}
