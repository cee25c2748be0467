//! The images from which training samples are composed, and a composed sample.

use crate::canvas::Canvas;
use crate::sources::Source;

/// All images from which training samples are composed.
#[derive(Default)]
pub struct Material {
    /// One source for each folder of face crops; all folders are chosen equally often.
    pub crops: Vec<Source>,
    pub images: Source,
    pub backgrounds: Source,
    /// Small patches of drawings without faces.
    pub patches: Source,
    /// Share of training samples that are windows of whole images, 0 to 1.
    pub windows: f64,
}

/// A training image with its labels.
pub struct Sample {
    pub canvas: Canvas,
    /// One box `[x0, y0, x1, y1]` per face, in pixels of the canvas.
    pub faces: Vec<[f32; 4]>,
    /// Boxes of regions to ignore, in pixels of the canvas; they may extend beyond it.
    pub ignore: Vec<[f32; 4]>,
}

/// Share of the area of box `a` that is inside box `b`.
pub fn covered(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    let area = (a[2] - a[0]) * (a[3] - a[1]);
    width.max(0.0) * height.max(0.0) / area.max(1e-6)
}
