//! Errors that end a run.

use crate::exclude::ExcludeError;
use crate::inputs::WalkError;
use crate::metadata::MetadataError;
use detect::DetectError;
use std::io;
use std::path::PathBuf;

/// Why a run as a whole failed.
#[derive(Debug, thiserror::Error)]
pub enum CurationError {
    /// The inputs cannot be listed.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The detector cannot be loaded.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The metadata cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The exclusion list cannot be used.
    #[error(transparent)]
    Exclude(#[from] ExcludeError),
    /// The search for duplicates rejects its settings: the radius is too large, or there are too many images.
    #[error(transparent)]
    Search(#[from] dedup::SearchError),
    /// The zip cannot be written.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// A file cannot be read or written: journal, manifest, report or the detector's weights.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal in this folder was damaged again after each new measurement of its damaged records.
    #[error("the journal '{}' is damaged again after each repair: delete it, and check the disk", .0.display())]
    Journal(PathBuf),
    /// The name of the output does not end in `.zip`.
    #[error("'{}' must end in .zip", .0.display())]
    Output(PathBuf),
}
