//! The trait of all face detectors.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::DetectError;

/// A face detector.
///
/// A call works on the calling thread; several threads may share one detector for different images.
pub trait Detector: Send + Sync {
    /// The name for logs and records, as on the command line, for example `cascade:FILE.xml`.
    fn name(&self) -> &str;

    /// The score threshold that is used when [`DetectOptions::threshold`] is `None`.
    fn default_threshold(&self) -> f32;

    /// Finds the faces of an image, sorted by falling score; an empty list when there are none.
    ///
    /// # Errors
    /// [`DetectError::Run`] when the model fails on this image.
    fn detect(
        &self,
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError>;
}

/// A decoded image and its name.
#[derive(Clone, Copy, Debug)]
pub struct NamedImage<'a> {
    /// The decoded pixels.
    pub image: &'a RgbImage,
    /// The file name, with or without folders. Error messages contain it, and the `boxes:` detector looks up boxes by
    /// it.
    pub name: &'a str,
}

/// A detected face.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Box `[x0, y0, x1, y1]` in pixels of the image, tight around the face from brow to chin, and inside the image.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    /// Confidence from 0 to 1; comparable only between faces of the same detector.
    pub score: f32,
}

impl Face {
    /// Width of the box in pixels.
    pub fn width(&self) -> f32 {
        self.rect[2] - self.rect[0]
    }

    /// Height of the box in pixels.
    pub fn height(&self) -> f32 {
        self.rect[3] - self.rect[1]
    }
}

/// Options of [`Detector::detect`], common to all detectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectOptions {
    /// Faces below this score are dropped; `None` uses [`Detector::default_threshold`].
    pub threshold: Option<f32>,
    /// Faces whose shorter side is below this many source pixels are dropped.
    pub min_face: f32,
    /// Largest number of faces that are kept, those of highest score; 0 keeps all.
    pub max_faces: usize,
    /// Images are shrunk so that their longest side is at most this many pixels; `None` uses the detector's default.
    pub longest_side: Option<u32>,
    /// Whether images that are shrunk are searched a second time in overlapping tiles of higher resolution, which finds
    /// smaller faces.
    pub tiles: bool,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self {
            threshold: None,
            min_face: 24.0,
            max_faces: 0,
            longest_side: None,
            tiles: false,
        }
    }
}
