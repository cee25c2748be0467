use std::path::PathBuf;

/// What can go wrong while metrics are computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no metric.
    #[error(
        "'{0}' is no metric; there are fid50k_full, fid50k, kid50k_full, kid50k, pr50k3_full, dc50k5_full, mem50k_full, \
         is50k, ppl2_wend, ppl_zfull, ppl_wfull, ppl_zend and ppl_wend, where 50k may be any count (fid5k_full, fid500_full)"
    )]
    UnknownMetric(String),
    /// A metric has too little to work on.
    #[error("{metric} needs {needed}, but there are {found}")]
    TooFew {
        /// Name of the metric.
        metric: String,
        /// What it needs.
        needed: String,
        /// What is there.
        found: String,
    },
    /// Features of two kinds were mixed.
    #[error("features of {0} and of {1} numbers cannot be compared")]
    Dimensions(usize, usize),
    /// A matrix that has no answer: NaN or infinite numbers in it.
    #[error("{0}: the matrix holds numbers that are not finite")]
    NotFinite(&'static str),
    /// Weights of a feature network are not there.
    #[error("{0}")]
    NoWeights(String),
    /// A file does not hold the weights that it should.
    #[error("'{path}': {reason}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A file of weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] interop::Error),
    /// A dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A file of the cache cannot be written.
    #[error("cannot write to the cache: {0}; set KAOGAN_CACHE to a folder that can be written")]
    Cache(#[from] std::io::Error),
    /// Images of another form than `[n, 1 or 3, height, width]` of `u8`.
    #[error("images must be u8 [n, 1 or 3, height, width], not {0}")]
    Images(String),
    /// Whoever made the images failed.
    #[error("{0}")]
    Source(Box<dyn std::error::Error + Send + Sync>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
