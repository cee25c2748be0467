//! Architecture of a network, under the official names of the settings.

use serde::{Deserialize, Serialize};

/// How blocks connect to the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// One path from end to end.
    Orig,
    /// Every block has a connection of its own to the picture.
    Skip,
    /// Residual blocks.
    Resnet,
}

impl Architecture {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orig => "orig",
            Self::Skip => "skip",
            Self::Resnet => "resnet",
        }
    }
}

/// Settings of a mapping network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingConfig {
    /// Number of dense layers (`fc0`, `fc1`, ...).
    pub num_layers: usize,
    /// Width of the label embedding; 0 without labels.
    pub embed_features: usize,
    /// Width of the hidden layers.
    pub layer_features: usize,
    /// Activation of the dense layers.
    pub activation: String,
    /// Learning rate multiplier that is built into the weights.
    pub lr_multiplier: f64,
    /// Decay of `w_avg`; `None` in a discriminator.
    pub w_avg_beta: Option<f64>,
}

/// Settings of a generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratorConfig {
    /// Width of the latent `z`.
    pub z_dim: usize,
    /// Width of the label; 0 without labels.
    pub c_dim: usize,
    /// Width of the intermediate latent `w`.
    pub w_dim: usize,
    /// Picture side in pixels.
    pub img_resolution: usize,
    /// Picture channels.
    pub img_channels: usize,
    /// Mapping network.
    pub mapping: MappingConfig,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// How many of the largest resolutions ran in fp16.
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// How blocks connect to the picture.
    pub architecture: Architecture,
    /// Whether layers add noise.
    pub use_noise: bool,
    /// Activation of the convolutions.
    pub activation: String,
    /// Taps of the resampling filter, before normalisation.
    pub resample_filter: Vec<f64>,
}

/// Settings of a discriminator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscriminatorConfig {
    /// Width of the label; 0 without labels.
    pub c_dim: usize,
    /// Picture side in pixels.
    pub img_resolution: usize,
    /// Picture channels.
    pub img_channels: usize,
    /// How blocks connect to the picture.
    pub architecture: Architecture,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// How many of the largest resolutions ran in fp16.
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// Width of the mapped label; 0 without labels.
    pub cmap_dim: usize,
    /// Mapping of the label; unused without labels.
    pub mapping: MappingConfig,
    /// Activation of the blocks.
    pub activation: String,
    /// Taps of the resampling filter, before normalisation.
    pub resample_filter: Vec<f64>,
    /// Activation of the last block.
    pub epilogue_activation: String,
    /// Samples per group of the minibatch statistic; `None` is the whole batch.
    pub mbstd_group_size: Option<usize>,
    /// Channels of the minibatch statistic; 0 is none.
    pub mbstd_num_channels: usize,
    /// How many layers, counted from the picture, were frozen in training.
    pub freeze_layers: usize,
}

/// The settings of either network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant)]
pub enum NetworkConfig {
    /// Of a generator.
    Generator(GeneratorConfig),
    /// Of a discriminator.
    Discriminator(DiscriminatorConfig),
}

/// Which of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Makes pictures.
    Generator,
    /// Judges pictures.
    Discriminator,
}

impl NetworkConfig {
    /// Which of the two networks this describes.
    pub fn kind(&self) -> NetworkKind {
        match self {
            Self::Generator(_) => NetworkKind::Generator,
            Self::Discriminator(_) => NetworkKind::Discriminator,
        }
    }

    /// Picture side in pixels.
    pub fn img_resolution(&self) -> usize {
        match self {
            Self::Generator(g) => g.img_resolution,
            Self::Discriminator(d) => d.img_resolution,
        }
    }
}

impl GeneratorConfig {
    /// How many `w` vectors the synthesis network takes.
    pub fn num_ws(&self) -> usize {
        2 * self.img_resolution.ilog2() as usize - 2
    }

    /// Channels of the block of side `resolution`.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// Block sides, from 4 up.
    pub fn block_resolutions(&self) -> Vec<usize> {
        (2..=self.img_resolution.ilog2())
            .map(|log2| 1 << log2)
            .collect()
    }
}

impl DiscriminatorConfig {
    /// Channels of the block of side `resolution`.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// Block sides from the picture down to 8; the last block (4) is not among them.
    pub fn block_resolutions(&self) -> Vec<usize> {
        (3..=self.img_resolution.ilog2())
            .rev()
            .map(|log2| 1 << log2)
            .collect()
    }
}

/// Whether the block of side `resolution` runs in fp16.
pub(crate) fn uses_fp16(img_resolution: usize, num_fp16_res: usize, resolution: usize) -> bool {
    let log2 = img_resolution.ilog2() as usize;
    let first = if num_fp16_res > log2 {
        1
    } else {
        1usize << (log2 + 1 - num_fp16_res)
    };
    resolution >= first.max(8)
}

/// The filter buffer that layers keep: the normalised outer product of the taps.
///
/// # Shapes
/// `[taps, taps]`, or `[taps]` for 8 taps or more, row-major f32.
pub(crate) fn filter_buffer(taps: &[f64]) -> (Vec<usize>, Vec<f32>) {
    let n = taps.len();
    let taps: Vec<f32> = taps.iter().map(|&t| t as f32).collect();
    if n >= 8 {
        let sum: f32 = taps.iter().sum();
        return (vec![n], taps.iter().map(|t| t / sum).collect());
    }
    let outer: Vec<f32> = taps
        .iter()
        .flat_map(|a| taps.iter().map(move |b| a * b))
        .collect();
    let sum: f32 = outer.iter().sum();
    (vec![n, n], outer.iter().map(|v| v / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_filter_is_exact() {
        let (shape, values) = filter_buffer(&[1.0, 3.0, 3.0, 1.0]);
        assert_eq!(shape, [4, 4]);
        assert_eq!(
            values[..4],
            [1.0 / 64.0, 3.0 / 64.0, 3.0 / 64.0, 1.0 / 64.0]
        );
        assert_eq!(values.iter().sum::<f32>(), 1.0);
    }

    #[test]
    fn fp16_blocks() {
        // 4 of 512 px: 64, 128, 256 and 512; the 4 px block never.
        let at = |n| [4, 8, 32, 64, 512].map(|r| uses_fp16(512, n, r));
        assert_eq!(at(4), [false, false, false, true, true]);
        assert_eq!(at(0), [false; 5]);
        assert_eq!(at(99), [false, true, true, true, true]);
    }
}
