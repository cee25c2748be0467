//! Infers the configuration of a StyleGAN2 generator from its tensors.

use super::shapes::{architecture, channel_rule, dim, filter, mapping, resolution};
use crate::error::{Error, Result};
use crate::infer::Tensors;
use crate::infer::stated::{Stated, contradiction, optional_number, size};
use architecture::{Architecture, GeneratorConfig};

/// Infers the configuration of a generator.
pub(super) fn generator(tensors: &Tensors, stated: &mut Stated<'_>) -> Result<GeneratorConfig> {
    let found = resolution(tensors, |r| format!("synthesis.b{r}.conv1.weight"))?;
    let img_resolution = stated.check("img_resolution", found)?;
    let w_dim = stated.check(
        "w_dim",
        dim(tensors, "synthesis.b4.conv1.affine.weight", 1)?,
    )?;
    let img_channels = dim(
        tensors,
        &format!("synthesis.b{img_resolution}.torgb.weight"),
        0,
    )?;
    let (mapping, c_dim, input) = mapping(tensors, stated, "mapping_kwargs", w_dim, Some(0.995))?;
    let z_dim = match input {
        Some(input) => input.checked_sub(mapping.embed_features).ok_or_else(|| {
            Error::tensor(
                "mapping.fc0.weight",
                "it is narrower than the label embedding",
            )
        })?,
        None => w_dim,
    };
    let channels = (2..=img_resolution.ilog2())
        .map(|log2| {
            Ok((
                1 << log2,
                dim(
                    tensors,
                    &format!("synthesis.b{}.conv1.weight", 1 << log2),
                    0,
                )?,
            ))
        })
        .collect::<Result<Vec<(usize, usize)>>>()?;
    let (channel_base, channel_max) = channel_rule(stated, "synthesis_kwargs.", &channels)?;
    let has_skip = tensors.contains_key(&format!("synthesis.b{img_resolution}.skip.weight"));
    let found = match (has_skip, tensors.contains_key("synthesis.b4.torgb.weight")) {
        (true, _) => Architecture::Resnet,
        (false, true) => Architecture::Skip,
        (false, false) => Architecture::Orig,
    };
    let use_noise = tensors.contains_key("synthesis.b4.conv1.noise_strength");
    if let Some(json) = stated
        .get("synthesis_kwargs.use_noise")
        .filter(|json| json.as_bool() != Some(use_noise))
    {
        return Err(contradiction(
            "synthesis_kwargs.use_noise",
            json,
            use_noise.to_string(),
        ));
    }
    Ok(GeneratorConfig {
        z_dim: stated.check("z_dim", z_dim)?,
        c_dim: stated.check("c_dim", c_dim)?,
        w_dim,
        img_resolution,
        img_channels: stated.check("img_channels", img_channels)?,
        mapping,
        channel_base,
        channel_max,
        num_fp16_res: stated.take("synthesis_kwargs.num_fp16_res", 0, size)?,
        conv_clamp: stated.take("synthesis_kwargs.conv_clamp", None, optional_number)?,
        architecture: architecture(stated, "synthesis_kwargs.architecture", found)?,
        use_noise,
        activation: stated.activation("synthesis_kwargs.activation")?,
        resample_filter: filter(
            tensors,
            stated,
            "synthesis_kwargs.resample_filter",
            &format!("synthesis.b{img_resolution}.resample_filter"),
        )?,
    })
}
