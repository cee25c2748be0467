//! Errors of reading and writing checkpoints.

use std::path::PathBuf;

/// Errors of this crate. Messages include advice for the user where possible.
///
/// Each message contains the underlying cause, which `source()` therefore does not repeat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened, read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The new file could not be written. The message names the file.
    #[error(transparent)]
    Write(std::io::Error),
    /// Another error of this enum, with the path of the file that it is about.
    #[error("{}: {error}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Box<Error>,
    },
    /// The data ends too early.
    #[error(
        "the data ends at byte {offset} in the middle of {what}: the file is cut short, fetch it again"
    )]
    Truncated {
        /// Byte offset at which the data ends or the missing part would begin.
        offset: usize,
        /// The part of the file that was being read, in words.
        what: &'static str,
    },
    /// The pickle stream is malformed.
    #[error("bad pickle at byte {offset}: {what}")]
    Pickle {
        /// Byte offset of the instruction.
        offset: usize,
        /// Description of the error.
        what: String,
    },
    /// The pickle refers to a Python function or class that no known checkpoint format uses. Nothing was executed.
    #[error(
        "the file asks Python to build `{name}`, which is not part of a known checkpoint format: {hint}"
    )]
    UnknownGlobal {
        /// The Python name, as `module.name`.
        name: String,
        /// The probable kind of the file, and advice.
        hint: &'static str,
    },
    /// A length or a count in the file exceeds the limit for checkpoints.
    #[error("{what} exceeds the limit of {limit}: the file is damaged or hostile")]
    Limit {
        /// The limited quantity, in words.
        what: &'static str,
        /// The limit, in the unit of the quantity.
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
    /// The file can be parsed, but does not have the expected content. The text describes the error.
    #[error("{0}")]
    Layout(String),
    /// A setting stored in the file contradicts the shapes of its tensors.
    #[error("{what} is {stated} by the file's own settings, but the weights say {found}")]
    Contradiction {
        /// Name of the setting.
        what: String,
        /// Value of the setting in the file.
        stated: String,
        /// Value that follows from the tensors of the file.
        found: String,
    },
    /// A known kind of file or setting that is not supported. The text names it.
    #[error("{0}")]
    Unsupported(String),
    /// The zip container is damaged.
    #[error("the zip archive is damaged ({0}): fetch the file again")]
    Zip(String),
    /// The checksum in a safetensors file of this project does not match its content.
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
    /// Wraps the error in [`Error::In`] with this path, unless it names a file already.
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

/// Creates an `Error::Layout` from format arguments.
macro_rules! layout {
    ($($arg:tt)*) => { $crate::Error::Layout(format!($($arg)*)) };
}
pub(crate) use layout;
