//! Prepares generated images for VGG16. All functions are differentiable.

use candle_core::{Result, Tensor};

/// The side in pixels that larger images are reduced to, as NVIDIA's code does for perceptual path length and
/// projection.
const SIDE: usize = 256;

/// Removes the alpha channel from images of gray and alpha (2 channels) or RGB and alpha (4 channels). Differentiable.
///
/// # Shapes
/// - `images`: `[n, 1 to 4, height, width]`
/// - result: `[n, 1 or 3, height, width]`
pub fn without_alpha(images: &Tensor) -> Result<Tensor> {
    match images.dim(1)? {
        2 => images.narrow(1, 0, 1),
        4 => images.narrow(1, 0, 3),
        _ => Ok(images.clone()),
    }
}

/// Reduces images, or crops of images, by averaging blocks of `factor x factor` pixels, where `factor = full_side /
/// 256` (rounded down). Returns them unchanged if `factor` is 0 or 1. Differentiable.
///
/// `full_side` is the side of the uncropped images in pixels.
///
/// # Shapes
/// - `images`: `[n, channels, height, width]`, where `height` and `width` are multiples of `factor`
/// - result: `[n, channels, height / factor, width / factor]`
pub fn average_down(images: &Tensor, full_side: usize) -> Result<Tensor> {
    let factor = full_side / SIDE;
    if factor <= 1 {
        return Ok(images.clone());
    }
    let (n, c, h, w) = images.dims4()?;
    let blocks = [n, c, h / factor, factor, w / factor, factor];
    images.contiguous()?.reshape(&blocks)?.mean(5)?.mean(3)
}
