//! Why an archive or one of its members cannot be read.

use std::io;

/// Why an archive or one of its members cannot be read. Messages are phrases that follow the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Another kind of file; the text says which and the way out.
    #[error("it is {0}")]
    NotAnArchive(String),
    /// The file ends before the archive does.
    #[error("cut short: {0}; download or copy it again")]
    CutShort(String),
    /// Its parts contradict each other.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A kind of archive or member that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// Reading went wrong in a way that is the file's fault.
    #[error("{0}")]
    Io(String),
    /// The system refuses (no such file, no permission, a disk or network that fails): it may not refuse the next time.
    #[error("{0}")]
    System(String),
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(_) => Self::System(error.to_string()),
            None => Self::Io(error.to_string()),
        }
    }
}
