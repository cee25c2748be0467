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
    /// Settings of the networks.
    #[error(transparent)]
    Network(#[from] networks::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn setting(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            name,
            reason: reason.into(),
        }
    }
}
