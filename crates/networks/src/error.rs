use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An impossible setting.
    #[error("{0}")]
    Config(String),
    /// Weights that do not match the network, with all differences.
    #[error("weights do not fit the network: {0}")]
    Weights(Box<WeightsMismatch>),
    /// A file of weights.
    #[error("weights file '{path}'", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it could not be read or written.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tensor library.
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

/// All differences between given weights and those of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightsMismatch {
    /// Names of the network that are missing.
    pub missing: Vec<String>,
    /// Names that the network does not have.
    pub unexpected: Vec<String>,
    /// Weights of another shape, and filters that contradict the settings, with the difference.
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
