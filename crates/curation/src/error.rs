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
    /// The inputs.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The detector.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The exclusion list.
    #[error(transparent)]
    Exclude(#[from] ExcludeError),
    /// The search.
    #[error(transparent)]
    Search(#[from] dedup::SearchError),
    /// The zip.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// Journal, manifest or report.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal was damaged in every attempt.
    #[error("the journal '{}' is damaged again after each repair: delete it, and check the disk", .0.display())]
    Journal(PathBuf),
    /// The output name.
    #[error("'{}' must end in .zip", .0.display())]
    Output(PathBuf),
}
