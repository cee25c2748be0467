//! Measurements of each input as the journal stores them; they do not depend on thresholds.

use decode::{Format, JpegFacts};
use dedup::ImageHash;
use detect::crop::CropPlan;
use serde::{Deserialize, Serialize};

/// Location of bytes in the journal's file `blobs.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Number of bytes.
    pub length: u32,
    /// CRC-32 of the bytes.
    pub crc: u32,
}

/// The record of one input that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the entry, as in [`crate::inputs::Entry::source`].
    pub source: String,
    /// Stamp of the entry when it was measured, as in [`crate::inputs::Entry::stamp`].
    pub stamp: String,
    /// SHA-256 of the file, hexadecimal; empty when it could not be read.
    pub sha256: String,
    /// The measurements, or the reason why there are none.
    pub outcome: Outcome,
}

/// The result of measuring one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not a usable image.
    Failed {
        /// The reason.
        reason: Reason,
        /// The reason in words.
        detail: String,
    },
    /// It is an image. Journals of earlier versions contain the name `picture`.
    #[serde(alias = "picture")]
    Image(Box<ImageRecord>),
}

/// Measurements of an image. `B` is the type that says where the bytes of a thumb or crop are: by default [`Blob`], a
/// place in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord<B = Blob> {
    /// Width in pixels of the upright image.
    pub width: u32,
    /// Height in pixels of the upright image.
    pub height: u32,
    /// Format of the file.
    pub format: Format,
    /// Quality and chroma subsampling, for a JPEG.
    pub jpeg: Option<JpegFacts>,
    /// Whether the file stores pixels without loss.
    pub is_lossless: bool,
    /// Chroma ([`crate::measure::chroma`]). Journals of earlier versions contain the name `colour`.
    #[serde(alias = "colour")]
    pub chroma: f64,
    /// Share of the image that is one flat tone ([`crate::measure::blank_share`]).
    pub blank: f64,
    /// Share of the image that is covered with text ([`crate::measure::text_share`]).
    pub text: f64,
    /// Effective resolution of the whole image ([`crate::measure::effective_resolution`]).
    pub effective_resolution: f64,
    /// Perceptual hash of the image.
    pub hash: ImageHash,
    /// Mean color, RGB.
    pub mean_rgb: [u8; 3],
    /// The thumb: all of the image scaled to 96 x 96 RGB pixels.
    pub thumb: B,
    /// Faces, best score first.
    pub faces: Vec<FaceRecord<B>>,
}

/// Measurements of a face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceRecord<B = Blob> {
    /// Box of the face, `[x0, y0, x1, y1]` in pixels of the image.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    /// The detector's score, 0 to 1.
    pub score: f32,
    /// The crop; `None` when none was made, for example of a face that is too small.
    pub crop: Option<CropRecord<B>>,
}

/// A finished crop and its measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropRecord<B = Blob> {
    /// The square of the image that was cropped, and its enlargement.
    pub plan: CropPlan,
    /// Blur of the crop ([`crate::measure::blur`]).
    pub blur: f64,
    /// Effective resolution ([`crate::measure::effective_resolution`]) of the part of the source image inside the
    /// square.
    pub effective_resolution: f64,
    /// Perceptual hash of the crop.
    pub hash: ImageHash,
    /// Mean color, RGB.
    pub mean_rgb: [u8; 3],
    /// The thumb: all of the crop scaled to 96 x 96 RGB pixels.
    pub thumb: B,
    /// The crop as a PNG file. Packing copies it unless another compression level is asked for.
    pub png: B,
    /// Compression level of `png`, 0 to 9. Earlier versions wrote none and always used 1.
    #[serde(default = "level_of_earlier_versions")]
    pub png_level: u8,
}

fn level_of_earlier_versions() -> u8 {
    1
}

impl<B> ImageRecord<B> {
    /// Replaces each blob by the result of `locate` for it and keeps all other measurements. `locate` is called once
    /// for each blob.
    pub fn map_blobs<C>(self, mut locate: impl FnMut(B) -> C) -> ImageRecord<C> {
        let thumb = locate(self.thumb);
        let faces = self.faces.into_iter();
        ImageRecord {
            width: self.width,
            height: self.height,
            format: self.format,
            jpeg: self.jpeg,
            is_lossless: self.is_lossless,
            chroma: self.chroma,
            blank: self.blank,
            text: self.text,
            effective_resolution: self.effective_resolution,
            hash: self.hash,
            mean_rgb: self.mean_rgb,
            thumb,
            faces: faces
                .map(|face| FaceRecord {
                    rect: face.rect,
                    score: face.score,
                    crop: face.crop.map(|crop| CropRecord {
                        plan: crop.plan,
                        blur: crop.blur,
                        effective_resolution: crop.effective_resolution,
                        hash: crop.hash,
                        mean_rgb: crop.mean_rgb,
                        thumb: locate(crop.thumb),
                        png: locate(crop.png),
                        png_level: crop.png_level,
                    }),
                })
                .collect(),
        }
    }
}

impl Record {
    /// The measurements, if the input is an image.
    pub fn image(&self) -> Option<&ImageRecord> {
        match &self.outcome {
            Outcome::Image(image) => Some(image),
            Outcome::Failed { .. } => None,
        }
    }
}

/// Why an input, an image or a face was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file or archive member cannot be read.
    Unreadable,
    /// The operating system refused to read the file this time. Not recorded in the journal, so that the next run tries
    /// again.
    ReadError,
    /// The name of an archive member would lead out of the archive's folder.
    UnsafeName,
    /// The content is not that of an image.
    #[serde(rename = "not_a_picture")]
    NotAnImage,
    /// A file of zero bytes.
    Empty,
    /// The file ends before the image does.
    Truncated,
    /// The image is corrupt or of an unsupported kind.
    DecodeError,
    /// More pixels or bytes than allowed.
    TooLarge,
    /// The program died while it measured the input, and so did a child process that measured only this input.
    Crashed,
    /// On the exclusion list.
    Excluded,
    /// Rejected by a filter on tags, rating or score.
    Metadata,
    /// The metadata has no post for the input, or several that could be its post.
    NoPost,
    /// Gray, sepia or of a single tint.
    Grayscale,
    /// Mostly one flat tone.
    Blank,
    /// Mostly covered with text.
    Text,
    /// The ratio of the longer to the shorter side is too large.
    Aspect,
    /// No face was found with a sufficient score.
    NoFace,
    /// The detector failed on the image.
    DetectError,
    /// The face or the image is too small.
    Small,
    /// Too much of the crop would lie outside of the image.
    Border,
    /// Too little detail: the crop would be enlarged too much, or the image was enlarged before.
    Upscaled,
    /// Out of focus.
    Blur,
    /// More faces than `max_faces`.
    MaxFaces,
    /// None of the image's faces is kept, and they were dropped for different reasons.
    NoFaceKept,
    /// A worse copy of an image or face that is kept.
    Duplicate,
    /// A variant of a drawing of which `max_variants` other variants are kept.
    VariantCap,
}

impl Reason {
    /// The name in the journal and the manifest.
    pub fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}
