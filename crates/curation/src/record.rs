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
    /// It is an image. Earlier versions wrote the name `picture` into the journal.
    #[serde(alias = "picture")]
    Image(Box<ImageRecord>),
}

/// Measurements of an image. `B` is the location of thumbs and crops, by default in the journal.
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
    /// [`crate::measure::chroma`]. Earlier versions wrote the name `colour`.
    #[serde(alias = "colour")]
    pub chroma: f64,
    /// [`crate::measure::blank_share`].
    pub blank: f64,
    /// [`crate::measure::text_share`].
    pub text: f64,
    /// [`crate::measure::effective_resolution`] of the whole image.
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
    /// The crop; `None` when none was made.
    pub crop: Option<CropRecord<B>>,
}

/// A finished crop and its measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropRecord<B = Blob> {
    /// The square of the image that was cropped, and its enlargement.
    pub plan: CropPlan,
    /// [`crate::measure::blur`].
    pub blur: f64,
    /// [`crate::measure::effective_resolution`] of the part of the source image inside the square.
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
    /// The same measurements with each blob at the location that `locate` gives it; `locate` is called once for each
    /// blob.
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
    /// The operating system refused to read it this time. Not recorded in the journal, so that the next run tries
    /// again.
    ReadError,
    /// A name that would lead out of its archive.
    UnsafeName,
    /// Not an image, by its content.
    #[serde(rename = "not_a_picture")]
    NotAnImage,
    /// A file of zero bytes.
    Empty,
    /// The file ends before the image does.
    Truncated,
    /// Corrupt or unsupported.
    DecodeError,
    /// More pixels or bytes than allowed.
    TooLarge,
    /// The program died while it measured this, and so did a process that measured nothing else.
    Crashed,
    /// On the exclusion list.
    Excluded,
    /// Rejected by a filter on tags, rating or score.
    Metadata,
    /// No post in the metadata, or more than one that it could be.
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
    /// The detector failed on it.
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
    /// None of its faces is kept, for different reasons.
    NoFaceKept,
    /// A worse copy of an image or face that is kept.
    Duplicate,
    /// One variant of a drawing more than `max_variants`.
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
