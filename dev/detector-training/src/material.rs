//! The images that training samples are composed of, and a composed sample.

use crate::canvas::Canvas;
use crate::sources::Source;

/// The sources of training images.
#[derive(Default)]
pub struct Material {
    /// One source for each folder of crops; each is drawn from equally often.
    pub crops: Vec<Source>,
    pub images: Source,
    pub backgrounds: Source,
    /// Small pieces of drawings without faces.
    pub patches: Source,
    /// The share of training images that are windows of whole images.
    pub windows: f64,
}

/// A training image.
pub struct Sample {
    pub canvas: Canvas,
    /// `[x0, y0, x1, y1]` on the canvas.
    pub faces: Vec<[f32; 4]>,
    /// May reach beyond the canvas.
    pub ignore: Vec<[f32; 4]>,
}

/// Share of `a` that lies in `b`.
pub fn covered(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    let area = (a[2] - a[0]) * (a[3] - a[1]);
    width.max(0.0) * height.max(0.0) / area.max(1e-6)
}
