//! Pictures as the feature networks take them.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// `u8` images resized by [`resize_tf1`]; gray ones stay gray.
///
/// # Shapes
/// - `images`: `[n, 1 | 3, height, width]`
/// - result: `[n, 1 | 3, side, side]`, -1 to 1
///
/// # Errors
/// [`Error::Images`] for anything else.
pub(crate) fn network_input(images: &Tensor, side: usize) -> Result<Tensor> {
    let [n, channels, height, width] = check_images(images)?;
    let planes: Vec<u8> = images.flatten_all()?.to_vec1()?;
    let resized = resize_tf1(&planes, height, width, side);
    let shape = (n, channels, side, side);
    Ok(Tensor::from_vec(resized, shape, &Device::Cpu)?)
}

/// The shape of `u8` images, `[n, 1 | 3, height, width]`.
///
/// # Errors
/// [`Error::Images`] for anything else.
pub(crate) fn check_images(images: &Tensor) -> Result<[usize; 4]> {
    let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
    let (n, channels, height, width) = images.dims4().map_err(|_| form())?;
    if images.dtype() != DType::U8 || !matches!(channels, 1 | 3) || n * height * width == 0 {
        return Err(form());
    }
    Ok([n, channels, height, width])
}

/// The resize of TensorFlow 1 (bilinear, no half-pixel centres, no antialiasing) of planes of `u8` to `side x side`,
/// scaled to `(x - 128) / 128`.
///
/// Output pixel `i` samples input position `i * in / out`; the last row and column repeat.
///
/// # Shapes
/// - `planes`: `[n, height, width]`
/// - result: `[n, side, side]`
pub fn resize_tf1(planes: &[u8], height: usize, width: usize, side: usize) -> Vec<f32> {
    let ys = positions(height, side);
    let xs = positions(width, side);
    let mut out = vec![0.0; planes.len() / (height * width) * side * side];
    out.par_chunks_exact_mut(side * side)
        .zip(planes.par_chunks_exact(height * width))
        .for_each(|(out, plane)| {
            for (out, &(top, bottom, y)) in out.chunks_exact_mut(side).zip(&ys) {
                let top = &plane[top * width..(top + 1) * width];
                let bottom = &plane[bottom * width..(bottom + 1) * width];
                for (out, &(left, right, x)) in out.iter_mut().zip(&xs) {
                    let lerp = |row: &[u8]| {
                        let (a, b) = (f32::from(row[left]), f32::from(row[right]));
                        a + (b - a) * x
                    };
                    let (a, b) = (lerp(top), lerp(bottom));
                    *out = ((a + (b - a) * y) - 128.0) / 128.0;
                }
            }
        });
    out
}

/// For each output position the two inputs around it and the weight of the second.
fn positions(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let at = i as f32 * scale;
            let low = (at.floor() as usize).min(from - 1);
            (low, (low + 1).min(from - 1), at - low as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_samples_at_multiples_of_the_scale() {
        // A row 0, 128 to width 4: positions 0, 0.5, 1, 1.5; the last repeats.
        let got = resize_tf1(&[0, 128, 0, 128], 2, 2, 4);
        assert_eq!(&got[..4], [-1.0, -0.5, 0.0, 0.0]);
    }
}
