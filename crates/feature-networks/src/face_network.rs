//! Features from this project's face detector, a small network that was trained on drawn faces and is embedded in the
//! program.
//!
//! FID computed from these features can rank training runs and snapshots of anime faces without downloading weights.
//! Unlike the features of a network with random weights, they were trained on faces. The results cannot be compared
//! with those of other programs, and change with the weights of the detector.

use std::collections::HashMap;
use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor};
use detect::embedded::EmbeddedDetector;
use detect::embedded::network::Convolution;
use detect::embedded::walk::{LayerBackend, Operand, walk};
use ops::{Activation, BiasActOptions, Conv2dOptions, bias_act, conv2d};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::features::Features;
use crate::network_input::check_images;
use crate::placement::Placement;
use crate::weight_files;

/// Side in pixels that images are resized to. A face that fills an image of this side has the size that the detector
/// detects best.
const SIDE: usize = 128;
/// The layers whose channels, averaged over the image, are the features: 48, 96 and 128 channels at strides of 8, 16
/// and 32 pixels.
const TAPS: [&str; 3] = ["block8", "block16", "block32"];

/// The layers of the embedded face detector up to `block32`, as a feature network with 272 features per image.
pub struct FaceNetwork {
    weights: HashMap<String, Tensor>,
    placement: Placement,
}

impl FaceNetwork {
    /// The name of the network with a version: `face-detector-` and the first 8 hexadecimal digits of the SHA-256 of
    /// the embedded weights. Results with different names are not comparable.
    pub fn versioned_name() -> &'static str {
        static NAME: LazyLock<String> = LazyLock::new(|| {
            let digest = Sha256::digest(EmbeddedDetector::weights());
            format!("face-detector-{}", weight_files::short(&digest))
        });
        &NAME
    }

    /// Loads the embedded weights. The network computes in f32 on the CPU; see [`FaceNetwork::on`].
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn new() -> Result<Self> {
        let bytes = EmbeddedDetector::weights();
        let weights = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?
            .into_iter()
            .map(|(name, weight)| Ok((name, weight.to_dtype(DType::F32)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            weights,
            placement: Placement::default(),
        })
    }

    /// Moves the network to a device and converts it to an element type.
    ///
    /// # Errors
    /// When the device is out of memory.
    pub fn on(mut self, placement: &Placement) -> Result<Self> {
        for weight in self.weights.values_mut() {
            *weight = placement.bring(weight)?;
        }
        self.placement = placement.clone();
        Ok(self)
    }

    /// Computes the features of a batch of images, which are resized to 128 x 128 pixels.
    ///
    /// # Shapes
    /// - `images`: `u8`, `[n, 1 or 3, height, width]`; a gray channel is used for all three colors
    /// - result: `[n, 272]`
    ///
    /// # Errors
    /// `Images` when `images` have another shape or element type.
    pub fn features(&self, images: &Tensor) -> Result<Features> {
        let image = self.placement.bring(&input(images)?)?;
        let mut backend = TensorBackend {
            weights: &self.weights,
        };
        let mut means = Vec::new();
        for x in walk(&mut backend, image, &TAPS)? {
            means.push(x.to_dtype(DType::F32)?.flatten_from(2)?.mean(2)?);
        }
        let joined = Tensor::cat(&means, 1)?;
        Features::from_rows(joined.dim(1)?, joined.flatten_all()?.to_vec1()?)
    }
}

/// Computes the layers of the detector with tensor operations.
struct TensorBackend<'a> {
    weights: &'a HashMap<String, Tensor>,
}

impl LayerBackend for TensorBackend<'_> {
    type Value = Tensor;
    type Error = Error;

    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, Tensor>,
    ) -> Result<Tensor> {
        let options = Conv2dOptions {
            stride: convolution.stride,
            padding: convolution.padding(),
            ..Conv2dOptions::default()
        };
        let weight = |part: &str| &self.weights[&format!("{name}.{part}")];
        let y = conv2d(&x, weight("weight"), &options)?;
        let act = act(convolution.is_rectified);
        Ok(bias_act(&y, Some(weight("bias")), &act)?)
    }

    fn add(
        &mut self,
        _name: &'static str,
        a: Operand<'_, Tensor>,
        b: Operand<'_, Tensor>,
    ) -> Result<Tensor> {
        Ok(bias_act(&a.add(&b)?, None, &act(true))?)
    }

    fn add_coarse(
        &mut self,
        _name: &'static str,
        fine: Operand<'_, Tensor>,
        coarse: Operand<'_, Tensor>,
    ) -> Result<Tensor> {
        let (_, _, height, width) = fine.dims4()?;
        Ok(fine.add(&coarse.upsample_nearest2d(height, width)?)?)
    }
}

