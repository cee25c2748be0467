//! Diversity of images: a check for mode collapse that is fast enough for every tick of a run.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use feature_networks::Features;

/// Diversity of images: the square root of the sum of the variances of their features. 0 when all images are equal.
///
/// # Errors
/// `TooFew` with fewer than two rows (images).
pub fn diversity(features: &Features) -> Result<f64> {
    let n = features.len();
    if n < 2 {
        return Err(Error::TooFew {
            metric: "diversity".into(),
            needed: "two images".into(),
            found: n.to_string(),
        });
    }
    let (mut sum, mut squares) = (vec![0.0; features.dim()], 0.0);
    for i in 0..n {
        for (sum, &v) in sum.iter_mut().zip(features.row(i)) {
            *sum += f64::from(v);
            squares += f64::from(v).powi(2);
        }
    }
    let n = n as f64;
    let mean_square: f64 = sum.iter().map(|s| (s / n).powi(2)).sum();
    Ok((squares / n - mean_square).max(0.0).sqrt())
}

/// Features that are fast to compute: each channel of each image averaged down to `8 x 8` values in 0..1.
///
/// # Shapes
/// - `images`: `u8` `[n, channels, height, width]`, height and width at least 8
/// - result: `n` rows of `64 * channels` values
///
/// # Errors
/// `Images` when `images` has another shape or type.
pub fn thumbnail_features(images: &Tensor) -> Result<Features> {
    const SIDE: usize = 8;
    let form = || Error::images(format!("{:?} {:?}", images.dtype(), images.shape()));
    let (n, c, h, w) = images.dims4().map_err(|_| form())?;
    if images.dtype() != DType::U8 || h < SIDE || w < SIDE {
        return Err(form());
    }
    let pixels: Vec<u8> = images.flatten_all()?.to_vec1()?;
    let mut values = Vec::with_capacity(n * c * SIDE * SIDE);
    for plane in pixels.chunks_exact(h * w) {
        for by in 0..SIDE {
            for bx in 0..SIDE {
                let (ys, xs) = (
                    by * h / SIDE..(by + 1) * h / SIDE,
                    bx * w / SIDE..(bx + 1) * w / SIDE,
                );
                let area = (ys.len() * xs.len()) as f32 * 255.0;
                let sum: u32 = ys
                    .flat_map(|y| &plane[y * w + xs.start..y * w + xs.end])
                    .map(|v| u32::from(*v))
                    .sum();
                values.push(sum as f32 / area);
            }
        }
    }
    Ok(Features::from_rows(c * SIDE * SIDE, values)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn equal_images_have_no_diversity() {
        let images = |f: &dyn Fn(usize) -> u8| {
            let values: Vec<u8> = (0..6 * 3 * 16 * 16).map(f).collect();
            Tensor::from_vec(values, (6, 3, 16, 16), &Device::Cpu).unwrap()
        };
        let same = thumbnail_features(&images(&|i| (i % 768 / 3) as u8)).unwrap();
        assert_eq!(same.dim(), 192);
        let of = |f: &Features| diversity(f).unwrap();
        assert!(of(&same) < 1e-3);
        let different = thumbnail_features(&images(&|i| (i / 768 * 40) as u8)).unwrap();
        assert!(of(&different) > 1.0, "{}", of(&different));
        assert_eq!(different.row(1)[0], 40.0 / 255.0);
    }
}
