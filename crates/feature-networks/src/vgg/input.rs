//! Images of a generator as VGG16 takes them. Differentiable.

use candle_core::{Result, Tensor};

/// The side that larger images are averaged down to, as the reference does for path lengths and projection.
const SIDE: usize = 256;

/// The channels without opacity.
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

/// Averages blocks of pixels: images, or crops of them, by the whole factor that brings `full_side` to 256 pixels.
///
/// # Shapes
/// - `images`: `[n, channels, height, width]`
/// - `full_side`: the side of the whole images
pub fn average_down(images: &Tensor, full_side: usize) -> Result<Tensor> {
    let factor = full_side / SIDE;
    if factor <= 1 {
        return Ok(images.clone());
    }
    let (n, c, h, w) = images.dims4()?;
    let blocks = [n, c, h / factor, factor, w / factor, factor];
    images.contiguous()?.reshape(&blocks)?.mean(5)?.mean(3)
}
