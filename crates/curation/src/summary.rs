//! The summary of a run, for the report and `--json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::CurationConfig;
use crate::decide::Decisions;
use crate::metadata::MetadataSummary;
use crate::read_errors::ReadErrors;
use crate::record::Reason;

/// Faces dropped because they would be enlarged more than the limit, if they are at least a fourth of all.
///
/// A limit of 1.5 keeps samples sharp, and drops most of a dump of small images. The counts show what a smaller
/// resolution or a larger limit would keep. They are taken before duplicates are removed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SmallFaces {
    /// Number of these faces.
    pub n: usize,
    /// Half of the resolution of this run.
    pub half_resolution: u32,
    /// Number that half the resolution would keep.
    pub n_at_half_resolution: usize,
    /// Number that `max_upscale` 2 would keep, two pixels of the sample for one of the source. The limit on detail, 0.5
    /// by default, allows no more.
    pub n_at_upscale_2: usize,
}

/// Counts and files of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Inputs found.
    pub n_inputs: usize,
    /// Inputs measured in this run; the others were in the journal.
    pub n_measured: usize,
    /// Images with at least one face kept.
    pub n_images_kept: usize,
    /// Faces found.
    pub n_faces: usize,
    /// Samples in the zip.
    pub n_kept: usize,
    /// Inputs dropped, by reason.
    pub images_dropped: BTreeMap<String, usize>,
    /// Faces dropped, by reason.
    pub faces_dropped: BTreeMap<String, usize>,
    /// Inputs that the system refused to read, when there are any.
    pub read_errors: Option<ReadErrors>,
    /// Counts of faces that are dropped because they are small; `None` when these are few.
    pub small_faces: Option<SmallFaces>,
    /// Hashes with so many similar ones that not all were compared.
    pub n_capped: usize,
    /// Names of the classes, when there are labels.
    pub classes: Vec<String>,
    /// Gaps in the metadata, when a filter or label uses it.
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

/// Replaces what is not UTF-8, so that the summary can always be written.
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
    /// The counts of a run's decisions; the other fields are empty.
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
