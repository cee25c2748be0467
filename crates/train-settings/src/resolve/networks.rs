//! Resolves the architectures of the networks from preset, dataset and flags.

use networks::{Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig};
use training::{Error, Preset, PresetSettings, Result};

use super::{DatasetDescription, within};
use crate::overrides::Overrides;

/// Largest allowed number of layers of a mapping network; NVIDIA's networks have 2 or 8.
const MOST_MAPPING_LAYERS: usize = 64;
/// Largest allowed number of channels of a layer; NVIDIA's networks have at most 512.
const MOST_CHANNELS: usize = 1 << 13;
/// Largest allowed `channel_base`; NVIDIA's networks have 16384 or 32768.
const LARGEST_CHANNEL_BASE: usize = 1 << 20;

/// Returns the configurations of generator and discriminator. The frozen layers of the discriminator are not yet set.
///
/// # Errors
/// `Setting`, with the name of the invalid flag.
pub(super) fn networks(
    preset: Preset,
    settings: &PresetSettings,
    dataset: &DatasetDescription,
    flags: &Overrides,
) -> Result<(GeneratorConfig, DiscriminatorConfig)> {
    let use_labels = flags.cond.unwrap_or(false);
    let c_dim = if use_labels { dataset.label_dim } else { 0 };
    let fp32 = flags.fp32.unwrap_or(false);
    if fp32 && flags.bf16.unwrap_or(false) {
        let reason = "nothing is computed in bf16 with --fp32; leave one of them out";
        return Err(Error::setting("bf16", reason));
    }
    let (num_fp16_res, conv_clamp) = if fp32 { (0, None) } else { (4, Some(256.0)) };
    let bounds = 1..=LARGEST_CHANNEL_BASE;
    let channel_base = within("cbase", flags.cbase, settings.channel_base, bounds)?;
    let channel_max = within("cmax", flags.cmax, settings.channel_max, 1..=MOST_CHANNELS)?;
    let mut generator = GeneratorConfig {
        z_dim: settings.latent_dim,
        w_dim: settings.latent_dim,
        c_dim,
        channel_base,
        channel_max,
        num_fp16_res,
        conv_clamp,
        ..GeneratorConfig::new(dataset.resolution, dataset.num_channels)
    };
    generator.mapping = MappingConfig::new(settings.latent_dim);
    generator.mapping.num_layers = within(
        "map-layers",
        flags.map_layers,
        settings.mapping_layers,
        1..=MOST_MAPPING_LAYERS,
    )?;
    let mut discriminator = DiscriminatorConfig {
        c_dim,
        channel_base,
        channel_max,
        num_fp16_res,
        conv_clamp,
        mbstd_group_size: Some(settings.mbstd_group_size),
        ..DiscriminatorConfig::new(dataset.resolution, dataset.num_channels)
    };
    if c_dim > 0 {
        discriminator.cmap_dim = discriminator.channels(4);
        discriminator.mapping.embed_features = discriminator.cmap_dim;
        discriminator.mapping.layer_features = discriminator.cmap_dim;
    }
    if preset == Preset::Cifar {
        discriminator.architecture = Architecture::Orig;
    }
    Ok((generator, discriminator))
}

/// Number of layers of a discriminator that can be frozen, counted as in [`DiscriminatorConfig::freeze_layers`].
pub(super) fn n_layers(discriminator: &DiscriminatorConfig) -> usize {
    let n_blocks = (discriminator.img_resolution.ilog2() as usize).saturating_sub(2);
    match discriminator.architecture {
        Architecture::Orig => 1 + 2 * n_blocks,
        Architecture::Resnet => 1 + 3 * n_blocks,
        // In the `skip` architecture every block has a layer that reads the image, not only the first block.
        Architecture::Skip => 3 * n_blocks,
    }
}
