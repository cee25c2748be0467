//! Decisions on each input by itself: exclusion list, filters on the image, filters on its faces.

use super::{Decider, Decision, DropReason, FaceDecision, detail_of};
use crate::measure::framing;
use crate::record::{FaceRecord, ImageRecord, Outcome, Reason, Record};
use detect::crop::{CropReject, plan};

impl Decider<'_> {
    /// Decides about input `i` without regard to the others.
    pub(super) fn filter(&self, i: usize) -> Decision {
        let drop = |reason: Reason, detail: String| Decision {
            drop: Some((reason, detail)),
            ..Decision::default()
        };
        let Some(record) = &self.records[i] else {
            let unknown = || (Reason::Metadata, String::new());
            let (reason, detail) = self.refused[i].clone().unwrap_or_else(unknown);
            return drop(reason, detail);
        };
        let whole = self.reject_image(record);
        let image = match &record.outcome {
            Outcome::Failed { reason, detail } => return drop(*reason, detail.clone()),
            Outcome::Image(image) => image,
        };
        let mut n_kept = 0;
        let faces: Vec<FaceDecision> = image
            .faces
            .iter()
            .map(|face| {
                let mut decision = self.filter_face(image, face);
                let max = self.config.detect.max_faces;
                if decision.drop.is_none() {
                    n_kept += 1;
                    if max > 0 && n_kept > max {
                        decision.drop = Some((
                            Reason::MaxFaces,
                            format!("{max} better faces in this image"),
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
            image.faces.is_empty().then(|| (Reason::NoFace, none()))
        });
        Decision {
            drop,
            group: None,
            faces,
        }
    }

    /// The reason to drop the whole image, whatever its faces; `None` when it passes.
    fn reject_image(&self, record: &Record) -> Option<DropReason> {
        if let Some(reason) = self.exclude.content(&record.sha256) {
            return Some((Reason::Excluded, reason.to_owned()));
        }
        let image = record.image()?;
        if let Some(reason) = self.exclude.similar(&image.hash) {
            return Some((Reason::Excluded, reason.to_owned()));
        }
        let filters = &self.config.filters;
        let (long, short) = (image.width.max(image.height), image.width.min(image.height));
        let aspect = f64::from(long) / f64::from(short.max(1));
        if filters.aspect.is_exceeded_by(aspect) {
            return Some((
                Reason::Aspect,
                format!("{} x {}", image.width, image.height),
            ));
        }
        if filters.blank.is_exceeded_by(image.blank) {
            return Some((
                Reason::Blank,
                format!("{:.1} % is one tone", image.blank * 100.0),
            ));
        }
        if filters.text.is_exceeded_by(image.text) {
            return Some((
                Reason::Text,
                format!("{:.0} % is covered with text", image.text * 100.0),
            ));
        }
        if filters.chroma.is_undercut_by(image.chroma) {
            return Some((
                Reason::Grayscale,
                format!("chroma {:.1}: gray or of a single tint", image.chroma),
            ));
        }
        None
    }

    fn filter_face(&self, image: &ImageRecord, face: &FaceRecord) -> FaceDecision {
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
            return drop(Reason::Small, format!("the face has {side:.0} pixels"));
        }
        let planned = match plan((image.width, image.height), face.rect, &crop_options) {
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
        // There is no crop yet. Counting the face as kept makes the run measure the input again; the face is decided on
        // after that.
        let Some(crop) = &face.crop else {
            return FaceDecision::default();
        };
        if let Some(reason) = self.exclude.similar(&crop.hash) {
            return drop(Reason::Excluded, reason.to_owned());
        }
        let mut is_upscaled = planned.is_upscaled;
        let detail = detail_of(crop);
        if config.filters.detail.is_undercut_by(detail) {
            if !crop_options.upscaled_ok {
                let text = format!(
                    "{:.0} % of the pixels per side carry detail: an enlarged image",
                    detail * 100.0
                );
                return drop(Reason::Upscaled, text);
            }
            is_upscaled = true;
        }
        if config.filters.blur.is_exceeded_by(crop.blur) {
            return drop(Reason::Blur, format!("blur {:.2}", crop.blur));
        }
        FaceDecision {
            is_upscaled,
            ..FaceDecision::default()
        }
    }
}
