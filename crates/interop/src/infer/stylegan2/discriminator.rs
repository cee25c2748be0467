//! Infers the configuration of a StyleGAN2 discriminator from its tensors.

use super::shapes::{architecture, channel_rule, dim, filter, mapping, resolution};
use crate::error::{Error, Result, layout};
use crate::infer::Tensors;
use crate::infer::stated::{Stated, optional_number, optional_size, size};
use architecture::{Activation, Architecture, DiscriminatorConfig, MappingConfig};

/// Infers the configuration of a discriminator.
pub(super) fn discriminator(
    tensors: &Tensors,
    stated: &mut Stated<'_>,
) -> Result<DiscriminatorConfig> {
    let found = resolution(tensors, |r| {
        if r == 4 {
            "b4.conv.weight".into()
        } else {
            format!("b{r}.conv0.weight")
        }
    })?;
    if found < 8 {
        return Err(layout!("the discriminator has no block above 4 px"));
    }
    let img_resolution = stated.check("img_resolution", found)?;
    let first = format!("b{img_resolution}");
    let mut channels = vec![(4, dim(tensors, "b4.conv.weight", 0)?)];
    for log2 in 3..=img_resolution.ilog2() {
        channels.push((
            1 << log2,
            dim(tensors, &format!("b{}.conv0.weight", 1 << log2), 0)?,
        ));
    }
    let (channel_base, channel_max) = channel_rule(stated, "", &channels)?;
    let mbstd = dim(tensors, "b4.conv.weight", 1)?
        .checked_sub(channels[0].1)
        .ok_or_else(|| Error::tensor("b4.conv.weight", "fewer input than output channels"))?;
    let found = match (
        tensors.contains_key(&format!("{first}.skip.weight")),
        tensors.contains_key("b4.fromrgb.weight"),
    ) {
        (true, _) => Architecture::Resnet,
        (false, true) => Architecture::Skip,
        (false, false) => Architecture::Orig,
    };
    let out = dim(tensors, "b4.out.weight", 0)?;
    let labeled = tensors.contains_key("mapping.embed.weight");
    let cmap_dim = if labeled {
        stated.check("cmap_dim", out)?
    } else {
        0
    };
    let (mapping, c_dim) = if labeled {
        let (mapping, c_dim, _) = mapping(tensors, stated, "mapping_kwargs", cmap_dim, None)?;
        (mapping, c_dim)
    } else {
        let unused = MappingConfig {
            num_layers: 0,
            embed_features: 0,
            layer_features: 0,
            activation: Activation::Lrelu,
            lr_multiplier: 0.01,
            w_avg_beta: None,
        };
        (unused, 0)
    };
    let default_group = stated.mbstd_group_size;
    Ok(DiscriminatorConfig {
        c_dim: stated.check("c_dim", c_dim)?,
        img_resolution,
        img_channels: stated.check(
            "img_channels",
            dim(tensors, &format!("{first}.fromrgb.weight"), 1)?,
        )?,
        architecture: architecture(stated, "architecture", found)?,
        channel_base,
        channel_max,
        num_fp16_res: stated.take("num_fp16_res", 0, size)?,
        conv_clamp: stated.take("conv_clamp", None, optional_number)?,
        cmap_dim,
        mapping,
        activation: stated.activation("block_kwargs.activation")?,
        resample_filter: filter(
            tensors,
            stated,
            "block_kwargs.resample_filter",
            &format!("{first}.resample_filter"),
        )?,
        epilogue_activation: stated.activation("epilogue_kwargs.activation")?,
        mbstd_group_size: stated.take(
            "epilogue_kwargs.mbstd_group_size",
            default_group,
            optional_size,
        )?,
        mbstd_num_channels: stated.check("epilogue_kwargs.mbstd_num_channels", mbstd)?,
        freeze_layers: match stated.get("block_kwargs.freeze_layers") {
            Some(json) => {
                size(json).ok_or_else(|| layout!("the file states freeze_layers = {json}"))?
            }
            None => 0,
        },
    })
}
