//! An estimate of the memory that a run will need, from its settings.

use candle_core::{DType, Device};
use networks::{
    Architecture, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Precision,
};

use crate::config::TrainConfig;
use crate::error::Result;

/// Size of an `f32` value in bytes.
const VALUE: f64 = 4.0;
/// Memory of the process in bytes without tensors: the program, its threads' stacks and buffers.
const PROGRAM: f64 = 30e6;
/// Peak memory of the generator's pass as a multiple of its activations: the activations kept for the backward pass,
/// their gradients, the tangents of the path length penalty, and workspace. Fitted to measurements; see the test of
/// `tools/train`.
const GENERATOR_COPIES: f64 = 4.0;
/// Peak memory of the discriminator's pass as a multiple of its activations. The R1 penalty needs tangents of all
/// layers. Fitted in the same way.
const DISCRIMINATOR_COPIES: f64 = 4.0;
/// Peak memory of augmentation as a multiple of the images in f32. Its geometric transforms pad and upsample them.
const IMAGE_COPIES: f64 = 28.0;

/// Predicted peak memory of a run in bytes, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct MemoryEstimate {
    /// Weights of both networks, their gradients, Adam's moments and the moving average.
    pub weights: u64,
    /// Outputs of all layers for a micro-batch (`batch_gpu` images), with their gradients, and the augmented images.
    pub activations: u64,
    /// Real images of the current batch, and those that are prefetched.
    pub images: u64,
    /// The sum of the other fields, plus the memory of the program itself.
    pub total: u64,
}

impl TrainConfig {
    /// The number type of the blocks that may use half precision: f32 on a CPU; f16 on a GPU, or bf16 with
    /// [`TrainConfig::bf16`].
    pub fn precision(&self, device: &Device) -> Precision {
        match Precision::of(device) {
            Precision::F16 if self.bf16 => Precision::BF16,
            precision => precision,
        }
    }

    /// The predicted peak memory of a run. Measured peaks of small runs on a CPU were within a factor of 2 of it.
    ///
    /// A trained weight counts four times (value, gradient, two moments), and once more for a generator's moving
    /// average. Activations are the outputs of all layers for `batch_gpu` images, multiplied by fitted factors for the
    /// peak; values in half precision take 2 bytes instead of 4.
    ///
    /// # Errors
    /// `Network` when the settings of the networks are invalid.
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
        // The current batch as `f32`, and three batches as bytes: the current one and two prefetched ones.
        let images = (VALUE + 3.0) * image * self.batch_size as f64;
        Ok(MemoryEstimate {
            weights: weights as u64,
            activations: activations as u64,
            images: images as u64,
            total: (PROGRAM + weights + activations + images) as u64,
        })
    }
}

/// Size in bytes of the outputs of all layers of a generator for one image.
fn generator_bytes(config: &GeneratorConfig, precision: Precision) -> f64 {
    let layers = VALUE * (config.mapping.num_layers * config.w_dim) as f64;
    let blocks = config.block_resolutions().map(|side| {
        let n_convs = if side == 4 { 1 } else { 2 };
        let value = bytes(precision.dtype_at(side, config.fp16_from(), DType::F32));
        let features = value * (n_convs * config.channels(side)) as f64;
        // Each block adds its output to an RGB image, which is upsampled for the next block.
        (features + VALUE * (2 * config.img_channels) as f64) * (side * side) as f64
    });
    layers + blocks.sum::<f64>()
}

fn bytes(dtype: DType) -> f64 {
    dtype.size_in_bytes() as f64
}

/// Size in bytes of the outputs of all layers of a discriminator for one image.
fn discriminator_bytes(config: &DiscriminatorConfig, precision: Precision) -> f64 {
    let image = config.img_resolution;
    let first = config.channels(image) * image.pow(2);
    let mut sum = bytes(precision.dtype_at(image, config.fp16_from(), DType::F32)) * first as f64;
    let mut side = config.img_resolution;
    while side > 4 {
        let (wide, narrow) = (config.channels(side), config.channels(side / 2));
        let pixels = side * side;
        // The convolution at full resolution, the blurred copy, then the output at half the resolution.
        let mut values = 2 * wide * pixels + narrow * pixels / 4;
        if config.architecture == Architecture::Resnet {
            values += narrow * pixels / 4;
        }
        sum += bytes(precision.dtype_at(side, config.fp16_from(), DType::F32)) * values as f64;
        side /= 2;
    }
    sum + VALUE * (2 * config.channels(4) * 16) as f64
}
