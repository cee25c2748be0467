/// Errors of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting that no network can have, or an unknown keyword argument; the message names it.
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