fn act(is_rectified: bool) -> BiasActOptions {
    BiasActOptions {
        activation: if is_rectified {
            Activation::Relu
        } else {
            Activation::Linear
        },
        gain: Some(1.0),
        ..BiasActOptions::default()
    }
}

/// Converts `u8` images to the input of the network: f32, `[n, 3, 128, 128]`, values from -1 to 1, on the CPU. They are
/// resized with Lanczos filters (antialiased when reduced) in integer arithmetic.
fn input(images: &Tensor) -> Result<Tensor> {
    let [n, channels, height, width] = check_images(images)?;
    let planes: Vec<u8> = images.flatten_all()?.to_vec1()?;
    let resized: Vec<f32> = planes
        .par_chunks_exact(height * width)
        .flat_map_iter(|plane| {
            let plane = dataset::Image {
                width,
                height,
                channels: 1,
                pixels: plane.to_vec(),
            };
            let resized = dataset::resize(&plane, SIDE, SIDE, dataset::Filter::Lanczos);
            resized
                .pixels
                .into_iter()
                .map(|v| f32::from(v) / 127.5 - 1.0)
        })
        .collect();
    let x = Tensor::from_vec(resized, (n, channels, SIDE, SIDE), &Device::Cpu)?;
    Ok(if channels == 1 {
        x.repeat((1, 3, 1, 1))?
    } else {
        x
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic images, `u8` `[n, 3, 32, 32]`: a disc with two dots on a uniform background, plus noise.
    fn test_images(n: usize, radius: f32, noise: f32) -> Tensor {
        let side = 32;
        let mut random = rng::RandomState::new(7);
        let mut pixels = Vec::new();
        for i in 0..n {
            let (cx, cy) = (15.0 + (i % 3) as f32, 15.0 + (i % 5) as f32);
            for channel in 0..3 {
                for y in 0..side {
                    for x in 0..side {
                        let (dx, dy) = (x as f32 - cx, y as f32 - cy);
                        let is_eye = (dx.abs() - 4.0).hypot(dy) < 1.5;
                        let is_face = dx.hypot(dy) < radius;
                        let v = match (is_eye && is_face, is_face) {
                            (true, _) => 30.0,
                            (_, true) => 230.0 - 20.0 * channel as f32,
                            _ => 60.0 + 40.0 * channel as f32 + (i % 7) as f32 * 8.0,
                        };
                        let v = v + noise * random.randn(1)[0] as f32;
                        pixels.push(v.round().clamp(0.0, 255.0) as u8);
                    }
                }
            }
        }
        Tensor::from_vec(pixels, (n, 3, side, side), &Device::Cpu).unwrap()
    }

    /// The squared distance between the mean features of two sets of images.
    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let network = FaceNetwork::new().unwrap();
        let mean = |images: &Tensor| -> Vec<f64> {
            let features = network.features(images).unwrap();
            let n = images.dim(0).unwrap();
            assert_eq!((features.len(), features.dim()), (n, 272));
            let sum = |i: usize| {
                (0..n)
                    .map(|row| f64::from(features.row(row)[i]))
                    .sum::<f64>()
            };
            (0..272).map(|i| sum(i) / n as f64).collect()
        };
        let pairs = mean(a).into_iter().zip(mean(b));
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    }

    #[test]
    fn what_looks_alike_is_near() {
        let reals = test_images(40, 11.0, 0.0);
        let (near, far) = (test_images(40, 11.0, 6.0), test_images(40, 5.0, 6.0));
        assert!(distance(&reals, &reals) < 1e-3);
        assert!(distance(&reals, &near) * 2.0 < distance(&reals, &far));
    }

    #[test]
    fn gray_is_repeated_and_floats_are_refused() {
        let network = FaceNetwork::new().unwrap();
        let gray = test_images(2, 9.0, 0.0).narrow(1, 0, 1).unwrap();
        let repeated = gray.repeat((1, 3, 1, 1)).unwrap();
        assert_eq!(
            network.features(&gray).unwrap(),
            network.features(&repeated).unwrap()
        );
        assert!(
            network
                .features(&gray.to_dtype(DType::F32).unwrap())
                .is_err()
        );
    }
}
