//! Resizes images to the input size of the feature networks.
//!
//! The CPU resizes in one loop. On a GPU, tensor operations on the uploaded `u8` images compute the same sums in the
//! same order.

use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Resizes `u8` images as [`resize_tf1`] does, and moves them to `device`. Gray images keep one channel.
///
/// # Shapes
/// - `images`: `u8`, `[n, 1 or 3, height, width]`, on any device
/// - result: f32, `[n, 1 or 3, side, side]`, values from -1 to 1, on `device`
///
/// # Errors
/// [`Error::Images`] when `images` have another shape or element type.
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

/// Checks that images are `u8` of `[n, 1 or 3, height, width]` with at least one pixel, and returns their shape.
///
/// # Errors
/// [`Error::Images`] when they have another shape or element type.
pub(crate) fn check_images(images: &Tensor) -> Result<[usize; 4]> {
    let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
    let (n, channels, height, width) = images.dims4().map_err(|_| form())?;
    if images.dtype() != DType::U8 || !matches!(channels, 1 | 3) || n * height * width == 0 {
        return Err(form());
    }
    Ok([n, channels, height, width])
}

/// Resizes `u8` planes (one channel of one image each) to `side x side` as TensorFlow 1 does (bilinear, no half-pixel
/// centers, no antialiasing), and scales the values to `(value - 128) / 128`.
///
/// Along each axis, output pixel `i` is interpolated at the input position `i * input_size / side`. Positions beyond
/// the last row or column take its value.
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

/// [`resize_tf1`] composed of tensor operations, for any device. The result is bitwise equal.
///
/// # Shapes
/// - `images`: `u8`, `[n, channels, height, width]`
/// - result: f32, `[n, channels, side, side]`
fn resize_composed(images: &Tensor, side: usize) -> Result<Tensor> {
    let (_, _, height, width) = images.dims4()?;
    let device = images.device();
    // For an axis: for each output pixel, the indices of the two input pixels around it and the weight of the second.
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
    // Multiplying by a power of two does not round, so this equals `(x - 128) / 128`.
    Ok(((resized - 128.0)? * (1.0 / 128.0))?)
}

/// Linear interpolation: `a + (b - a) * weight`.
fn lerp(a: &Tensor, b: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok((a + (b - a)?.broadcast_mul(weight)?)?)
}

/// For each of `to` output pixels along an axis of `from` input pixels, the indices of the two input pixels to
/// interpolate between, and the weight of the second.
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
        // The row 0, 128 is resized to width 4: positions 0, 0.5, 1, 1.5; the last one takes the value of the last
        // pixel.
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
