//! Reads the keyword arguments `G_kwargs` and `D_kwargs` of NVIDIA's StyleGAN2-ADA, as its `training_options.json` has
//! them.

use serde::Deserialize;
use serde_json::Value;

use super::config::{Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig};
use crate::activation::Activation;
use crate::definition::NetworkDefinition;
use crate::error::{Error, Result};
use crate::filter::DEFAULT_FILTER;

impl GeneratorConfig {
    /// Reads the JSON object `G_kwargs` of NVIDIA's StyleGAN2-ADA. Optional arguments that are absent have the defaults
    /// of NVIDIA's code.
    ///
    /// # Errors
    /// `Config` when an argument is unknown, a required one is missing or has the wrong type, or
    /// [`NetworkDefinition::validate`] fails.
    pub fn from_kwargs(kwargs: &Value) -> Result<Self> {
        let kwargs: GeneratorKwargs = parse(kwargs, "G_kwargs")?;
        let synthesis = kwargs.synthesis_kwargs;
        let config = Self {
            z_dim: kwargs.z_dim,
            c_dim: kwargs.c_dim,
            w_dim: kwargs.w_dim,
            img_resolution: kwargs.img_resolution,
            img_channels: kwargs.img_channels,
            mapping: kwargs.mapping_kwargs.resolve(kwargs.w_dim, Some(0.995)),
            channel_base: synthesis.channel_base,
            channel_max: synthesis.channel_max,
            num_fp16_res: synthesis.num_fp16_res,
            conv_clamp: synthesis.conv_clamp,
            architecture: synthesis.architecture,
            use_noise: synthesis.use_noise,
            activation: synthesis.activation,
            resample_filter: synthesis.resample_filter.taps(),
        };
        config.validate()?;
        Ok(config)
    }
}

impl DiscriminatorConfig {
    /// Reads the JSON object `D_kwargs` of NVIDIA's StyleGAN2-ADA. Optional arguments that are absent have the defaults
    /// of NVIDIA's code.
    ///
    /// # Errors
    /// `Config` when an argument is unknown, a required one is missing or has the wrong type, or
    /// [`NetworkDefinition::validate`] fails.
    pub fn from_kwargs(kwargs: &Value) -> Result<Self> {
        let kwargs: DiscriminatorKwargs = parse(kwargs, "D_kwargs")?;
        let widest = (kwargs.channel_base / 4).min(kwargs.channel_max);
        let cmap_dim = match kwargs.c_dim {
            0 => 0,
            _ => kwargs.cmap_dim.unwrap_or(widest),
        };
        let config = Self {
            c_dim: kwargs.c_dim,
            img_resolution: kwargs.img_resolution,
            img_channels: kwargs.img_channels,
            architecture: kwargs.architecture,
            channel_base: kwargs.channel_base,
            channel_max: kwargs.channel_max,
            num_fp16_res: kwargs.num_fp16_res,
            conv_clamp: kwargs.conv_clamp,
            cmap_dim,
            mapping: kwargs.mapping_kwargs.resolve(cmap_dim, None),
            activation: kwargs.block_kwargs.activation,
            resample_filter: kwargs.block_kwargs.resample_filter.taps(),
            epilogue_activation: kwargs.epilogue_kwargs.activation,
            mbstd_group_size: kwargs.epilogue_kwargs.mbstd_group_size,
            mbstd_num_channels: kwargs.epilogue_kwargs.mbstd_num_channels,
            freeze_layers: kwargs.block_kwargs.freeze_layers,
        };
        config.validate()?;
        Ok(config)
    }
}

