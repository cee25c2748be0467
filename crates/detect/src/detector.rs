use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::DetectError;

/// Finds faces in an image.
///
/// One call uses one thread; a detector is shared by the threads that work on different images.
pub trait Detector: Send + Sync {
    /// The name for logs and records, as it would be typed: `cascade:FILE.xml`.
    fn name(&self) -> &str;

    /// The score below which faces are dropped when [`DetectOptions::threshold`] is not set.
    fn default_threshold(&self) -> f32;

    /// Finds the faces of an image, best score first.
    ///
    /// # Errors
    /// [`DetectError::Run`] when the model fails on this image. An image without faces is an empty list.
    fn detect(
        &self,
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError>;
}

/// A decoded image and the name it is known by.
#[derive(Clone, Copy, Debug)]
pub struct NamedImage<'a> {
    /// The pixels.
    pub image: &'a RgbImage,
    /// The file name, with or without folders: `boxes:` looks images up by it, errors name it.
    pub name: &'a str,
}

/// A face in an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// `[x0, y0, x1, y1]` in pixels of the image, tight on the face from brow to chin, inside the image.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    /// Confidence in `0..=1`, comparable within one detector only.
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

/// Options of every detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectOptions {
    /// Faces below this score are dropped; `None` takes the detector's own default.
    pub threshold: Option<f32>,
    /// Faces whose shorter side is below this many source pixels are dropped.
    pub min_face: f32,
    /// At most this many faces of an image are kept, the best first; 0 keeps all.
    pub max_faces: usize,
    /// Images are shrunk until their longest side is at most this; `None` takes the detector's default.
    pub longest_side: Option<u32>,
    /// Images that had to be shrunk are also searched in overlapping tiles at finer scales.
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
