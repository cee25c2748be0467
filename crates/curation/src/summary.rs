//! The summary of a run, for the report and `--json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::metadata::MetadataSummary;
use crate::read_errors::ReadErrors;

/// Faces that would be enlarged more than the limit, when they are a fourth of all or more.
///
/// A limit of 1.5 is right where sharpness counts most, and costs most of a dump of small pictures. Which way out is
/// better is the user's choice, so it is counted rather than taken. Counts are before copies are removed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SmallFaces {
    /// How many are dropped for this.
    pub n: usize,
    /// Half of the resolution of this run.
    pub half_resolution: u32,
    /// Those that half the resolution would keep.
    pub n_at_half_resolution: usize,
    /// Those that `max_upscale` 2 would keep: two pixels of the result for one of the source. The limit on real detail,
    /// 0.5 by default, allows no more anyway.
    pub n_at_upscale_2: usize,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Inputs found.
    pub n_inputs: usize,
    /// Inputs decoded in this run (the others were known).
    pub n_measured: usize,
    /// Pictures with at least one face kept.
    pub n_pictures_kept: usize,
    /// Faces found.
    pub n_faces: usize,
    /// Samples in the zip.
    pub n_kept: usize,
    /// Inputs dropped, by reason.
    pub pictures_dropped: BTreeMap<String, usize>,
    /// Faces dropped, by reason.
    pub faces_dropped: BTreeMap<String, usize>,
    /// Inputs that the system refused to read, when there are any.
    pub read_errors: Option<ReadErrors>,
    /// What would keep faces that are dropped because they are small; `None` when these are few.
    pub small_faces: Option<SmallFaces>,
    /// Hashes with so many look-alikes that not all were compared.
    pub n_capped: usize,
    /// Names of the classes, when there are labels.
    pub classes: Vec<String>,
    /// What is missing in the metadata, when a filter or label looks at it.
    pub metadata: Option<MetadataSummary>,
    /// The zip; `None` for a dry run or when nothing was kept.
    #[serde(serialize_with = "lossy_option")]
    pub zip: Option<PathBuf>,
    /// The manifest.
    #[serde(serialize_with = "lossy")]
    pub manifest: PathBuf,
    /// The report.
    #[serde(serialize_with = "lossy")]
    pub report: PathBuf,
}

/// A name that is not UTF-8 must not cost the summary.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn lossy_option<S: serde::Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref()
        .map(|path| path.to_string_lossy())
        .serialize(serializer)
}
