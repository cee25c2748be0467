//! What was measured on each input, independent of every threshold: the journal keeps these.

use decode::{Format, JpegFacts};
use dedup::PictureHash;
use detect::crop::CropPlan;
use serde::{Deserialize, Serialize};

/// Bytes in the journal's blob file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Position in the file.
    pub offset: u64,
    /// Number of bytes.
    pub length: u32,
    /// CRC-32 of the bytes.
    pub crc: u32,
}

/// One input, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the entry.
    pub source: String,
    /// Stamp of the entry when it was measured.
    pub stamp: String,
    /// SHA-256 of the file, hexadecimal; empty when it could not be read.
    pub sha256: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of reading one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is no usable picture.
    Failed {
        /// Why.
        reason: Reason,
        /// In words.
        detail: String,
    },
    /// It is a picture.
    Picture(Box<PictureRecord>),
}

/// Measurements of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    /// Pixels in a row, upright.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Kind of file.
    pub format: Format,
    /// Loss, for a JPEG.
    pub jpeg: Option<JpegFacts>,
    /// Whether the file keeps pixels exactly.
    pub is_lossless: bool,
    /// [`crate::measure::colour`].
    pub colour: f64,
    /// [`crate::measure::blank_share`].
    pub blank: f64,
    /// [`crate::measure::text_share`].
    pub text: f64,
    /// [`crate::measure::effective_resolution`] of the whole picture.
    pub effective_resolution: f64,
    /// Hash of the picture.
    pub hash: PictureHash,
    /// Mean colour.
    pub mean_rgb: [u8; 3],
    /// The 96 x 96 thumb.
    pub thumb: Blob,
    /// Faces, best score first.
    pub faces: Vec<FaceRecord>,
}

/// Measurements of a face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceRecord {
    /// `[x0, y0, x1, y1]` in the picture.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    /// The detector's score.
    pub score: f32,
    /// The crop, when one was made.
    pub crop: Option<CropRecord>,
}

/// A finished crop and its measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropRecord {
    /// Where it lies.
    pub plan: CropPlan,
    /// [`crate::measure::blur`].
    pub blur: f64,
    /// [`crate::measure::effective_resolution`] of the source under the crop.
    pub effective_resolution: f64,
    /// Hash of the crop.
    pub hash: PictureHash,
    /// Mean colour.
    pub mean_rgb: [u8; 3],
    /// The 96 x 96 thumb.
    pub thumb: Blob,
    /// The crop as a PNG.
    pub png: Blob,
}

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file or archive member cannot be read.
    Unreadable,
    /// The system refused to read it this time: kept in no journal, tried again by the next run.
    ReadError,
    /// A name that leads out of its archive.
    UnsafeName,
    /// Not a picture.
    NotAPicture,
    /// No bytes.
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
    /// Not wanted by its tags, rating or score.
    Metadata,
    /// No post in the metadata, or more than one that it could be.
    NoPost,
    /// Gray, sepia or of a single tint.
    Grayscale,
    /// Nothing on it.
    Blank,
    /// Mostly writing.
    Text,
    /// Too long or too tall.
    Aspect,
    /// The detector found no face.
    NoFace,
    /// The detector failed on it.
    DetectError,
    /// The face or the picture is too small.
    Small,
    /// Too much of the crop would lie outside of the picture.
    Border,
    /// Too little real detail: it would be enlarged too much, or was.
    Upscaled,
    /// Out of focus.
    Blur,
    /// More faces than `max_faces`.
    MaxFaces,
    /// None of its faces is kept.
    NoFaceKept,
    /// A worse copy of something kept.
    Duplicate,
    /// One variant too many.
    VariantCap,
}

impl Reason {
    /// The name in records.
    pub fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}
