use std::path::PathBuf;

/// Errors of this crate, with advice where there is any.
///
/// Every message is complete: it contains the cause, which is not repeated as `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened, read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason the system gave.
        error: std::io::Error,
    },
    /// The new file could not be written; the message names it.
    #[error(transparent)]
    Write(std::io::Error),
    /// An error with the file that it is about.
    #[error("{}: {error}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Box<Error>,
    },
    /// The data ends early.
    #[error(
        "the data ends at byte {offset} in the middle of {what}: the file is cut short, fetch it again"
    )]
    Truncated {
        /// Offset at which the data ends or the missing piece would begin.
        offset: usize,
        /// The item that was being read.
        what: &'static str,
    },
    /// The pickle stream is malformed.
    #[error("bad pickle at byte {offset}: {what}")]
    Pickle {
        /// The byte where the instruction starts.
        offset: usize,
        /// Description of the error.
        what: String,
    },
    /// The pickle refers to an unknown Python object. Nothing was executed.
    #[error(
        "the file asks Python to build `{name}`, which is not part of a known checkpoint format: {hint}"
    )]
    UnknownGlobal {
        /// `module.name`.
        name: String,
        /// The probable kind of the file, and advice.
        hint: &'static str,
    },
    /// A length or a count in the file exceeds the limit for checkpoints.
    #[error("{what} exceeds the limit of {limit}: the file is damaged or hostile")]
    Limit {
        /// The quantity.
        what: &'static str,
        /// Its limit.
        limit: u64,
    },
    /// One tensor cannot be read.
    #[error("tensor `{name}`: {what}")]
    Tensor {
        /// Its name in the file.
        name: String,
        /// Description of the error.
        what: String,
    },
    /// The file is readable, but its layout does not match its kind.
    #[error("{0}")]
    Layout(String),
    /// Two statements in the file contradict each other.
    #[error("{what} is {stated} by the file's own settings, but the weights say {found}")]
    Contradiction {
        /// The setting.
        what: String,
        /// Value in the settings of the file.
        stated: String,
        /// Value that follows from the tensors.
        found: String,
    },
    /// A known kind of file or property that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The zip container is damaged.
    #[error("the zip archive is damaged ({0}): fetch the file again")]
    Zip(String),
    /// The checksum of a file does not match its content.
    #[error(
        "the file is damaged: its checksum does not fit its contents; take another snapshot, or copy, convert or fetch the \
         file again"
    )]
    Checksum,
    /// The safetensors container is damaged.
    #[error("safetensors: {0}")]
    SafeTensors(String),
    /// JSON inside the file is damaged.
    #[error("JSON inside the file: {0}")]
    Json(String),
}

impl From<zip::result::ZipError> for Error {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Zip(error.to_string())
    }
}

impl From<safetensors::SafeTensorError> for Error {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::SafeTensors(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names the file that this error is about.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            Self::Io { .. } | Self::In { .. } => self,
            other => Self::In {
                path: path.to_owned(),
                error: Box::new(other),
            },
        }
    }

    pub(crate) fn tensor(name: &str, what: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.to_owned(),
            what: what.into(),
        }
    }
}

/// An `Error::Layout` from format arguments.
macro_rules! layout {
    ($($arg:tt)*) => { $crate::Error::Layout(format!($($arg)*)) };
}
pub(crate) use layout;
