//! The terms of the LPIPS distance (arXiv:1801.03924): for one stage of VGG16, the distance between the features of two
//! images. LPIPS is the sum over the five stages.
//!
//! [`distances`] computes in f64, because perceptual path length compares images whose latents differ by only 1e-4.

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use crate::error::Result;

/// Added to the norm of the features at a pixel before dividing by it, as in the LPIPS code.
const EPSILON: f64 = 1e-10;

/// The LPIPS term of one stage between image `i` and image `n + i` of a batch of `2 n`, for `i` from 0 to `n - 1`. The
/// features are normalized to length 1 at each pixel; their squared differences are weighted with `linear`, summed over
/// channels and averaged over pixels.
///
/// # Shapes
/// - `x`: features, f32 or f16, `[2 n, channels, height, width]`, on any device
/// - `linear`: `[channels]`
/// - result: `[n]`
pub(super) fn distances(x: &Tensor, linear: &[f32]) -> Result<Vec<f64>> {
    if x.device().is_cpu() {
        on_cpu(&x.to_dtype(DType::F32)?, linear)
    } else {
        composed(x, linear)
    }
}

/// [`distances`] composed of tensor operations, for any device.
fn composed(x: &Tensor, linear: &[f32]) -> Result<Vec<f64>> {
    let n = x.dim(0)? / 2;
    let x = x.to_dtype(DType::F64)?.flatten_from(2)?;
    let lengths = (x.sqr()?.sum_keepdim(1)?.sqrt()? + EPSILON)?;
    let x = x.broadcast_div(&lengths)?;
    let squares = (x.narrow(0, 0, n)? - x.narrow(0, n, n)?)?.sqr()?.mean(2)?;
    let linear = Tensor::new(linear, x.device())?.to_dtype(DType::F64)?;
    Ok(squares.broadcast_mul(&linear)?.sum(1)?.to_vec1()?)
}

/// [`distances`] on the CPU, with one pass over each pair of images.
fn on_cpu(x: &Tensor, linear: &[f32]) -> Result<Vec<f64>> {
    let (n, channels, h, w) = x.dims4()?;
    let pixels = h * w;
    let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let (first, second) = values.split_at(n / 2 * channels * pixels);
    let of_pair = |(a, b): (&[f32], &[f32])| -> f64 {
        let lengths = |image: &[f32]| -> Vec<f64> {
            let mut squares = vec![0.0f64; pixels];
            for plane in image.chunks_exact(pixels) {
                for (square, &v) in squares.iter_mut().zip(plane) {
                    *square += f64::from(v) * f64::from(v);
                }
            }
            squares.iter().map(|s| 1.0 / (s.sqrt() + EPSILON)).collect()
        };
        let (scale_a, scale_b) = (lengths(a), lengths(b));
        let mut sum = 0.0;
        for (channel, &weight) in linear.iter().enumerate() {
            let plane = channel * pixels..(channel + 1) * pixels;
            let squares: f64 = a[plane.clone()]
                .iter()
                .zip(&b[plane])
                .zip(scale_a.iter().zip(&scale_b))
                .map(|((&a, &b), (sa, sb))| (f64::from(a) * sa - f64::from(b) * sb).powi(2))
                .sum();
            sum += f64::from(weight) * squares;
        }
        sum / pixels as f64
    };
    let image = channels * pixels;
    Ok(first
        .par_chunks_exact(image)
        .zip(second.par_chunks_exact(image))
        .map(of_pair)
        .collect())
}

/// Normalizes the features `[n, channels, height, width]` to length 1 at each pixel. Differentiable.
pub(super) fn unit_length(x: &Tensor) -> Result<Tensor> {
    // A small number is added under the root, because the derivative of the root is infinite at 0.
    let squares = (x.sqr()?.sum_keepdim(1)? + EPSILON * EPSILON)?;
    Ok(x.broadcast_div(&(squares.sqrt()? + EPSILON)?)?)
}

/// The LPIPS term of one stage between image `i` of `a` and image `i` of `b`. Differentiable.
///
/// # Shapes
/// - `a`, `b`: results of [`unit_length`], `[n, channels, height, width]`
/// - `linear`: `[channels]`
/// - result: `[n]`
pub(super) fn distance(a: &Tensor, b: &Tensor, linear: &[f32]) -> Result<Tensor> {
    let squares = (a - b)?.sqr()?.flatten_from(2)?.mean(2)?;
    let linear = Tensor::new(linear, a.device())?.to_dtype(a.dtype())?;
    Ok(squares.broadcast_mul(&linear)?.sum(1)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn tensor_ops_give_the_same_distances() {
        let (n, channels, side) = (6, 5, 7);
        // At one pixel in eleven, all features are 0.
        let value = |i: usize| match i % (side * side) % 11 {
            0 => 0.0,
            _ => (i * i % 97) as f32 / 9.0,
        };
        let values: Vec<f32> = (0..n * channels * side * side).map(value).collect();
        let x = Tensor::from_vec(values, (n, channels, side, side), &Device::Cpu).unwrap();
        let linear = [0.5, 0.0, 2.0, 1.25, 0.1];
        let (got, want) = (
            composed(&x, &linear).unwrap(),
            distances(&x, &linear).unwrap(),
        );
        assert_eq!((got.len(), want.len()), (3, 3));
        for (got, want) in got.into_iter().zip(want) {
            assert!(
                want > 0.01 && (got / want - 1.0).abs() < 1e-12,
                "{got} {want}"
            );
        }
    }
}
