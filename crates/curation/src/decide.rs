//! From measurements to decisions. Reads no pixels (thumbs of suspected copies apart) and depends on nothing but the
//! records and the settings: the same input, the same answer, whatever the threads did.

use crate::config::CurationConfig;
use crate::exclude::ExcludeList;
use crate::measure::framing;
use crate::record::{Blob, CropRecord, Outcome, PictureRecord, Reason, Record};
use dedup::{
    Candidate, CopyQuality, GroupOptions, Member, PictureHash, Role, SearchError, SearchOptions,
    Thumb, Verdict, Verification, VerifyOptions, candidates, group, verify,
};
use detect::crop::{CropReject, plan};
use std::collections::HashMap;
use std::io;

/// Why something is dropped, in words too.
pub type Drop = (Reason, String);

/// The fate of one input and of its faces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Why the whole picture is dropped; `None` when a face of it is kept.
    pub drop: Option<Drop>,
    /// Copies and variants of the whole picture.
    pub kinship: Option<Kinship>,
    /// One for each face of the record.
    pub faces: Vec<FaceDecision>,
}

/// The fate of one face.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaceDecision {
    /// Why it is dropped.
    pub drop: Option<Drop>,
    /// Copies and variants.
    pub kinship: Option<Kinship>,
    /// Kept although it is enlarged more than the limit.
    pub is_upscaled: bool,
    /// How much it would be enlarged, when it is dropped for that.
    pub enlargement: Option<f32>,
}

/// How a picture or face relates to the best of its group.
#[derive(Clone, Debug, PartialEq)]
pub struct Kinship {
    /// Best of the group, as (input, face).
    pub group: Place,
    /// What it was compared with, and the evidence; `None` for the best itself.
    pub evidence: Option<(Place, Candidate, Verification)>,
}

/// An input by its index, and perhaps one of its faces.
pub type Place = (usize, Option<usize>);

/// Everything decided, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// One for each input.
    pub inputs: Vec<Decision>,
    /// Hashes whose search was cut short because too many others are alike.
    pub n_capped: usize,
}

/// Why deciding failed.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A thumb in the journal is damaged: (input, what happened).
    #[error("journal: {1}")]
    Damaged(usize, io::Error),
    /// The search refuses its settings.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// What deciding looks at.
pub struct Evidence<'a> {
    /// Records in the order of the inputs; `None`: refused by metadata before it was read.
    pub records: &'a [Option<Record>],
    /// Why inputs were refused before they were read.
    pub refused: &'a [Option<Drop>],
    /// The exclusion list.
    pub exclude: &'a ExcludeList,
    /// All settings.
    pub config: &'a CurationConfig,
    /// Reads a blob of the journal.
    pub read: &'a (dyn Fn(&Blob) -> io::Result<Vec<u8>> + Sync),
}

