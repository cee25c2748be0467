//! Decisions between inputs: finds near-duplicates, first of whole images, then of faces, and keeps the best copy of
//! each.

use super::{Comparison, DecideError, Decider, Decision, DropReason, Membership, Subject};
use crate::record::Reason;
use dedup::{
    Candidate, CopyQuality, GroupOptions, ImageHash, Member, Relation, Role, SearchOptions, Thumb,
    Verification, VerifyOptions, candidates, group, verify,
};
use std::collections::HashMap;
use std::io;

/// The duplicate groups among a list of subjects (images or faces).
struct Groups {
    /// Membership and role of each subject, in the order of the list. The membership of a subject without duplicates is
    /// `None`.
    members: Vec<(Option<Membership>, Role)>,
    /// Number of hashes that have so many similar hashes that they were not compared with all of them.
    n_capped: usize,
}

/// Checks a pair of subjects whose thumbs are those of copies; `false` makes the pair variants. The flag is `true` for
/// a mirrored pair.
type Confirm<'a> = dyn Fn(Subject, Subject, bool) -> Result<bool, DecideError> + Sync + 'a;

impl Decider<'_> {
    /// Drops whole images that are worse copies of another image. Returns the number of hashes whose search was cut
    /// short because too many others are near.
    pub(super) fn drop_duplicate_images(
        &self,
        inputs: &mut [Decision],
    ) -> Result<usize, DecideError> {
        // Only images with a face that would be kept take part, so that no copy is dropped in favor of a dropped image.
        let subjects: Vec<Subject> = (0..inputs.len())
            .filter(|&i| {
                inputs[i].drop.is_none() && inputs[i].faces.iter().any(|face| face.drop.is_none())
            })
            .map(Subject::image)
            .collect();
        let radius = self.config.dedup.radius;
        let groups = self.groups(&subjects, radius, &|a, b, is_mirrored| {
            self.faces_are_copies(inputs, a.input, b.input, is_mirrored)
        })?;
        for (subject, (group, role)) in subjects.iter().zip(groups.members) {
            let decision = &mut inputs[subject.input];
            if let Some(drop) = self.drop_reason(role, group.as_ref()) {
                for face in &mut decision.faces {
                    face.drop.get_or_insert_with(|| drop.clone());
                }
                decision.drop = Some(drop);
            }
            decision.group = group;
        }
        Ok(groups.n_capped)
    }

    /// Drops faces that are worse copies of another face. Returns the number of hashes whose search was cut short
    /// because too many others are near.
    pub(super) fn drop_duplicate_faces(
        &self,
        inputs: &mut [Decision],
    ) -> Result<usize, DecideError> {
        let subjects: Vec<Subject> = inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| input.drop.is_none())
            .flat_map(|(i, input)| self.kept_faces(input, i))
            .collect();
        let radius = self.config.dedup.face_radius;
        let groups = self.groups(&subjects, radius, &|_, _, _| Ok(true))?;
        for (subject, (group, role)) in subjects.iter().zip(groups.members) {
            if let Some(f) = subject.face {
                let face = &mut inputs[subject.input].faces[f];
                face.drop = self.drop_reason(role, group.as_ref());
                face.group = group;
            }
        }
        Ok(groups.n_capped)
    }

    /// The faces of an input that have a crop and are not dropped.
    fn kept_faces(&self, decision: &Decision, input: usize) -> Vec<Subject> {
        (0..decision.faces.len())
            .filter(|&f| decision.faces[f].drop.is_none())
            .map(|f| Subject::face(input, f))
            .filter(|&subject| self.crop(subject).is_some())
            .collect()
    }

    /// Groups images or faces. Pairs whose hashes are within `radius` bits are candidates; their thumbs are then
    /// compared. `confirm` is asked about each pair of copies, and can make it a pair of variants.
    fn groups(
        &self,
        subjects: &[Subject],
        radius: u32,
        confirm: &Confirm<'_>,
    ) -> Result<Groups, DecideError> {
        let hashes: Vec<(ImageHash, [u8; 3])> = subjects.iter().map(|&s| self.hash(s)).collect();
        let options = SearchOptions {
            radius,
            ..SearchOptions::default()
        };
        let found = candidates(&hashes, options, self.config.dedup.mirrored)?;
        let qualities: Vec<CopyQuality> = subjects
            .iter()
            .enumerate()
            .map(|(order, &subject)| self.quality(subject, order as u64))
            .collect();
        let limits = VerifyOptions::default();
        let compare = |a: u32, b: u32, candidate: &Candidate| -> Result<_, DecideError> {
            let (a, b) = (subjects[a as usize], subjects[b as usize]);
            let (thumb_a, mut thumb_b) = (self.thumb(a)?, self.thumb(b)?);
            if candidate.is_mirrored {
                thumb_b = thumb_b.mirrored();
            }
            let mut verification: Verification = verify(&thumb_a, &thumb_b, &limits);
            if verification.relation == Relation::Copy && !confirm(a, b, candidate.is_mirrored)? {
                verification.relation = Relation::Variant;
            }
            Ok(verification)
        };
        let options = GroupOptions {
            max_variants: self.config.dedup.max_variants,
        };
        let members = group(&qualities, &found.pairs, options, compare)?;
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for member in &members {
            *sizes.entry(member.group).or_default() += 1;
        }
        let membership = |member: &Member| {
            let with = subjects[member.center as usize];
            let comparison = member
                .comparison
                .map(|(candidate, verification)| Comparison {
                    with,
                    candidate,
                    verification,
                });
            (sizes[&member.group] > 1).then(|| Membership {
                best: subjects[member.group as usize],
                comparison,
            })
        };
        Ok(Groups {
            members: members.iter().map(|m| (membership(m), m.role)).collect(),
            n_capped: found.capped,
        })
    }

    fn drop_reason(&self, role: Role, group: Option<&Membership>) -> Option<DropReason> {
        let name = |subject: Subject| {
            let record = self.records[subject.input].as_ref();
            let source = record.map_or("", |record| record.source.as_str());
            match subject.face {
                Some(face) => format!("{source} face {face}"),
                None => source.to_owned(),
            }
        };
        match role {
            Role::Best | Role::Variant => None,
            Role::Copy => {
                let comparison = group.and_then(|group| group.comparison.as_ref());
                let original = comparison.map(|comparison| name(comparison.with));
                let detail = format!("a copy of {}", original.unwrap_or_default());
                Some((Reason::Duplicate, detail))
            }
            Role::VariantOverCap => {
                let best = group.map(|group| name(group.best)).unwrap_or_default();
                Some((Reason::VariantCap, format!("one more variant of {best}")))
            }
        }
    }

    /// Perceptual hash and mean color of a subject.
    fn hash(&self, subject: Subject) -> (ImageHash, [u8; 3]) {
        const NOTHING: ImageHash = ImageHash {
            plain: 0,
            mirrored: 0,
            trimmed: [0; 4],
            trimmed_mirrored: [0; 4],
            wide: [0; 4],
            clear_coefficients: 0,
        };
        match (self.crop(subject), self.image(subject.input)) {
            (Some(crop), _) => (crop.hash, crop.mean_rgb),
            (None, Some(image)) => (image.hash, image.mean_rgb),
            (None, None) => (NOTHING, [0; 3]),
        }
    }

    fn quality(&self, subject: Subject, position: u64) -> CopyQuality {
        let Some(image) = self.image(subject.input) else {
            return CopyQuality {
                effective_pixels: 0,
                jpeg_quality: 0,
                chroma: 0.0,
                is_lossless: false,
                position,
            };
        };
        let (area, share) = match self.crop(subject) {
            Some(crop) => (
                f64::from(crop.plan.affine.side).powi(2),
                crop.effective_resolution,
            ),
            None => (
                f64::from(image.width) * f64::from(image.height),
                image.effective_resolution,
            ),
        };
        // Soft painting lowers the effective resolution a little; only a value below 0.8 is taken for an enlarged
        // image.
        let share = if share < 0.8 { share } else { 1.0 };
        CopyQuality {
            effective_pixels: (area * share * share) as u64,
            jpeg_quality: image.jpeg.map_or(100, |jpeg| jpeg.quality),
            chroma: image.jpeg.map_or(1.0, |jpeg| jpeg.chroma),
            is_lossless: image.is_lossless,
            position,
        }
    }

    fn thumb(&self, subject: Subject) -> Result<Thumb, DecideError> {
        let crop = self.crop(subject).map(|crop| crop.thumb);
        let blob = crop.or_else(|| self.image(subject.input).map(|image| image.thumb));
        let read = || {
            let blob = blob.ok_or(io::ErrorKind::NotFound)?;
            let thumb = Thumb::from_bytes(&(self.read)(&blob)?);
            thumb.ok_or_else(|| io::ErrorKind::InvalidData.into())
        };
        read().map_err(|e| DecideError::Damaged(subject.input, e))
    }

    /// Whether the images `a` and `b` can be copies, judged by their faces. They cannot if some face of `b` is a
    /// variant of a face of `a` but a copy of none.
    ///
    /// This check is needed because the thumb of a whole image may be too coarse to show a small change, such as an
    /// opened mouth.
    fn faces_are_copies(
        &self,
        decisions: &[Decision],
        a: usize,
        b: usize,
        is_mirrored: bool,
    ) -> Result<bool, DecideError> {
        let limits = VerifyOptions::default();
        let faces_of_a: Vec<Thumb> = self
            .kept_faces(&decisions[a], a)
            .into_iter()
            .map(|subject| self.thumb(subject))
            .collect::<Result<_, _>>()?;
        for subject in self.kept_faces(&decisions[b], b) {
            let mut thumb = self.thumb(subject)?;
            if is_mirrored {
                thumb = thumb.mirrored();
            }
            let relations: Vec<Relation> = faces_of_a
                .iter()
                .map(|other| verify(other, &thumb, &limits).relation)
                .collect();
            if relations.contains(&Relation::Variant) && !relations.contains(&Relation::Copy) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
