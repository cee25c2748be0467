//! Implements [`NetworkDefinition`] for StyleGAN2: the limits of the settings, and the module trees.

use super::config::{DiscriminatorConfig, GeneratorConfig, MappingConfig};
use super::{discriminator, generator};
use crate::definition::{NetworkDefinition, NetworkKind};
use crate::error::{Error, Result};
use crate::modules::Module;

impl NetworkDefinition for GeneratorConfig {
    fn kind(&self) -> NetworkKind {
        NetworkKind::Generator
    }

    fn c_dim(&self) -> usize {
        self.c_dim
    }

    fn img_resolution(&self) -> usize {
        self.img_resolution
    }

    fn validate(&self) -> Result<()> {
        if self.z_dim + self.c_dim == 0 || self.w_dim == 0 {
            return Err(Error::config(
                "a generator needs z_dim or c_dim, and w_dim, above 0",
            ));
        }
        mapping(&self.mapping)?;
        image(
            self.img_resolution,
            self.img_channels,
            self.channel_base,
            self.channel_max,
        )?;
        convolution(self.conv_clamp, &self.resample_filter)
    }

    fn check_counts(&self) -> Result<()> {
        counts(self.img_resolution, &self.mapping, &self.resample_filter)
    }

    fn modules(&self) -> Module {
        generator::generator(self)
    }
}

impl NetworkDefinition for DiscriminatorConfig {
    fn kind(&self) -> NetworkKind {
        NetworkKind::Discriminator
    }

    fn c_dim(&self) -> usize {
        self.c_dim
    }

    fn img_resolution(&self) -> usize {
        self.img_resolution
    }

    fn validate(&self) -> Result<()> {
        if (self.c_dim == 0) != (self.cmap_dim == 0) {
            return Err(Error::config(format!(
                "c_dim is {} but cmap_dim is {}: both are 0, or neither",
                self.c_dim, self.cmap_dim
            )));
        }
        if self.c_dim > 0 {
            mapping(&self.mapping)?;
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

    fn check_counts(&self) -> Result<()> {
        counts(self.img_resolution, &self.mapping, &self.resample_filter)
    }

    fn modules(&self) -> Module {
        discriminator::discriminator(self)
    }
}

fn counts(img_resolution: usize, mapping: &MappingConfig, resample_filter: &[f64]) -> Result<()> {
    if !img_resolution.is_power_of_two() || !(4..=1 << 14).contains(&img_resolution) {
        return Err(Error::config(format!(
            "img_resolution is {img_resolution}, which is no power of two from 4 to 16384"
        )));
    }
    if mapping.num_layers > 1000 || !(1..=64).contains(&resample_filter.len()) {
        return Err(Error::config(format!(
            "no network has {} mapping layers and {} taps of its resample_filter",
            mapping.num_layers,
            resample_filter.len()
        )));
    }
    Ok(())
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

fn mapping(config: &MappingConfig) -> Result<()> {
    if config.num_layers == 0 || config.layer_features == 0 {
        return Err(Error::config(
            "a mapping network needs at least one layer (num_layers, layer_features)",
        ));
    }
    if !config.lr_multiplier.is_finite() || config.lr_multiplier <= 0.0 {
        return Err(Error::config(format!(
            "lr_multiplier is {}; it must be above 0",
            config.lr_multiplier
        )));
    }
    if let Some(beta) = config.w_avg_beta
        && !(0.0..=1.0).contains(&beta)
    {
        return Err(Error::config(format!(
            "w_avg_beta is {beta}; it must be from 0 to 1"
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
}
