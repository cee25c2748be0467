//! Perceptual path length (arXiv:1812.04948, arXiv:1912.04958): how much an image changes for a small step in latent
//! space.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::name::PathOptions;
use feature_networks::vgg::{LEAST_SIDE, Vgg16, average_down, without_alpha};

/// Length of the step along a path, as a fraction of the path.
pub const PATH_STEP: f64 = 1e-4;

/// The squared speed at which the image changes along each path: LPIPS of the pair divided by the squared step, `n`
/// values.
///
/// # Shapes
/// - `pairs`: f32 from -1 to 1, `[2 n, channels, height, width]`: `n` images, then the `n` images one step further
///
/// # Errors
/// `Images` when `pairs` has another shape or type; `TooFew` when the images are too small; `NoWeights` when VGG16 has
/// no LPIPS weights.
pub fn path_speeds(vgg: &Vgg16, pairs: &Tensor, path: PathOptions) -> Result<Vec<f64>> {
    let form = || Error::images(format!("{:?} {:?}", pairs.dtype(), pairs.shape()));
    let (_, _, height, width) = pairs.dims4().map_err(|_| form())?;
    if pairs.dtype() != DType::F32 || height != width {
        return Err(form());
    }
    let mut x = without_alpha(pairs)?;
    if path.crop {
        let eighth = width / 8;
        x = x
            .narrow(2, 3 * eighth, 4 * eighth)?
            .narrow(3, 2 * eighth, 4 * eighth)?;
    }
    let side = x.dim(2)?;
    if side < LEAST_SIDE {
        return Err(Error::TooFew {
            metric: "a path length".into(),
            needed: format!("{LEAST_SIDE} pixels on a side (twice that where it crops)"),
            found: side.to_string(),
        });
    }
    // The downsampling factor depends on the size of the whole image, even when it was cropped.
    let x = average_down(&x, width)?;
    let bytes = x.affine(127.5, 127.5)?.contiguous()?;
    let distances = vgg.lpips(&bytes)?;
    Ok(distances
        .into_iter()
        .map(|d| d / (PATH_STEP * PATH_STEP))
        .collect())
}

/// Mean of the squared speeds of [`path_speeds`], without the lowest and the highest 1 %, and the standard error of
/// this mean.
///
/// # Errors
/// `TooFew` without speeds; `NotFinite` for NaN or infinity.
pub fn path_length(speeds: &[f64]) -> Result<(f64, f64)> {
    if speeds.is_empty() {
        return Err(Error::TooFew {
            metric: "ppl".into(),
            needed: "paths".into(),
            found: "none".into(),
        });
    }
    if speeds.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("path lengths"));
    }
    let mut sorted = speeds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = (sorted.len() - 1) as f64;
    let low = sorted[(0.01 * last).floor() as usize];
    let high = sorted[(0.99 * last).ceil() as usize];
    let kept: Vec<f64> = sorted
        .into_iter()
        .filter(|v| (low..=high).contains(v))
        .collect();
    let n = kept.len() as f64;
    let mean = kept.iter().sum::<f64>() / n;
    Ok((mean, crate::fid::standard_deviation(&kept) / n.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use feature_networks::vgg::VggShape;

    /// Two pairs: a pattern and its negative, then both shifted a little. `[4, channels, side, side]`.
    fn pairs(side: usize, channels: usize) -> Tensor {
        let mut values = Vec::new();
        for (sign, step) in [(1.0, 0.0), (-1.0, 0.0), (1.0, 0.01), (-1.0, 0.02)] {
            for c in 0..channels {
                for y in 0..side {
                    for x in 0..side {
                        let v = (x * 7 + y * 13 + c * 29 + x * y / 8) % 256;
                        let base = v as f32 / 127.5 - 1.0;
                        values.push(sign * base + ((x + 3 * y) % 5) as f32 * step);
                    }
                }
            }
        }
        Tensor::from_vec(values, (4, channels, side, side), &Device::Cpu).unwrap()
    }

    /// Expected values are from PyTorch 2.15, on the same images with the same seeded weights.
    #[test]
    fn speeds_are_those_of_pytorch() {
        let vgg = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        for (side, channels, crop, want) in [
            (64, 3, false, [164_974.5, 753_541.3]),
            (64, 3, true, [158_639.8, 682_344.8]),
            (512, 3, true, [409_573.3, 1_543_430.625]),
            (512, 1, false, [460_036.7, 1_666_127.375]),
        ] {
            let path = PathOptions {
                in_w: true,
                full: false,
                crop,
            };
            let got = path_speeds(&vgg, &pairs(side, channels), path).unwrap();
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got / want - 1.0).abs() < 1e-4,
                    "{side} {crop}: {got} {want}"
                );
            }
        }
        let odd = pairs(64, 3).narrow(0, 0, 3).unwrap();
        let path = PathOptions {
            in_w: true,
            full: false,
            crop: false,
        };
        assert!(path_speeds(&vgg, &odd, path).is_err());
        let crop = PathOptions { crop: true, ..path };
        let small = path_speeds(&vgg, &pairs(24, 3), crop).unwrap_err();
        assert!(small.to_string().contains("16 pixels on a side"), "{small}");
    }

    #[test]
    fn the_lowest_and_the_highest_percent_do_not_count() {
        let speeds: Vec<f64> = (0..250)
            .map(|i| f64::from(i * 7919 % 1009) / 10.0)
            .collect();
        let (mean, error) = path_length(&speeds).unwrap();
        // Origin: numpy, percentile 1 (lower) to 99 (higher).
        assert!((mean - 50.188_617_886_178_86).abs() < 1e-9, "{mean}");
        assert!((error - 1.830_373_078_619_986).abs() < 1e-9, "{error}");
        assert_eq!(path_length(&[3.0]).unwrap().0, 3.0);
        assert!(path_length(&[]).is_err());
        assert!(path_length(&[1.0, f64::NAN]).is_err());
    }
}
