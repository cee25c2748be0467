//! Errors of datasets.

use std::io;
use std::path::{Path, PathBuf};

use crate::problem::CheckReport;

/// An error of a dataset; each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} '{path}'")]
    Io {
        /// The attempted action (`read`, `write`).
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The archive is damaged or of an unknown kind.
    #[error("cannot read the zip '{path}'")]
    Zip {
        /// The archive.
        path: PathBuf,
        /// The error of the archive.
        source: archive::ArchiveError,
    },
    /// Neither a folder nor a zip.
    #[error("'{path}' is neither a folder nor a .zip file: it is {found}")]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// Description of its content.
        found: String,
    },
    /// There are no images.
    #[error("'{0}' holds no images")]
    NoImages(PathBuf),
    /// An image could not be read or decoded.
    #[error("cannot read the image '{name}' of '{path}': {reason}")]
    Image {
        /// The dataset.
        path: PathBuf,
        /// The sample in it.
        name: String,
        /// The reason.
        reason: String,
    },
    /// `dataset.json` is not JSON of the known form.
    #[error("cannot read dataset.json of '{path}': {reason}")]
    Labels {
        /// The dataset.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The dataset does not meet the requirements of the loader; the report lists every violation.
    #[error("'{path}' cannot be used:\n{report}")]
    Contract {
        /// The dataset.
        path: PathBuf,
        /// All violations.
        report: Box<CheckReport>,
    },
    /// A dataset cannot be written, because of an argument, a sample or the disk; the text says why.
    #[error("cannot write the dataset: {0}")]
    Write(String),
    /// A saved position of the loader is damaged or does not belong to this dataset.
    #[error("cannot continue from the saved loader position: {0}")]
    BadState(String),
    /// The decoding threads of the loader could not be started or have ended.
    #[error("the loader stopped: {0}")]
    Loader(String),
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Returns the report, or an error when it lists problems. `path` is the path of the dataset.
    ///
    /// # Errors
    /// [`Error::Contract`] with all problems.
    pub fn from_report(report: CheckReport, path: &Path) -> Result<CheckReport, Self> {
        if report.is_good() {
            return Ok(report);
        }
        Err(Self::Contract {
            path: path.to_path_buf(),
            report: Box::new(report),
        })
    }
}
