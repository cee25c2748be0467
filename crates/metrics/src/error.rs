use feature_networks::Error as NetworkError;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is not a metric.
    #[error(
        "'{0}' is no metric; there are fid50k_full, fid50k, kid50k_full, kid50k, pr50k3_full, dc50k5_full, mem50k_full, \
         is50k, ppl2_wend, ppl_zfull, ppl_wfull, ppl_zend and ppl_wend, where 50k may be any count (fid5k_full, fid500_full)"
    )]
    UnknownMetric(String),
    /// A metric has too few images.
    #[error("{metric} needs {needed}, but there are {found}")]
    TooFew {
        /// Name of the metric.
        metric: String,
        /// The required number, in words.
        needed: String,
        /// The available number.
        found: String,
    },
    /// NaN or infinite numbers in a matrix.
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
    /// Weights of a feature network are missing.
    pub(crate) fn no_weights(reason: String) -> Self {
        NetworkError::NoWeights(reason).into()
    }

    /// Rows of features of different lengths were mixed.
    pub(crate) fn dimensions(a: usize, b: usize) -> Self {
        NetworkError::Dimensions(a, b).into()
    }

    /// Images of a shape or type that a metric does not accept.
    pub(crate) fn images(form: String) -> Self {
        NetworkError::Images(form).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        NetworkError::Cache(error).into()
    }
}
