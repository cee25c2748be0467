//! Configuration of the networks, under the reference's names.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::filter::DEFAULT_FILTER;

/// Connection of the blocks to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// One path from end to end.
    Orig,
    /// Every block has a connection of its own to the image.
    Skip,
    /// Residual blocks.
    Resnet,
}

impl Architecture {
    /// The reference's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orig => "orig",
            Self::Skip => "skip",
            Self::Resnet => "resnet",
        }
    }
}

/// Settings of a mapping network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingConfig {
    /// Number of dense layers.
    pub num_layers: usize,
    /// Width of the label embedding; not used without labels.
    pub embed_features: usize,
    /// Width of the hidden layers.
    pub layer_features: usize,
    /// Activation of the dense layers.
    pub activation: Activation,
    /// Learning rate multiplier that is built into the weights.
    pub lr_multiplier: f64,
    /// Decay of `w_avg` per call in training; `None` in a discriminator.
    pub w_avg_beta: Option<f64>,
}

impl MappingConfig {
    /// The official defaults for a given width of `w`.
    pub fn new(w_dim: usize) -> Self {
        Self {
            num_layers: 8,
            embed_features: w_dim,
            layer_features: w_dim,
            activation: Activation::Lrelu,
            lr_multiplier: 0.01,
            w_avg_beta: Some(0.995),
        }
    }
}

/// Settings of a generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Width of the latent `z`.
    pub z_dim: usize,
    /// Width of the label; 0 without labels.
    pub c_dim: usize,
    /// Width of the intermediate latent `w`.
    pub w_dim: usize,
    /// Image side in pixels: a power of two from 4 to 1024.
    pub img_resolution: usize,
    /// Image channels, 1 to 4.
    pub img_channels: usize,
    /// Mapping network.
    pub mapping: MappingConfig,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// Number of largest resolutions that may compute in half precision.
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// Connection of the blocks to the image.
    pub architecture: Architecture,
    /// Whether layers add noise.
    pub use_noise: bool,
    /// Activation of the convolutions.
    pub activation: Activation,
    /// Taps of the resampling filter, before normalization.
    pub resample_filter: Vec<f64>,
}

/// Settings of a discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// Width of the label; 0 without labels.
    pub c_dim: usize,
    /// Image side in pixels: a power of two from 4 to 1024.
    pub img_resolution: usize,
    /// Image channels, 1 to 4.
    pub img_channels: usize,
    /// Connection of the blocks to the image.
    pub architecture: Architecture,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// Number of largest resolutions that may compute in half precision.
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// Width of the mapped label; 0 without labels.
    pub cmap_dim: usize,
    /// Mapping of the label; unused without labels.
    pub mapping: MappingConfig,
    /// Activation of the blocks.
    pub activation: Activation,
    /// Taps of the resampling filter, before normalization.
    pub resample_filter: Vec<f64>,
    /// Activation of the last block.
    pub epilogue_activation: Activation,
    /// Samples per group of the minibatch statistic; `None` is the whole batch.
    pub mbstd_group_size: Option<usize>,
    /// Channels of the minibatch statistic; 0 is none.
    pub mbstd_num_channels: usize,
    /// Number of layers that are not trained, counted from the image: `fromrgb`, then `conv0`, `conv1`, `skip` of each block.
    pub freeze_layers: usize,
}

impl GeneratorConfig {
    /// The official defaults: `skip` architecture, 512 wide, at most 512 channels.
    pub fn new(img_resolution: usize, img_channels: usize) -> Self {
        Self {
            z_dim: 512,
            c_dim: 0,
            w_dim: 512,
            img_resolution,
            img_channels,
            mapping: MappingConfig::new(512),
            channel_base: 32768,
            channel_max: 512,
            num_fp16_res: 0,
            conv_clamp: None,
            architecture: Architecture::Skip,
            use_noise: true,
            activation: Activation::Lrelu,
            resample_filter: DEFAULT_FILTER.to_vec(),
        }
    }

    /// Number of `w` vectors that the synthesis network takes.
    pub fn num_ws(&self) -> usize {
        // One for each convolution and one for the last ToRGB.
        2 * self.img_resolution.ilog2() as usize - 2
    }

    /// Channels of the block of side `resolution`.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// Block sides, from 4 up.
    pub fn block_resolutions(&self) -> impl Iterator<Item = usize> + use<> {
        (2..=self.img_resolution.ilog2()).map(|log2| 1 << log2)
    }

    /// Side of the smallest block that may compute in half precision; `usize::MAX` when none may.
    pub fn fp16_from(&self) -> usize {
        fp16_from(self.img_resolution, self.num_fp16_res)
    }
}

impl DiscriminatorConfig {
    /// The official defaults: `resnet` architecture, at most 512 channels, minibatch statistic over groups of 4.
    pub fn new(img_resolution: usize, img_channels: usize) -> Self {
        Self {
            c_dim: 0,
            img_resolution,
            img_channels,
            architecture: Architecture::Resnet,
            channel_base: 32768,
            channel_max: 512,
            num_fp16_res: 0,
            conv_clamp: None,
            cmap_dim: 0,
            mapping: MappingConfig {
                w_avg_beta: None,
                ..MappingConfig::new(512)
            },
            activation: Activation::Lrelu,
            resample_filter: DEFAULT_FILTER.to_vec(),
            epilogue_activation: Activation::Lrelu,
            mbstd_group_size: Some(4),
            mbstd_num_channels: 1,
            freeze_layers: 0,
        }
    }

    /// Channels of the block of side `resolution`.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// Block sides from the image down to 8; the epilogue at 4 is not among them.
    pub fn block_resolutions(&self) -> impl Iterator<Item = usize> + use<> {
        (3..=self.img_resolution.ilog2())
            .rev()
            .map(|log2| 1 << log2)
    }

    /// Side of the smallest block that may compute in half precision; `usize::MAX` when none may.
    pub fn fp16_from(&self) -> usize {
        fp16_from(self.img_resolution, self.num_fp16_res)
    }
}

/// Blocks of 4 px never compute in half precision.
fn fp16_from(img_resolution: usize, num_fp16_res: usize) -> usize {
    match num_fp16_res {
        0 => usize::MAX,
        n => (img_resolution >> (n - 1).min(30)).max(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fp16_blocks() {
        // 4 of 512 px: 64, 128, 256 and 512; the 4 px block never.
        let at = |n| [4, 8, 32, 64, 512].map(|r| r >= fp16_from(512, n));
        assert_eq!(at(4), [false, false, false, true, true]);
        assert_eq!(at(0), [false; 5]);
        assert_eq!(at(99), [false, true, true, true, true]);
        assert_eq!(fp16_from(16, 4), 8);
    }

    #[test]
    fn settings_survive_json() {
        let config = DiscriminatorConfig::new(256, 1);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<DiscriminatorConfig>(&text).unwrap(),
            config
        );
        let wrong = text.replace("\"lrelu\"", "\"mish\"");
        let error = serde_json::from_str::<DiscriminatorConfig>(&wrong).unwrap_err();
        assert!(error.to_string().contains("no activation `mish`"));
    }
}
