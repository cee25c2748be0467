//! Errors of reading archives and their members.

use std::io;

/// The reason for which an archive or one of its members cannot be read. Messages are phrases that follow the name of
/// the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file is of another kind; the text names it and says what to do, see [`describe`](crate::describe).
    #[error("it is {0}")]
    NotAnArchive(String),
    /// The file ends before the archive does.
    #[error("cut short: {0}; download or copy it again")]
    CutShort(String),
    /// The parts of the file contradict each other.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A kind of archive or member that this crate does not read.
    #[error("{0}")]
    Unsupported(String),
    /// Reading failed because of the content of the file, not because of the operating system.
    #[error("{0}")]
    Io(String),
    /// The operating system reported an error (no such file, no permission, a disk or network that fails). A later
    /// attempt may succeed.
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
