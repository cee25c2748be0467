//! The memory that a run will need, estimated from its settings.

use candle_core::{DType, Device};
use networks::{
    Architecture, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Precision,
};

use crate::config::TrainConfig;
use crate::error::Result;

/// Bytes of an `f32` value.
const VALUE: f64 = 4.0;
/// Bytes of the program with stacks and buffers of its threads, without tensors.
const PROGRAM: f64 = 30e6;
/// Copies of a generator's activations in memory at the peak: kept for the backward pass, their gradients, the tangents of
/// the path length penalty, workspace. Fitted to measurements; see the test of `tools/train`.
const GENERATOR_COPIES: f64 = 4.0;
/// Copies of a discriminator's activations in memory at the peak. Its R1 penalty needs tangents of all layers.
const DISCRIMINATOR_COPIES: f64 = 4.0;
/// Copies of the images in memory at the peak of augmentation, whose geometric transforms pad and upsample.
const IMAGE_COPIES: f64 = 28.0;

/// Predicted memory of a run in bytes, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct MemoryEstimate {
    /// Weights of both networks, their gradients, Adam's moments and the moving average.
    pub weights: u64,
    /// Outputs of all layers for a micro-batch (`batch_gpu` images), with their gradients.
    pub activations: u64,
    /// Real images of the batch, and those that are prefetched.
    pub images: u64,
    /// The sum, with the program itself.
    pub total: u64,
}

impl TrainConfig {
    /// The number format of the largest resolutions on this device: half precision on GPUs.
    pub fn precision(&self, device: &Device) -> Precision {
        match Precision::of(device) {
            Precision::F16 if self.bf16 => Precision::BF16,
            precision => precision,
        }
    }

    /// The peak memory that a run should need. Measured peaks of small runs on a CPU were within a factor of 2.
    ///
    /// Trained weights count four times (value, gradient, two moments), those of the moving average once. Activations are
    /// the outputs of all layers for `batch_gpu` images, times the copies in memory at the peak; those in half precision
    /// count half.
    ///
    /// # Errors
    /// `Network` when the settings of the networks are impossible.
    pub fn predicted_memory(&self, precision: Precision) -> Result<MemoryEstimate> {
        let values = |slots: Vec<networks::TensorSpec>| -> f64 {
            let sizes = slots
                .iter()
                .map(|slot| slot.shape.iter().product::<usize>());
            sizes.sum::<usize>() as f64
        };
        let g = values(Generator::layout(&self.generator)?);
        let d = values(Discriminator::layout(&self.discriminator)?);
        let weights = VALUE * (5.0 * g + 4.0 * d);
        let image = (self.generator.img_channels * self.generator.img_resolution.pow(2)) as f64;
        let per_image = GENERATOR_COPIES * generator_bytes(&self.generator, precision)
            + DISCRIMINATOR_COPIES * discriminator_bytes(&self.discriminator, precision)
            + IMAGE_COPIES * VALUE * image;
        let activations = per_image * self.batch_gpu as f64;
        // A batch as `f32`, and three of them as bytes: given, and two ahead.
        let images = (VALUE + 3.0) * image * self.batch_size as f64;
        Ok(MemoryEstimate {
            weights: weights as u64,
            activations: activations as u64,
            images: images as u64,
            total: (PROGRAM + weights + activations + images) as u64,
        })
    }
}

/// Bytes of the outputs of all layers of a generator for one image.
fn generator_bytes(config: &GeneratorConfig, precision: Precision) -> f64 {
    let layers = VALUE * (config.mapping.num_layers * config.w_dim) as f64;
    let blocks = config.block_resolutions().map(|side| {
        let n_convs = if side == 4 { 1 } else { 2 };
        let value = bytes(precision.dtype_at(side, config.fp16_from(), DType::F32));
        let features = value * (n_convs * config.channels(side)) as f64;
        // Each block adds to the image, which is upsampled for the next.
        (features + VALUE * (2 * config.img_channels) as f64) * (side * side) as f64
    });
    layers + blocks.sum::<f64>()
}

fn bytes(dtype: DType) -> f64 {
    dtype.size_in_bytes() as f64
}

/// Bytes of the outputs of all layers of a discriminator for one image.
fn discriminator_bytes(config: &DiscriminatorConfig, precision: Precision) -> f64 {
    let image = config.img_resolution;
    let first = config.channels(image) * image.pow(2);
    let mut sum = bytes(precision.dtype_at(image, config.fp16_from(), DType::F32)) * first as f64;
    let mut side = config.img_resolution;
    while side > 4 {
        let (wide, narrow) = (config.channels(side), config.channels(side / 2));
        let pixels = side * side;
        // The convolution at full size, the blurred copy, then the halved outputs.
        let mut values = 2 * wide * pixels + narrow * pixels / 4;
        if config.architecture == Architecture::Resnet {
            values += narrow * pixels / 4;
        }
        sum += bytes(precision.dtype_at(side, config.fp16_from(), DType::F32)) * values as f64;
        side /= 2;
    }
    sum + VALUE * (2 * config.channels(4) * 16) as f64
}
