//! What can be measured on one picture, before any threshold: each filter's number.

mod blur;
mod chroma;
mod picture;
mod spectrum;

pub use blur::blur;
pub use chroma::{blank_share, colour};
pub(crate) use picture::{Measurer, framing};
pub use spectrum::effective_resolution;

use image::RgbImage;

/// Rec. 601 luma of a picture, `[height, width]`.
fn luma(image: &RgbImage) -> Vec<u8> {
    image
        .pixels()
        .map(|p| {
            ((299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000)
                as u8
        })
        .collect()
}

/// To 4 decimals: records must read back as they were written.
pub(crate) fn round4(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
