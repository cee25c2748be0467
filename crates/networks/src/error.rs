//! Errors of building, loading and running networks.

use std::path::PathBuf;

/// Errors of building, evaluating, reading and writing networks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting with an impossible value, or an input of the wrong shape. The text describes it.
    #[error("{0}")]
    Config(String),
    /// The given tensors do not match those of the network. Lists all differences.
    #[error("weights do not fit the network: {0}")]
    Weights(Box<WeightsMismatch>),
    /// A file of networks cannot be read or written.
    #[error("weights file '{path}'", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An operation of the tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Tensor(error) => error,
            error => Self::wrap(error),
        }
    }
}

impl From<architecture::Error> for Error {
    fn from(error: architecture::Error) -> Self {
        Self::Config(error.to_string())
    }
}

impl Error {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::Config(text.into())
    }
}

/// All differences between given tensors and the tensors of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightsMismatch {
    /// Names of tensors of the network that were not given.
    pub missing: Vec<String>,
    /// Names of given tensors that the network does not have.
    pub unexpected: Vec<String>,
    /// One text for each given tensor whose shape differs from that of the network, and for each resampling filter
    /// whose values differ from the configured filter.
    pub mismatched: Vec<String>,
}

impl WeightsMismatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl std::fmt::Display for WeightsMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("mismatched", &self.mismatched),
        ];
        let mut first = true;
        for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
            let separator = if first { "" } else { "; " };
            write!(f, "{separator}{} {what}: {}", names.len(), names.join(", "))?;
            first = false;
        }
        write!(
            f,
            "; was the network built with another preset, resolution, mapping depth or label count?"
        )
    }
}
