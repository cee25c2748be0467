//! Decides which images and faces are kept.
//!
//! Depends on nothing but the records and the settings, so the result is the same for any number of threads. No image is
//! read, except the thumbs of candidate duplicates. `filters` decides about single inputs, `duplicates` between them.

mod duplicates;
mod filters;
#[cfg(test)]
mod tests;

use crate::config::CurationConfig;
use crate::exclude::ExcludeList;
use crate::record::{Blob, CropRecord, ImageRecord, Reason, Record};
use dedup::{Candidate, SearchError, Verification};
use std::collections::HashMap;
use std::io;

/// Why something is dropped: the reason and its description.
pub type DropReason = (Reason, String);

/// The decision on one input and its faces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Why the whole image is dropped; `None` when a face of it is kept.
    pub drop: Option<DropReason>,
    /// The duplicate group of the whole image, when it has one.
    pub group: Option<Membership>,
    /// One for each face of the record.
    pub faces: Vec<FaceDecision>,
}

/// The decision on one face.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaceDecision {
    /// Why it is dropped.
    pub drop: Option<DropReason>,
    /// Its duplicate group, when it has one.
    pub group: Option<Membership>,
    /// Kept although it is enlarged more than the limit.
    pub is_upscaled: bool,
    /// Enlargement that the crop would need, when it is dropped for that.
    pub enlargement: Option<f32>,
}

/// Membership of an image or face in a group of copies and variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// The best of the group.
    pub best: Subject,
    /// The comparison that put it into the group; `None` for the best itself.
    pub comparison: Option<Comparison>,
}

/// The other side of a comparison and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The image or face that it was compared with.
    pub with: Subject,
    /// Distance of the hashes.
    pub candidate: Candidate,
    /// Result of the pixel comparison.
    pub verification: Verification,
}

/// An image, or one of its faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Index of the input.
    pub input: usize,
    /// Index of the face; `None` for the whole image.
    pub face: Option<usize>,
}

impl Subject {
    /// The whole image of an input.
    pub fn image(input: usize) -> Self {
        Self { input, face: None }
    }

    /// A face of an input.
    pub fn face(input: usize, face: usize) -> Self {
        Self {
            input,
            face: Some(face),
        }
    }
}

/// All decisions, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// One for each input.
    pub inputs: Vec<Decision>,
    /// Hashes whose search was cut short because too many others are similar.
    pub n_capped: usize,
}

/// Why deciding failed.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A thumb in the journal is damaged: the index of the input, and the error.
    #[error("journal: {1}")]
    Damaged(usize, io::Error),
    /// The search refuses its settings.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Everything that decisions depend on.
pub struct Decider<'a> {
    /// Records in the order of the inputs; `None` for those that metadata rejected before they were read.
    pub records: &'a [Option<Record>],
    /// Why inputs were rejected before they were read.
    pub refused: &'a [Option<DropReason>],
    /// The exclusion list.
    pub exclude: &'a ExcludeList,
    /// All settings.
    pub config: &'a CurationConfig,
    /// Reads a blob of the journal.
    pub read: &'a (dyn Fn(&Blob) -> io::Result<Vec<u8>> + Sync),
}

impl Decider<'_> {
    /// Decides about every input: filters first, then duplicates among images, then among faces.
    ///
    /// # Errors
    /// When a thumb cannot be read back, or the search refuses its radius.
    pub fn decide(&self) -> Result<Decisions, DecideError> {
        let mut inputs: Vec<Decision> = (0..self.records.len()).map(|i| self.filter(i)).collect();
        let mut n_capped = 0;
        if self.config.dedup.images {
            n_capped += self.drop_duplicate_images(&mut inputs)?;
        }
        if self.config.dedup.faces {
            n_capped += self.drop_duplicate_faces(&mut inputs)?;
        }
        for decision in &mut inputs {
            if decision.drop.is_none() && decision.faces.iter().all(|face| face.drop.is_some()) {
                decision.drop = Some(most_common_reason(&decision.faces));
            }
        }
        Ok(Decisions { inputs, n_capped })
    }

    fn image(&self, input: usize) -> Option<&ImageRecord> {
        self.records[input].as_ref()?.image()
    }

    fn crop(&self, subject: Subject) -> Option<&CropRecord> {
        let image = self.image(subject.input)?;
        image.faces.get(subject.face?)?.crop.as_ref()
    }
}

/// Detail of a crop: source pixels that carry detail over pixels of the sample, per side.
pub fn detail_of(crop: &CropRecord) -> f64 {
    let side = f64::from(crop.plan.affine.side) * crop.effective_resolution;
    crate::measure::round4(side / f64::from(crop.plan.affine.resolution))
}

/// The drop reason of an image none of whose faces is kept: the most frequent one of its faces.
fn most_common_reason(faces: &[FaceDecision]) -> DropReason {
    let mut counts: HashMap<Reason, usize> = HashMap::new();
    for (reason, _) in faces.iter().filter_map(|face| face.drop.as_ref()) {
        *counts.entry(*reason).or_default() += 1;
    }
    let reason = counts
        .iter()
        .max_by_key(|(reason, n)| (**n, std::cmp::Reverse(**reason)))
        .map(|(reason, _)| *reason);
    match (faces, reason) {
        (
            [
                FaceDecision {
                    drop: Some(only), ..
                },
            ],
            _,
        ) => only.clone(),
        (_, Some(reason)) if counts.len() == 1 => (reason, format!("all {} faces", faces.len())),
        (_, reason) => {
            let most = reason.map(Reason::name).unwrap_or_default();
            (
                Reason::NoFaceKept,
                format!(
                    "none of {} faces is kept, most often for {most}",
                    faces.len()
                ),
            )
        }
    }
}