impl Evidence<'_> {
    /// Decides about every input.
    ///
    /// # Errors
    /// When a thumb cannot be read back, or the search refuses its radius.
    pub fn decide(&self) -> Result<Decisions, DecideError> {
        let mut inputs: Vec<Decision> =
            (0..self.records.len()).map(|i| self.by_itself(i)).collect();
        let mut n_capped = 0;
        if self.config.dedup.pictures {
            n_capped += self.between_pictures(&mut inputs)?;
        }
        if self.config.dedup.faces {
            n_capped += self.between_faces(&mut inputs)?;
        }
        for decision in &mut inputs {
            if decision.drop.is_none() && decision.faces.iter().all(|face| face.drop.is_some()) {
                decision.drop = Some(summary(&decision.faces));
            }
        }
        Ok(Decisions { inputs, n_capped })
    }

    fn picture(&self, i: usize) -> Option<&PictureRecord> {
        match &self.records[i].as_ref()?.outcome {
            Outcome::Picture(picture) => Some(picture),
            Outcome::Failed { .. } => None,
        }
    }

    fn crop(&self, (i, face): Place) -> Option<&CropRecord> {
        self.picture(i)?.faces.get(face?)?.crop.as_ref()
    }

    /// Decides about one input without looking at others.
    fn by_itself(&self, i: usize) -> Decision {
        let drop = |reason: Reason, detail: String| Decision {
            drop: Some((reason, detail)),
            ..Decision::default()
        };
        let Some(record) = &self.records[i] else {
            let unknown = || (Reason::Metadata, String::new());
            let (reason, detail) = self.refused[i].clone().unwrap_or_else(unknown);
            return drop(reason, detail);
        };
        let whole = self.whole_picture(record);
        let picture = match &record.outcome {
            Outcome::Failed { reason, detail } => return drop(*reason, detail.clone()),
            Outcome::Picture(picture) => picture,
        };
        let mut n_kept = 0;
        let faces: Vec<FaceDecision> = picture
            .faces
            .iter()
            .map(|face| {
                let mut decision = self.face(picture, face);
                let max = self.config.detect.max_faces;
                if decision.drop.is_none() {
                    n_kept += 1;
                    if max > 0 && n_kept > max {
                        decision.drop = Some((
                            Reason::MaxFaces,
                            format!("{max} better faces in this picture"),
                        ));
                    }
                }
                if let Some(whole) = &whole {
                    decision.drop = Some(whole.clone());
                }
                decision
            })
            .collect();
        let drop = whole.or_else(|| {
            let threshold = self
                .config
                .detect
                .threshold
                .map(|t| format!(" with a score of {t} or more"));
            let none = || format!("no face was found{}", threshold.unwrap_or_default());
            picture.faces.is_empty().then(|| (Reason::NoFace, none()))
        });
        Decision {
            drop,
            kinship: None,
            faces,
        }
    }

    fn whole_picture(&self, record: &Record) -> Option<Drop> {
        if let Some(reason) = self.exclude.content(&record.sha256) {
            return Some((Reason::Excluded, reason.to_owned()));
        }
        let Outcome::Picture(picture) = &record.outcome else {
            return None;
        };
        if let Some(reason) = self.exclude.looks(&picture.hash) {
            return Some((Reason::Excluded, reason.to_owned()));
        }
        let filters = &self.config.filters;
        let (long, short) = (
            picture.width.max(picture.height),
            picture.width.min(picture.height),
        );
        let aspect = f64::from(long) / f64::from(short.max(1));
        if filters.aspect.is_below(aspect) {
            return Some((
                Reason::Aspect,
                format!("{} x {}", picture.width, picture.height),
            ));
        }
        if filters.blank.is_below(picture.blank) {
            return Some((
                Reason::Blank,
                format!("{:.1} % is one tone", picture.blank * 100.0),
            ));
        }
        if filters.text.is_below(picture.text) {
            return Some((
                Reason::Text,
                format!("{:.0} % is covered with writing", picture.text * 100.0),
            ));
        }
        if filters.colour.is_above(picture.colour) {
            return Some((
                Reason::Grayscale,
                format!("colour beyond one tint {:.1}", picture.colour),
            ));
        }
        None
    }

    fn face(&self, picture: &PictureRecord, face: &crate::record::FaceRecord) -> FaceDecision {
        let drop = |reason: Reason, detail: String| FaceDecision {
            drop: Some((reason, detail)),
            ..Default::default()
        };
        let (config, crop_options) = (self.config, framing(self.config));
        if let Some(threshold) = config.detect.threshold
            && face.score < threshold
        {
            return drop(Reason::NoFace, format!("score {:.3}", face.score));
        }
        let side = (face.rect[2] - face.rect[0]).min(face.rect[3] - face.rect[1]);
        if side < config.detect.min_face {
            return drop(Reason::Small, format!("the face is {side:.0} pixels small"));
        }
        let planned = match plan((picture.width, picture.height), face.rect, &crop_options) {
            Ok(planned) => planned,
            Err(reject) => {
                let reason = match reject {
                    CropReject::Border { .. } => Reason::Border,
                    CropReject::Small { .. } | CropReject::Empty => Reason::Small,
                    CropReject::Upscaled { .. } => Reason::Upscaled,
                };
                let enlargement = match reject {
                    CropReject::Upscaled { factor, .. } => Some(factor),
                    _ => None,
                };
                return FaceDecision {
                    enlargement,
                    ..drop(reason, reject.to_string())
                };
            }
        };
        // Not there yet: it will be made, and then judged.
        let Some(crop) = &face.crop else {
            return FaceDecision::default();
        };
        if let Some(reason) = self.exclude.looks(&crop.hash) {
            return drop(Reason::Excluded, reason.to_owned());
        }
        let mut is_upscaled = planned.is_upscaled;
        let detail = detail_of(crop);
        if config.filters.detail.is_above(detail) {
            if !crop_options.upscaled_ok {
                let text = format!(
                    "{:.0} % of the pixels per side carry detail: an enlarged picture",
                    detail * 100.0
                );
                return drop(Reason::Upscaled, text);
            }
            is_upscaled = true;
        }
        if config.filters.blur.is_below(crop.blur) {
            return drop(Reason::Blur, format!("blur {:.2}", crop.blur));
        }
        FaceDecision {
            is_upscaled,
            ..FaceDecision::default()
        }
    }

    /// Drops worse copies of whole pictures.
    fn between_pictures(&self, inputs: &mut [Decision]) -> Result<usize, DecideError> {
        // Only pictures with a face that would be kept: a copy is never dropped in favour of nothing.
        let live: Vec<usize> = (0..inputs.len())
            .filter(|&i| {
                inputs[i].drop.is_none() && inputs[i].faces.iter().any(|face| face.drop.is_none())
            })
            .collect();
        let places: Vec<Place> = live.iter().map(|&i| (i, None)).collect();
        let found = self.groups(&places, self.config.dedup.radius, &|a, b, is_mirrored| {
            self.faces_agree(&inputs[a.0], &inputs[b.0], a.0, b.0, is_mirrored)
        })?;
        for (&(i, _), (kinship, role)) in places.iter().zip(found.0) {
            inputs[i].kinship = kinship.clone();
            if let Some(drop) = self.drop_of(role, kinship.as_ref()) {
                for face in &mut inputs[i].faces {
                    face.drop.get_or_insert_with(|| drop.clone());
                }
                inputs[i].drop = Some(drop);
            }
        }
        Ok(found.1)
    }

    /// Drops worse copies of faces.
    fn between_faces(&self, inputs: &mut [Decision]) -> Result<usize, DecideError> {
        let places: Vec<Place> = inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| input.drop.is_none())
            .flat_map(|(i, input)| (0..input.faces.len()).map(move |f| (i, Some(f))))
            .filter(|&(i, f)| {
                f.is_some_and(|f| inputs[i].faces[f].drop.is_none()) && self.crop((i, f)).is_some()
            })
            .collect();
        let found = self.groups(&places, self.config.dedup.face_radius, &|_, _, _| Ok(true))?;
        for (&(i, f), (kinship, role)) in places.iter().zip(found.0) {
            let Some(face) = f.and_then(|f| inputs[i].faces.get_mut(f)) else {
                continue;
            };
            face.drop = self.drop_of(role, kinship.as_ref());
            face.kinship = kinship;
        }
        Ok(found.1)
    }

    /// Groups pictures or faces; `agree` has the last word on a copy.
    #[allow(clippy::type_complexity)] // one private caller shape
    fn groups(
        &self,
        places: &[Place],
        radius: u32,
        agree: &(dyn Fn(Place, Place, bool) -> Result<bool, DecideError> + Sync),
    ) -> Result<(Vec<(Option<Kinship>, Role)>, usize), DecideError> {
        let looks: Vec<(PictureHash, [u8; 3])> =
            places.iter().map(|&place| self.looks(place)).collect();
        let options = SearchOptions {
            radius,
            ..SearchOptions::default()
        };
        let found = candidates(&looks, options, self.config.dedup.mirrored)?;
        let qualities: Vec<CopyQuality> = places
            .iter()
            .enumerate()
            .map(|(order, &place)| self.quality(place, order as u64))
            .collect();
        let limits = VerifyOptions::default();
        let judge = |a: u32, b: u32, candidate: &Candidate| -> Result<Verification, DecideError> {
            let (a, b) = (places[a as usize], places[b as usize]);
            let (thumb_a, mut thumb_b) = (self.thumb(a)?, self.thumb(b)?);
            if candidate.is_mirrored {
                thumb_b = thumb_b.mirrored();
            }
            let mut verification = verify(&thumb_a, &thumb_b, &limits);
            if verification.verdict == Verdict::Copy && !agree(a, b, candidate.is_mirrored)? {
                verification.verdict = Verdict::Variant;
            }
            Ok(verification)
        };
        let members = group(
            &qualities,
            &found.pairs,
            GroupOptions {
                max_variants: self.config.dedup.max_variants,
            },
            judge,
        )?;
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for member in &members {
            *sizes.entry(member.group).or_default() += 1;
        }
        let kin = |member: &Member| {
            (sizes[&member.group] > 1).then(|| Kinship {
                group: places[member.group as usize],
                evidence: member.evidence.map(|(candidate, verification)| {
                    (places[member.centre as usize], candidate, verification)
                }),
            })
        };
        Ok((
            members.iter().map(|m| (kin(m), m.role)).collect(),
            found.capped,
        ))
    }

    fn drop_of(&self, role: Role, kinship: Option<&Kinship>) -> Option<Drop> {
        let name = |(i, face): Place| {
            let source = self.records[i]
                .as_ref()
                .map_or("", |record| record.source.as_str());
            face.map_or_else(|| source.to_owned(), |face| format!("{source} face {face}"))
        };
        match role {
            Role::Best | Role::Variant => None,
            Role::Copy => {
                let centre = kinship
                    .and_then(|k| k.evidence.as_ref())
                    .map(|(centre, _, _)| name(*centre));
                Some((
                    Reason::Duplicate,
                    format!("a copy of {}", centre.unwrap_or_default()),
                ))
            }
            Role::VariantOverCap => {
                let best = kinship.map(|k| name(k.group)).unwrap_or_default();
                Some((Reason::VariantCap, format!("one more variant of {best}")))
            }
        }
    }

    fn looks(&self, place: Place) -> (PictureHash, [u8; 3]) {
        const NOTHING: PictureHash = PictureHash {
            plain: 0,
            mirrored: 0,
            trimmed: [0; 4],
            trimmed_mirrored: [0; 4],
            wide: [0; 4],
            clear_coefficients: 0,
        };
        match (self.crop(place), self.picture(place.0)) {
            (Some(crop), _) => (crop.hash, crop.mean_rgb),
            (None, Some(picture)) => (picture.hash, picture.mean_rgb),
            (None, None) => (NOTHING, [0; 3]),
        }
    }

    fn quality(&self, place: Place, position: u64) -> CopyQuality {
        let Some(picture) = self.picture(place.0) else {
            return CopyQuality {
                effective_pixels: 0,
                jpeg_quality: 0,
                chroma: 0.0,
                is_lossless: false,
                position,
            };
        };
        let (area, share) = match self.crop(place) {
            Some(crop) => (
                f64::from(crop.plan.affine.side).powi(2),
                crop.effective_resolution,
            ),
            None => (
                f64::from(picture.width) * f64::from(picture.height),
                picture.effective_resolution,
            ),
        };
        // A little softness is the painter's; only a clear cliff in the spectrum is an enlargement.
        let share = if share < 0.8 { share } else { 1.0 };
        CopyQuality {
            effective_pixels: (area * share * share) as u64,
            jpeg_quality: picture.jpeg.map_or(100, |jpeg| jpeg.quality),
            chroma: picture.jpeg.map_or(1.0, |jpeg| jpeg.chroma),
            is_lossless: picture.is_lossless,
            position,
        }
    }

    fn thumb(&self, place: Place) -> Result<Thumb, DecideError> {
        let blob = self
            .crop(place)
            .map(|crop| crop.thumb)
            .or_else(|| self.picture(place.0).map(|p| p.thumb));
        let bytes = blob.map_or_else(
            || Err(io::ErrorKind::NotFound.into()),
            |blob| (self.read)(&blob),
        );
        bytes
            .and_then(|bytes| {
                Thumb::from_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
            })
            .map_err(|e| DecideError::Damaged(place.0, e))
    }

    /// Whether no face of one picture is a mere variant of a face of the other: a thumb of a whole picture may be too
    /// coarse to show that a small mouth opened.
    fn faces_agree(
        &self,
        a: &Decision,
        b: &Decision,
        index_a: usize,
        index_b: usize,
        is_mirrored: bool,
    ) -> Result<bool, DecideError> {
        let live = |decision: &Decision, i: usize| -> Vec<Place> {
            (0..decision.faces.len())
                .filter(|&f| decision.faces[f].drop.is_none())
                .map(|f| (i, Some(f)))
                .filter(|&place| self.crop(place).is_some())
                .collect()
        };
        let limits = VerifyOptions::default();
        let theirs: Vec<Thumb> = live(a, index_a)
            .into_iter()
            .map(|place| self.thumb(place))
            .collect::<Result<_, _>>()?;
        for place in live(b, index_b) {
            let mut thumb = self.thumb(place)?;
            if is_mirrored {
                thumb = thumb.mirrored();
            }
            let verdicts: Vec<Verdict> = theirs
                .iter()
                .map(|other| verify(other, &thumb, &limits).verdict)
                .collect();
            if verdicts.contains(&Verdict::Variant) && !verdicts.contains(&Verdict::Copy) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Real pixels per pixel of the result, per side.
pub fn detail_of(crop: &CropRecord) -> f64 {
    let side = f64::from(crop.plan.affine.side) * crop.effective_resolution;
    crate::measure::round4(side / f64::from(crop.plan.affine.resolution))
}

/// The commonest reason among the faces of a picture that keeps none of them.
fn summary(faces: &[FaceDecision]) -> Drop {
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
