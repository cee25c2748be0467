//! Measurements of one image: the numbers that the filters compare with their limits.

mod blur;
mod chroma;
mod measured;
mod measurer;
mod spectrum;
mod text;

pub use blur::blur;
pub use chroma::{blank_share, chroma};
pub(crate) use measured::Measured;
pub(crate) use measurer::{Measurer, framing};
pub use spectrum::effective_resolution;
pub use text::text_share;

use image::RgbImage;

/// Rec. 601 luma of the pixels, 0 to 255, `[height, width]`.
fn luma(image: &RgbImage) -> Vec<u8> {
    image.as_raw().chunks_exact(3).map(luma_of).collect()
}

/// Rec. 601 luma of a pixel, rounded.
#[inline]
fn luma_of(p: &[u8]) -> u8 {
    ((299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000) as u8
}

/// Rounds to 4 decimals, so that numbers in records read back as they were written.
pub(crate) fn round4(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
