//! Decides which images and faces are kept.
//!
//! The decisions depend only on the records, the settings and the exclusion list, so they are the same for any number
//! of threads. No image is read, except the thumbs of possible duplicates. `filters` decides on each input by itself,
//! `duplicates` compares inputs with each other.

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

/// Why an image or a face is dropped: the reason and its description in words.
pub type DropReason = (Reason, String);

/// The decision on one input and its faces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Why the whole image is dropped; `None` when at least one of its faces is kept.
    pub drop: Option<DropReason>,
    /// The duplicate group of the whole image; `None` when it has no duplicates.
    pub group: Option<Membership>,
    /// One decision for each face of the record, in the same order.
    pub faces: Vec<FaceDecision>,
}

/// The decision on one face.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaceDecision {
    /// Why the face is dropped; `None` when it is kept.
    pub drop: Option<DropReason>,
    /// The duplicate group of the face; `None` when it has no duplicates.
    pub group: Option<Membership>,
    /// Whether the face is kept although it is enlarged more than the limit.
    pub is_upscaled: bool,
    /// Enlargement that the crop would need (pixels of the finished crop per source pixel, along one side), if the face
    /// is dropped because this exceeds the limit; else `None`.
    pub enlargement: Option<f32>,
}

/// Membership of an image or face in a group of copies and variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// The best image or face of the group.
    pub best: Subject,
    /// The comparison that put this image or face into the group; `None` for the best one itself.
    pub comparison: Option<Comparison>,
}

/// A comparison with another image or face, and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The other image or face.
    pub with: Subject,
    /// The Hamming distance of the hashes, and whether the pair is mirrored.
    pub candidate: Candidate,
    /// Result of the comparison of the thumbs.
    pub verification: Verification,
}

/// An image, or one of its faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Index of the input among the inputs of the run.
    pub input: usize,
    /// Index of the face in the input's record; `None` for the whole image.
    pub face: Option<usize>,
}

impl Subject {
    /// The whole image of the input with index `input`.
    pub fn image(input: usize) -> Self {
        Self { input, face: None }
    }

    /// Face number `face` of the input with index `input`.
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
    /// One decision for each input.
    pub inputs: Vec<Decision>,
    /// Number of hashes that have so many similar hashes that they were not compared with all of them.
    pub n_capped: usize,
}

/// Why the decisions could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A thumb in the journal is damaged: the index of the input, and the error.
    #[error("journal: {1}")]
    Damaged(usize, io::Error),
    /// The search for duplicates rejects its settings: the radius is too large, or there are too many images.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Everything that decisions depend on.
pub struct Decider<'a> {
    /// Records in the order of the inputs; `None` for inputs that were rejected for their metadata before they were
    /// read.
    pub records: &'a [Option<Record>],
    /// Why each input was rejected before it was read, in the order of the inputs; `None` for the others.
    pub refused: &'a [Option<DropReason>],
    /// The exclusion list.
    pub exclude: &'a ExcludeList,
    /// All settings.
    pub config: &'a CurationConfig,
    /// Reads the bytes of a blob from the journal.
    pub read: &'a (dyn Fn(&Blob) -> io::Result<Vec<u8>> + Sync),
}

impl Decider<'_> {
    /// Decides about every input: filters first, then duplicates among images, then among faces.
    ///
    /// # Errors
    /// When a thumb cannot be read from the journal, or the search refuses its radius.
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

/// Computes the detail of a crop: number of source pixels that carry detail for each pixel of the finished crop, along
/// one side, rounded to 4 decimals.
pub fn detail_of(crop: &CropRecord) -> f64 {
    let side = f64::from(crop.plan.affine.side) * crop.effective_resolution;
    crate::measure::round4(side / f64::from(crop.plan.affine.resolution))
}

/// Returns the drop reason of an image of which no face is kept: the reason that all its faces share, or
/// [`Reason::NoFaceKept`] when their reasons differ.
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
