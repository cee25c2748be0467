//! Input images of the feature networks.
//!
//! The CPU resizes in one loop; a GPU computes the same sums in the same order, as tensor ops on uploaded `u8`.

use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// `u8` images resized by [`resize_tf1`] on a device; gray ones stay gray.
///
/// # Shapes
/// - `images`: `[n, 1 | 3, height, width]`, on any device
/// - result: f32, `[n, 1 | 3, side, side]`, -1 to 1, on `device`
///
/// # Errors
/// [`Error::Images`] for other shapes or types.
pub(crate) fn network_input(images: &Tensor, side: usize, device: &Device) -> Result<Tensor> {
    let [n, channels, height, width] = check_images(images)?;
    if !device.is_cpu() {
        return resize_composed(&images.to_device(device)?, side);
    }
    let planes: Vec<u8> = images.flatten_all()?.to_vec1()?;
    let resized = resize_tf1(&planes, height, width, side);
    let shape = (n, channels, side, side);
    Ok(Tensor::from_vec(resized, shape, device)?)
}

/// The shape of `u8` images, `[n, 1 | 3, height, width]`.
///
/// # Errors
/// [`Error::Images`] for other shapes or types.
pub(crate) fn check_images(images: &Tensor) -> Result<[usize; 4]> {
    let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
    let (n, channels, height, width) = images.dims4().map_err(|_| form())?;
    if images.dtype() != DType::U8 || !matches!(channels, 1 | 3) || n * height * width == 0 {
        return Err(form());
    }
    Ok([n, channels, height, width])
}

/// The resize of TensorFlow 1 (bilinear, no half-pixel centers, no antialiasing) of planes of `u8` to `side x side`,
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

/// [`resize_tf1`] as tensor ops, which work on any device and give the same bits.
///
/// # Shapes
/// - `images`: `u8`, `[n, channels, height, width]`
/// - result: f32, `[n, channels, side, side]`
fn resize_composed(images: &Tensor, side: usize) -> Result<Tensor> {
    let (_, _, height, width) = images.dims4()?;
    let device = images.device();
    // Of an axis: the inputs below and above each output, and the weight of the latter.
    let axis = |from: usize| -> Result<[Tensor; 3]> {
        let at = positions(from, side);
        let index = |f: fn(&(usize, usize, f32)) -> usize| {
            let index: Vec<u32> = at.iter().map(|p| f(p) as u32).collect();
            Tensor::new(index, device)
        };
        let weights: Vec<f32> = at.iter().map(|p| p.2).collect();
        Ok([
            index(|p| p.0)?,
            index(|p| p.1)?,
            Tensor::new(weights, device)?,
        ])
    };
    let [left, right, x] = axis(width)?;
    let [top, bottom, y] = axis(height)?;
    let along_x = |rows: &Tensor| -> Result<Tensor> {
        let rows = images.index_select(rows, 2)?;
        let column = |at: &Tensor| rows.index_select(at, 3)?.to_dtype(DType::F32);
        lerp(&column(&left)?, &column(&right)?, &x)
    };
    let resized = lerp(
        &along_x(&top)?,
        &along_x(&bottom)?,
        &y.unsqueeze(D::Minus1)?,
    )?;
    // A power of two divides without rounding, so this is `(x - 128) / 128`.
    Ok(((resized - 128.0)? * (1.0 / 128.0))?)
}

/// `a + (b - a) * weight`
fn lerp(a: &Tensor, b: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok((a + (b - a)?.broadcast_mul(weight)?)?)
}

/// For each output position the two nearest input positions and the weight of the second.
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

    #[test]
    fn tensor_ops_resize_to_the_same_bits() {
        for (channels, height, width, side) in [(3, 64, 64, 75), (1, 33, 97, 32), (3, 7, 5, 299)] {
            let n = 2 * channels * height * width;
            let pixels: Vec<u8> = (0..n).map(|i| (i * i % 251 + i % 5) as u8).collect();
            let shape = (2, channels, height, width);
            let images = Tensor::from_vec(pixels.clone(), shape, &Device::Cpu).unwrap();
            let got = resize_composed(&images, side).unwrap();
            assert_eq!(got.dims(), [2, channels, side, side]);
            let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(got, resize_tf1(&pixels, height, width, side));
        }
    }
}
