//! Errors of configurations.

/// Errors of reading and checking the configuration of a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting with an impossible value, an unknown keyword argument, or a downloaded network with another
    /// architecture than published. The text names the setting.
    #[error("{0}")]
    Config(String),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::Config(text.into())
    }
}