fn parse<'de, T: Deserialize<'de>>(kwargs: &'de Value, what: &str) -> Result<T> {
    T::deserialize(kwargs).map_err(|e| Error::config(format!("{what}: {e}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratorKwargs {
    #[serde(rename = "class_name")]
    _class_name: Option<String>,
    z_dim: usize,
    c_dim: usize,
    w_dim: usize,
    img_resolution: usize,
    img_channels: usize,
    #[serde(default)]
    mapping_kwargs: MappingKwargs,
    #[serde(default)]
    synthesis_kwargs: SynthesisKwargs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscriminatorKwargs {
    #[serde(rename = "class_name")]
    _class_name: Option<String>,
    c_dim: usize,
    img_resolution: usize,
    img_channels: usize,
    #[serde(default = "resnet")]
    architecture: Architecture,
    #[serde(default = "channel_base")]
    channel_base: usize,
    #[serde(default = "channel_max")]
    channel_max: usize,
    #[serde(default)]
    num_fp16_res: usize,
    #[serde(default)]
    conv_clamp: Option<f64>,
    #[serde(default)]
    cmap_dim: Option<usize>,
    #[serde(default)]
    block_kwargs: BlockKwargs,
    #[serde(default)]
    mapping_kwargs: MappingKwargs,
    #[serde(default)]
    epilogue_kwargs: EpilogueKwargs,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MappingKwargs {
    num_layers: usize,
    embed_features: Option<usize>,
    layer_features: Option<usize>,
    activation: Activation,
    lr_multiplier: f64,
    /// `None` when the argument is absent (use the default), `Some(None)` when it is `null` (no `w_avg`).
    #[serde(deserialize_with = "some")]
    w_avg_beta: Option<Option<f64>>,
}

/// Deserializes a field that is present, `null` as `Some(None)`, to distinguish it from an absent field.
fn some<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Default for MappingKwargs {
    fn default() -> Self {
        let defaults = MappingConfig::new(0);
        Self {
            num_layers: defaults.num_layers,
            embed_features: None,
            layer_features: None,
            activation: defaults.activation,
            lr_multiplier: defaults.lr_multiplier,
            w_avg_beta: None,
        }
    }
}

impl MappingKwargs {
    fn resolve(self, w_dim: usize, w_avg_beta: Option<f64>) -> MappingConfig {
        MappingConfig {
            num_layers: self.num_layers,
            embed_features: self.embed_features.unwrap_or(w_dim),
            layer_features: self.layer_features.unwrap_or(w_dim),
            activation: self.activation,
            lr_multiplier: self.lr_multiplier,
            w_avg_beta: self.w_avg_beta.unwrap_or(w_avg_beta),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SynthesisKwargs {
    channel_base: usize,
    channel_max: usize,
    num_fp16_res: usize,
    conv_clamp: Option<f64>,
    architecture: Architecture,
    use_noise: bool,
    activation: Activation,
    resample_filter: Taps,
    /// Memory layout in PyTorch; ignored here.
    #[serde(rename = "fp16_channels_last")]
    _fp16_channels_last: bool,
}

impl Default for SynthesisKwargs {
    fn default() -> Self {
        Self {
            channel_base: channel_base(),
            channel_max: channel_max(),
            num_fp16_res: 0,
            conv_clamp: None,
            architecture: Architecture::Skip,
            use_noise: true,
            activation: Activation::Lrelu,
            resample_filter: Taps::default(),
            _fp16_channels_last: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BlockKwargs {
    activation: Activation,
    resample_filter: Taps,
    freeze_layers: usize,
    /// Memory layout in PyTorch; ignored here.
    #[serde(rename = "fp16_channels_last")]
    _fp16_channels_last: bool,
}

impl Default for BlockKwargs {
    fn default() -> Self {
        Self {
            activation: Activation::Lrelu,
            resample_filter: Taps::default(),
            freeze_layers: 0,
            _fp16_channels_last: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EpilogueKwargs {
    mbstd_group_size: Option<usize>,
    mbstd_num_channels: usize,
    activation: Activation,
}

impl Default for EpilogueKwargs {
    fn default() -> Self {
        Self {
            mbstd_group_size: Some(4),
            mbstd_num_channels: 1,
            activation: Activation::Lrelu,
        }
    }
}

/// Taps of a resampling filter. `null` and `[]` mean no filter, which is the same as the single tap 1.
#[derive(Deserialize)]
#[serde(transparent)]
struct Taps(Option<Vec<f64>>);

impl Default for Taps {
    fn default() -> Self {
        Self(Some(DEFAULT_FILTER.to_vec()))
    }
}

impl Taps {
    fn taps(self) -> Vec<f64> {
        match self.0 {
            Some(taps) if !taps.is_empty() => taps,
            _ => vec![1.0],
        }
    }
}

fn resnet() -> Architecture {
    Architecture::Resnet
}

fn channel_base() -> usize {
    32768
}

fn channel_max() -> usize {
    512
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_the_official_ones() {
        let kwargs = json!({
            "class_name": "training.networks.Discriminator", "c_dim": 3, "img_resolution": 32, "img_channels": 1,
            "channel_base": 512, "channel_max": 32, "block_kwargs": {}, "epilogue_kwargs": {"mbstd_group_size": null}
        });
        let config = DiscriminatorConfig::from_kwargs(&kwargs).unwrap();
        assert_eq!((config.cmap_dim, config.mapping.layer_features), (32, 32));
        assert_eq!(
            (config.mbstd_group_size, config.mbstd_num_channels),
            (None, 1)
        );
        assert_eq!(config.mapping.w_avg_beta, None);
    }

    #[test]
    fn unknown_arguments_are_named() {
        let kwargs = json!({
            "z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 32, "img_channels": 3,
            "synthesis_kwargs": {"chanel_base": 512}
        });
        let error = GeneratorConfig::from_kwargs(&kwargs)
            .unwrap_err()
            .to_string();
        assert!(error.contains("chanel_base"), "{error}");
    }
}
