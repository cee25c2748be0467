//! The summary of a run, for the report and `--json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::CurationConfig;
use crate::decide::Decisions;
use crate::metadata::MetadataSummary;
use crate::read_errors::ReadErrors;
use crate::record::Reason;

/// Counts of faces that are dropped because they would be enlarged more than the limit.
///
/// A limit of 1.5 keeps samples sharp, but drops most faces when the images are small. The counts show how many of
/// these faces a smaller resolution or a larger limit would keep, before duplicates are removed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SmallFaces {
    /// Number of faces dropped for this reason.
    pub n: usize,
    /// Half of the resolution of this run.
    pub half_resolution: u32,
    /// Number of these faces that half the resolution would keep.
    pub n_at_half_resolution: usize,
    /// Number of these faces that a `max_upscale` of 2 would keep: along each side, two pixels of the sample for one
    /// pixel of the source. A larger `max_upscale` would keep no more, because of the limit on detail (0.5 by default).
    pub n_at_upscale_2: usize,
}

/// Counts and files of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Number of inputs found.
    pub n_inputs: usize,
    /// Number of inputs measured in this run; the others were in the journal.
    pub n_measured: usize,
    /// Number of images with at least one face kept.
    pub n_images_kept: usize,
    /// Number of faces found.
    pub n_faces: usize,
    /// Number of faces kept, which are the samples of the zip.
    pub n_kept: usize,
    /// Number of inputs dropped, for each reason.
    pub images_dropped: BTreeMap<String, usize>,
    /// Number of faces dropped, for each reason.
    pub faces_dropped: BTreeMap<String, usize>,
    /// Inputs that the operating system refused to read; `None` when there are none.
    pub read_errors: Option<ReadErrors>,
    /// Counts of faces dropped because they are small; `None` when they are less than a fourth of all faces.
    pub small_faces: Option<SmallFaces>,
    /// Number of hashes that have so many similar hashes that they were not compared with all of them.
    pub n_capped: usize,
    /// Names of the classes, by label; empty without labels.
    pub classes: Vec<String>,
    /// Gaps in the metadata; `None` when no filter or label uses it.
    pub metadata: Option<MetadataSummary>,
    /// The zip; `None` for a dry run, when nothing was kept, or when too many inputs could not be read.
    #[serde(serialize_with = "lossy_option")]
    pub zip: Option<PathBuf>,
    /// The manifest.
    #[serde(serialize_with = "lossy")]
    pub manifest: PathBuf,
    /// The report.
    #[serde(serialize_with = "lossy")]
    pub report: PathBuf,
}

/// Serializes a path as text. Parts that are not UTF-8 are replaced, so that the summary can always be written.
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

impl Summary {
    /// The counts of a run's decisions; the other fields are left empty.
    pub(crate) fn of(decisions: &Decisions, config: &CurationConfig) -> Self {
        let mut summary = Self {
            n_inputs: decisions.inputs.len(),
            n_capped: decisions.n_capped,
            ..Self::default()
        };
        for decision in &decisions.inputs {
            match &decision.drop {
                None => summary.n_images_kept += 1,
                Some((reason, _)) => *summary.images_dropped.entry(reason.name()).or_default() += 1,
            }
            for face in &decision.faces {
                summary.n_faces += 1;
                match &face.drop {
                    None => summary.n_kept += 1,
                    Some((reason, _)) => {
                        *summary.faces_dropped.entry(reason.name()).or_default() += 1;
                    }
                }
            }
        }
        summary.small_faces = small_faces(decisions, config, summary.n_faces);
        summary
    }
}

fn small_faces(
    decisions: &Decisions,
    config: &CurationConfig,
    n_faces: usize,
) -> Option<SmallFaces> {
    let faces = decisions.inputs.iter().flat_map(|input| &input.faces);
    let factors: Vec<f32> = faces
        .filter(|face| matches!(face.drop, Some((Reason::Upscaled, _))))
        .filter_map(|face| face.enlargement)
        .collect();
    let within = |limit: f32| factors.iter().filter(|&&factor| factor <= limit).count();
    (factors.len() * 4 >= n_faces && !factors.is_empty()).then(|| SmallFaces {
        n: factors.len(),
        half_resolution: config.crop.resolution / 2,
        n_at_half_resolution: within(config.crop.max_upscale * 2.0),
        n_at_upscale_2: within(2.0),
    })
}
