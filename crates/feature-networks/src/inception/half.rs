//! Moves the Inception network to f16 if its features are accurate enough there.

use candle_core::{DType, Device, Tensor};

use super::network::Inception;
use crate::error::Result;
use crate::features::Features;
use crate::placement::Placement;
use crate::seeded_weights::uniform;

/// The largest difference between a feature in f16 and in f32 that [`Inception::on_checked`] accepts, relative to the
/// largest feature of the batch.
pub const HALF_TOLERANCE: f32 = 1e-3;

impl Inception {
    /// Moves the network to a device and converts it to an element type, as [`Inception::on`]. For f16, it first
    /// computes features of a few synthetic images in both f16 and f32. If they differ by more than [`HALF_TOLERANCE`],
    /// the network stays in f32, with a warning in the log.
    ///
    /// # Errors
    /// When the device fails or is out of memory.
    pub fn on_checked(self, placement: &Placement) -> Result<Self> {
        if placement.dtype != DType::F16 {
            return self.on(placement);
        }
        let (single, half) = (self.clone().on(&placement.in_f32())?, self.on(placement)?);
        let images = test_images()?;
        let want = single.extract(&images)?.features;
        let error = largest_error(&half.extract(&images)?.features, &want);
        if error <= HALF_TOLERANCE {
            return Ok(half);
        }
        tracing::warn!(
            "features of these weights in f16 would be off by {error:.1e} of the largest, more than {HALF_TOLERANCE:.0e}: \
             Inception computes in f32"
        );
        Ok(single)
    }
}

/// The largest difference between two sets of features, relative to the largest feature of `want`; infinite if a
/// difference is NaN.
fn largest_error(got: &Features, want: &Features) -> f32 {
    let largest = want.values().iter().fold(0f32, |m, v| m.max(v.abs()));
    let pairs = got.values().iter().zip(want.values());
    let error = pairs
        .map(|(got, want)| (got - want).abs())
        .map(|error| if error.is_nan() { f32::INFINITY } else { error })
        .fold(0f32, f32::max);
    error / largest.max(f32::MIN_POSITIVE)
}

/// Deterministic test images, `u8` `[4, 3, 64, 64]`: two of waves and two of noise.
fn test_images() -> Result<Tensor> {
    const SIDE: usize = 64;
    let mut pixels = Vec::with_capacity(4 * 3 * SIDE * SIDE);
    for (image, channel) in (0..6).map(|plane| (plane / 3, plane % 3)) {
        for at in 0..SIDE * SIDE {
            let (x, y) = ((at % SIDE) as f32, (at / SIDE) as f32);
            let wave = (x * (0.06 + 0.3 * image as f32) + channel as f32).sin() * (y * 0.09).cos();
            pixels.push((128.0 + 120.0 * wave) as u8);
        }
    }
    let noise = uniform("pictures").take(2 * 3 * SIDE * SIDE);
    pixels.extend(noise.map(|v| (127.5 + 127.5 * v) as u8));
    Ok(Tensor::from_vec(pixels, (4, 3, SIDE, SIDE), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inception::{InceptionOptions, SeededWeights, Tap};

    /// The test is valid for GPUs too: on the CPU, every f16 operation rounds its result once, like a GPU that
    /// accumulates in f32.
    #[test]
    fn features_in_f16_stay_within_the_tolerance() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/inception/inception_fid.safetensors"
        );
        let golden = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let images = [&golden["images64_u8"], &test_images().unwrap()];
        let small = InceptionOptions {
            side: 75,
            tap: Tap::F768,
        };
        for (seed, normalization, options, tolerance) in [
            (None, true, InceptionOptions::default(), 7e-4),
            (Some(0), false, small, HALF_TOLERANCE),
        ] {
            let seeded = SeededWeights {
                seed,
                normalization,
            };
            let single = Inception::seeded(seeded, options).unwrap();
            let half = single.clone().on(&Placement::f16(&Device::Cpu)).unwrap();
            for images in images {
                let (got, want) = (
                    half.extract(images).unwrap(),
                    single.extract(images).unwrap(),
                );
                let error = largest_error(&got.features, &want.features);
                assert!(error > 1e-5 && error <= tolerance, "{error}");
            }
            let checked = single.on_checked(&Placement::f16(&Device::Cpu)).unwrap();
            assert_eq!(checked.placement().dtype, DType::F16);
        }
    }

    #[test]
    fn weights_too_large_for_f16_stay_f32() {
        let seeded = SeededWeights {
            seed: Some(0),
            normalization: false,
        };
        let mut tensors = seeded.tensors().unwrap();
        let large = (&tensors["Conv2d_1a_3x3.bn.weight"] * 1e6).unwrap();
        tensors.insert("Conv2d_1a_3x3.bn.weight".into(), large);
        let options = InceptionOptions {
            side: 75,
            tap: Tap::F64,
        };
        let network = Inception::new(&tensors, options).unwrap();
        let checked = network.on_checked(&Placement::f16(&Device::Cpu)).unwrap();
        assert_eq!(checked.placement().dtype, DType::F32);
        let features = checked.extract(&test_images().unwrap()).unwrap().features;
        assert!(features.values().iter().all(|v| v.is_finite()));
    }
}
