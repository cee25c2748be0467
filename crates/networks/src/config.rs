//! Settings of the networks, under the official names.

use ops::Activation;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Filter of all resampling unless another is configured.
pub(crate) const DEFAULT_FILTER: [f64; 4] = [1.0, 3.0, 3.0, 1.0];

/// How blocks connect to the image.
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
    #[serde(with = "crate::activation")]
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

    fn validate(&self) -> Result<()> {
        if self.num_layers == 0 || self.layer_features == 0 {
            return Err(Error::config(
                "a mapping network needs at least one layer (num_layers, layer_features)",
            ));
        }
        if !self.lr_multiplier.is_finite() || self.lr_multiplier <= 0.0 {
            return Err(Error::config(format!(
                "lr_multiplier is {}; it must be above 0",
                self.lr_multiplier
            )));
        }
        if let Some(beta) = self.w_avg_beta
            && !(0.0..=1.0).contains(&beta)
        {
            return Err(Error::config(format!(
                "w_avg_beta is {beta}; it must be from 0 to 1"
            )));
        }
        Ok(())
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
    /// How many of the largest resolutions may compute in a short type ([`Precision`](crate::Precision)).
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// How blocks connect to the image.
    pub architecture: Architecture,
    /// Whether layers add noise.
    pub use_noise: bool,
    /// Activation of the convolutions.
    #[serde(with = "crate::activation")]
    pub activation: Activation,
    /// Taps of the resampling filter, before normalisation.
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
    /// How blocks connect to the image.
    pub architecture: Architecture,
    /// A block of side `r` has `min(channel_base / r, channel_max)` channels.
    pub channel_base: usize,
    /// See `channel_base`.
    pub channel_max: usize,
    /// How many of the largest resolutions may compute in a short type ([`Precision`](crate::Precision)).
    pub num_fp16_res: usize,
    /// Clamp of the convolution outputs.
    pub conv_clamp: Option<f64>,
    /// Width of the mapped label; 0 without labels.
    pub cmap_dim: usize,
    /// Mapping of the label; unused without labels.
    pub mapping: MappingConfig,
    /// Activation of the blocks.
    #[serde(with = "crate::activation")]
    pub activation: Activation,
    /// Taps of the resampling filter, before normalisation.
    pub resample_filter: Vec<f64>,
    /// Activation of the last block.
    #[serde(with = "crate::activation")]
    pub epilogue_activation: Activation,
    /// Samples per group of the minibatch statistic; `None` is the whole batch.
    pub mbstd_group_size: Option<usize>,
    /// Channels of the minibatch statistic; 0 is none.
    pub mbstd_num_channels: usize,
    /// How many layers are not trained, counted from the image: `fromrgb`, then `conv0`, `conv1`, `skip` of each block.
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

    /// How many `w` vectors the synthesis network takes.
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

    /// Checks everything that a network cannot be built with.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn validate(&self) -> Result<()> {
        if self.z_dim + self.c_dim == 0 || self.w_dim == 0 {
            return Err(Error::config(
                "a generator needs z_dim or c_dim, and w_dim, above 0",
            ));
        }
        self.mapping.validate()?;
        image(
            self.img_resolution,
            self.img_channels,
            self.channel_base,
            self.channel_max,
        )?;
        convolution(self.conv_clamp, &self.resample_filter)
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

    /// Checks everything that a network cannot be built with.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn validate(&self) -> Result<()> {
        if (self.c_dim == 0) != (self.cmap_dim == 0) {
            return Err(Error::config(format!(
                "c_dim is {} but cmap_dim is {}: both are 0, or neither",
                self.c_dim, self.cmap_dim
            )));
        }
        if self.c_dim > 0 {
            self.mapping.validate()?;
        }
        if self.mbstd_group_size == Some(0) {
            return Err(Error::config(
                "mbstd_group_size is 0; leave it out for the whole batch",
            ));
        }
        let channels = self.channels(4);
        if self.mbstd_num_channels > 0 && !channels.is_multiple_of(self.mbstd_num_channels) {
            return Err(Error::config(format!(
                "mbstd_num_channels {} does not divide the {channels} channels of the last block",
                self.mbstd_num_channels
            )));
        }
        image(
            self.img_resolution,
            self.img_channels,
            self.channel_base,
            self.channel_max,
        )?;
        convolution(self.conv_clamp, &self.resample_filter)
    }
}

fn image(
    img_resolution: usize,
    img_channels: usize,
    channel_base: usize,
    channel_max: usize,
) -> Result<()> {
    if !img_resolution.is_power_of_two() || !(4..=1024).contains(&img_resolution) {
        return Err(Error::config(format!(
            "img_resolution is {img_resolution}; it must be a power of two from 4 to 1024"
        )));
    }
    if !(1..=4).contains(&img_channels) {
        return Err(Error::config(format!(
            "img_channels is {img_channels}; it must be from 1 to 4"
        )));
    }
    if channel_base / img_resolution == 0 || channel_max == 0 {
        return Err(Error::config(format!(
            "channel_base {channel_base} and channel_max {channel_max} leave no channels at {img_resolution} px"
        )));
    }
    Ok(())
}

fn convolution(conv_clamp: Option<f64>, resample_filter: &[f64]) -> Result<()> {
    if let Some(clamp) = conv_clamp
        && (clamp.is_nan() || clamp <= 0.0)
    {
        return Err(Error::config(format!(
            "conv_clamp is {clamp}; it must be above 0, or absent"
        )));
    }
    let sum: f64 = resample_filter.iter().sum();
    if !(1..=64).contains(&resample_filter.len()) || !sum.is_finite() || sum == 0.0 {
        return Err(Error::config(format!(
            "resample_filter {resample_filter:?} must have 1 to 64 taps whose sum is not 0"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused_by_name() {
        let good = GeneratorConfig::new(64, 3);
        assert!(good.validate().is_ok());
        let cases: [(&str, GeneratorConfig); 4] = [
            (
                "img_resolution",
                GeneratorConfig {
                    img_resolution: 48,
                    ..good.clone()
                },
            ),
            (
                "img_channels",
                GeneratorConfig {
                    img_channels: 5,
                    ..good.clone()
                },
            ),
            (
                "channel_base",
                GeneratorConfig {
                    channel_base: 32,
                    ..good.clone()
                },
            ),
            (
                "conv_clamp",
                GeneratorConfig {
                    conv_clamp: Some(-1.0),
                    ..good.clone()
                },
            ),
        ];
        for (name, config) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_discriminator_needs_cmap_with_labels() {
        let config = DiscriminatorConfig {
            c_dim: 3,
            ..DiscriminatorConfig::new(32, 3)
        };
        assert!(
            config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("cmap_dim")
        );
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
