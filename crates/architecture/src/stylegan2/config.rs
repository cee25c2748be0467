//! Settings of the StyleGAN2 networks, with the names of NVIDIA's keyword arguments.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::filter::DEFAULT_FILTER;

/// The connections of the blocks of a network to each other and to the image (figure 7 of arXiv:1912.04958).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A plain sequence of blocks. Only the block at full resolution is connected to the image.
    Orig,
    /// Skip connections: every block has its own layer to (generator) or from (discriminator) an RGB image at its
    /// resolution.
    Skip,
    /// Residual blocks. Only the block at full resolution is connected to the image.
    Resnet,
}

impl Architecture {
    /// The name in NVIDIA's code: `orig`, `skip` or `resnet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orig => "orig",
            Self::Skip => "skip",
            Self::Resnet => "resnet",
        }
    }
}

/// Settings of a mapping network, which maps the latent `z` and the label `c` to `w`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingConfig {
    /// Number of dense layers.
    pub num_layers: usize,
    /// Number of outputs of the label embedding; not used without labels.
    pub embed_features: usize,
    /// Number of outputs of each dense layer except the last one.
    pub layer_features: usize,
    /// Activation of the dense layers.
    pub activation: Activation,
    /// Learning rate multiplier of the dense layers. It is applied as a factor of the stored weights and biases, not by
    /// the optimizer.
    pub lr_multiplier: f64,
    /// Decay of the moving average `w_avg` for each evaluation of the mapping network in training; `None` for a network
    /// without `w_avg`, such as that of a discriminator.
    pub w_avg_beta: Option<f64>,
}

impl MappingConfig {
    /// The defaults of NVIDIA's code for a generator whose `w` has `w_dim` values.
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

/// Settings of a StyleGAN2 generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Number of values of the latent `z`.
    pub z_dim: usize,
    /// Number of values of the label `c`; 0 without labels.
    pub c_dim: usize,
    /// Number of values of the intermediate latent `w`.
    pub w_dim: usize,
    /// Image side in pixels: a power of two from 4 to 1024.
    pub img_resolution: usize,
    /// Image channels, 1 to 4.
    pub img_channels: usize,
    /// Settings of the mapping network.
    pub mapping: MappingConfig,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// Number of blocks, counted from the highest resolution down, that may compute in half precision. The block of 4
    /// px never does.
    pub num_fp16_res: usize,
    /// Outputs of the convolution layers are clamped to `-conv_clamp..=conv_clamp`; `None` is no clamp.
    pub conv_clamp: Option<f64>,
    /// Connections between the blocks and the image.
    pub architecture: Architecture,
    /// Whether the synthesis layers add noise.
    pub use_noise: bool,
    /// Activation of the synthesis layers.
    pub activation: Activation,
    /// Taps of the resampling filter, before normalization.
    pub resample_filter: Vec<f64>,
}

/// Settings of a StyleGAN2 discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// Number of values of the label `c`; 0 without labels.
    pub c_dim: usize,
    /// Image side in pixels: a power of two from 4 to 1024.
    pub img_resolution: usize,
    /// Image channels, 1 to 4.
    pub img_channels: usize,
    /// Connections between the blocks and the image.
    pub architecture: Architecture,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// Number of blocks, counted from the highest resolution down, that may compute in half precision. The block of 4
    /// px never does.
    pub num_fp16_res: usize,
    /// Outputs of the convolution layers are clamped to `-conv_clamp..=conv_clamp`; `None` is no clamp.
    pub conv_clamp: Option<f64>,
    /// Number of outputs of the mapping network of the label; 0 without labels.
    pub cmap_dim: usize,
    /// Settings of the mapping network of the label; not used without labels.
    pub mapping: MappingConfig,
    /// Activation of all blocks except the last one.
    pub activation: Activation,
    /// Taps of the resampling filter, before normalization.
    pub resample_filter: Vec<f64>,
    /// Activation of the last block, the epilogue at 4 px.
    pub epilogue_activation: Activation,
    /// Number of samples in each group of the minibatch standard deviation layer; `None` is the whole batch.
    pub mbstd_group_size: Option<usize>,
    /// Number of channels that the minibatch standard deviation layer adds; with 0 there is no such layer.
    pub mbstd_num_channels: usize,
    /// Number of layers, counted from the image, that are not trained. The layers are `fromrgb`, then `conv0`, `conv1`
    /// and `skip` of each block.
    pub freeze_layers: usize,
}

impl GeneratorConfig {
    /// The defaults of NVIDIA's code: `skip` architecture, `z` and `w` of 512 values, no labels, at most 512 channels.
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

    /// Number of `w` vectors per image that the synthesis network takes: the second axis of `ws`.
    pub fn num_ws(&self) -> usize {
        // One for each of the convolution layers and one for the last ToRGB layer.
        2 * self.img_resolution.ilog2() as usize - 2
    }

    /// Number of channels of the block whose side is `resolution` pixels.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// The sides of the blocks in pixels: 4, 8, ... up to `img_resolution`.
    pub fn block_resolutions(&self) -> impl Iterator<Item = usize> + use<> {
        (2..=self.img_resolution.ilog2()).map(|log2| 1 << log2)
    }

    /// Side of the smallest block that may compute in half precision; `usize::MAX` when none may.
    pub fn fp16_from(&self) -> usize {
        fp16_from(self.img_resolution, self.num_fp16_res)
    }
}

impl DiscriminatorConfig {
    /// The defaults of NVIDIA's code: `resnet` architecture, no labels, at most 512 channels, minibatch standard
    /// deviation over groups of 4 samples.
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

    /// Number of channels of the block whose side is `resolution` pixels.
    pub fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    /// The sides of the blocks in pixels, from `img_resolution` down to 8. The epilogue at 4 px is not included.
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

/// Side of the smallest block that may compute in half precision: at least 8; `usize::MAX` when `num_fp16_res` is 0.
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
        // The 4 highest resolutions of 512 px are 64, 128, 256 and 512; the block of 4 px is never included.
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
