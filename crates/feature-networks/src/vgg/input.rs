//! Converts images of a generator to the input of VGG16. Differentiable.

use candle_core::{Result, Tensor};

/// The size that larger images are averaged down to, as in the reference for path lengths and projection.
const SIDE: usize = 256;

/// The color channels, without alpha.
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

/// Averages blocks of pixels of images, or of crops of them, by the integer factor that reduces `full_side` to 256
/// pixels.
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
