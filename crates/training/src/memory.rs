//! How much memory a run will take, told from its settings before any of it is taken.

use candle_core::{DType, Device};
use networks::{
    Architecture, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Precision,
};

use crate::config::TrainConfig;
use crate::error::Result;

/// Bytes of an `f32`.
const VALUE: f64 = 4.0;
/// The program itself with its threads' stacks and buffers, without any tensor.
const PROGRAM: f64 = 30e6;
/// Copies of the activations of a generator that are alive at the peak: kept for the backward pass, their gradients,
/// the tangents of the path length penalty, scratch. Fitted to measurements; see the test of `tools/train`.
const GENERATOR_COPIES: f64 = 4.0;
/// The same of a discriminator, whose R1 penalty needs tangents of everything.
const DISCRIMINATOR_COPIES: f64 = 4.0;
/// The same of the images under augmentation, which geometric transforms pad and enlarge.
const IMAGE_COPIES: f64 = 28.0;

/// Predicted memory in bytes, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct MemoryEstimate {
    /// Weights of both networks, their gradients, Adam's moments and the moving average.
    pub weights: u64,
    /// What the images at once (`batch_gpu`) become on their way through the networks.
    pub activations: u64,
    /// Real images of the batch, and those that are decoded ahead.
    pub images: u64,
    /// All of it, with the program.
    pub total: u64,
}

impl TrainConfig {
    /// What the largest resolutions compute in on this device.
    pub fn precision(&self, device: &Device) -> Precision {
        match Precision::of(device) {
            Precision::F16 if self.bf16 => Precision::BF16,
            precision => precision,
        }
    }

    /// The peak of memory that a run should need. Within a factor of 2 of what small runs took on a CPU.
    ///
    /// Weights count once for each copy that training keeps: value, gradient and two moments of what is trained, and one
    /// more generator for the moving average. Activations are the outputs of all layers for `batch_gpu` images, times
    /// the copies that are alive at the peak; those of short types count half.
    ///
    /// # Errors
    /// When the settings of the networks are impossible.
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

/// Bytes of all layers' outputs for one image.
fn generator_bytes(config: &GeneratorConfig, precision: Precision) -> f64 {
    let layers = VALUE * (config.mapping.num_layers * config.w_dim) as f64;
    let blocks = config.block_resolutions().map(|side| {
        let n_convs = if side == 4 { 1 } else { 2 };
        let value = bytes(precision.dtype_at(side, config.fp16_from(), DType::F32));
        let features = value * (n_convs * config.channels(side)) as f64;
        // Each block adds to the image; the image is enlarged for the next.
        (features + VALUE * (2 * config.img_channels) as f64) * (side * side) as f64
    });
    layers + blocks.sum::<f64>()
}

fn bytes(dtype: DType) -> f64 {
    dtype.size_in_bytes() as f64
}

/// The same of a discriminator.
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
