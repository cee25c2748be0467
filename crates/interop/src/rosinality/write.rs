//! Writes checkpoints of the rosinality implementation.

use super::{LATENT_AVG_OF_G, Tensors, kernel, unknown};
use crate::checkpoint::{Checkpoint, Network};
use crate::error::{Error, Result};
use crate::torch::save::{self, Saved};
use architecture::{Activation, Architecture, NetworkConfig, NetworkKind};

/// Returns the bytes of a `.pt` file with the networks of a checkpoint and their averages of `w`.
///
/// # Errors
/// `Unsupported` for an architecture that rosinality's program does not have, `Tensor` when a tensor is not f32.
pub(crate) fn write<'a>(checkpoint: &'a Checkpoint) -> Result<Vec<u8>> {
    let mut dicts = Vec::new();
    for (key, name, network) in [
        ("g", "G", &checkpoint.g),
        ("d", "D", &checkpoint.d),
        ("g_ema", "G_ema", &checkpoint.g_ema),
    ] {
        if let Some(network) = network {
            tracing::debug!("writing {name} as {key}");
            dicts.push((key, state_dict(network)?));
        }
    }
    let mut entries: Vec<(&str, Saved<'_>)> = dicts
        .iter()
        .map(|(key, tensors)| (*key, Saved::StateDict(tensors)))
        .collect();
    // rosinality's program stores one average of w. When G and G_ema both have one, that of G is written under another
    // key, which that program ignores.
    let w_avg = |network: &'a Option<Network>| network.as_ref()?.buffers.get("mapping.w_avg");
    let (of_g, of_ema) = (w_avg(&checkpoint.g), w_avg(&checkpoint.g_ema));
    if let Some(tensor) = of_ema.or(of_g) {
        entries.push(("latent_avg", Saved::Tensor(tensor)));
    }
    if let (Some(tensor), Some(_)) = (of_g, of_ema) {
        entries.push((LATENT_AVG_OF_G, Saved::Tensor(tensor)));
    }
    save::zip_file(&entries)
}

/// Returns the tensors of a network under rosinality's names and in its shapes.
///
/// # Errors
/// `Unsupported` for an architecture that rosinality's program does not have.
fn state_dict(network: &Network) -> Result<Tensors> {
    let refuse = |what: &str| {
        Err(Error::Unsupported(format!(
            "rosinality/stylegan2-pytorch has no {what}: write safetensors or .pkl instead"
        )))
    };
    match &network.config {
        NetworkConfig::Generator(g) => {
            if g.architecture != Architecture::Skip || !g.use_noise {
                return refuse("generator other than with skip connections and noise");
            }
            if g.c_dim > 0 {
                return refuse("labels");
            }
            if g.z_dim != g.w_dim || g.mapping.layer_features != g.w_dim || g.img_channels != 3 {
                return refuse(
                    "networks whose z and w differ in width or whose images are not RGB",
                );
            }
            if g.activation != Activation::Lrelu
                || g.mapping.activation != Activation::Lrelu
                || g.mapping.lr_multiplier != 0.01
            {
                return refuse(
                    "activation other than lrelu or learning rate multiplier other than 0.01",
                );
            }
            if g.resample_filter != [1.0, 3.0, 3.0, 1.0] {
                return refuse("filter other than [1, 3, 3, 1]");
            }
        }
        NetworkConfig::Discriminator(d) => {
            if d.architecture != Architecture::Resnet || d.c_dim > 0 || d.img_channels != 3 {
                return refuse("discriminator other than a residual one for RGB without labels");
            }
            if d.activation != Activation::Lrelu
                || d.epilogue_activation != Activation::Lrelu
                || d.mbstd_num_channels != 1
            {
                return refuse("discriminator with these activations or this minibatch statistic");
            }
            if d.resample_filter != [1.0, 3.0, 3.0, 1.0] {
                return refuse("filter other than [1, 3, 3, 1]");
            }
        }
    }
    let mut out = Tensors::new();
    for (name, value) in network.tensors() {
        if name.ends_with("resample_filter") || name == "mapping.w_avg" {
            continue;
        }
        let (name, shape) = match network.kind() {
            NetworkKind::Generator => generator_name(name, &value.shape)?,
            NetworkKind::Discriminator => (
                discriminator_name(name, network.config.img_resolution())?,
                value.shape.clone(),
            ),
        };
        out.insert(name, value.clone().reshape(shape)?);
    }
    // rosinality's program stores its fixed blur kernels as buffers.
    match &network.config {
        NetworkConfig::Generator(g) => {
            for i in 0..g.block_resolutions().count() - 1 {
                out.insert(format!("convs.{}.conv.blur.kernel", 2 * i), kernel(4.0)?);
                out.insert(format!("to_rgbs.{i}.upsample.kernel"), kernel(4.0)?);
            }
        }
        NetworkConfig::Discriminator(d) => {
            for i in 1..=d.block_resolutions().count() {
                out.insert(format!("convs.{i}.conv2.0.kernel"), kernel(1.0)?);
                out.insert(format!("convs.{i}.skip.0.kernel"), kernel(1.0)?);
            }
        }
    }
    Ok(out)
}

/// Index of the block `b4`, `b8`, `b16`, ... counted from 0; `None` for other names.
fn block_index(block: &str) -> Option<usize> {
    let side: usize = block.strip_prefix('b')?.parse().ok()?;
    (side >= 4 && side.is_power_of_two()).then(|| side.ilog2() as usize - 2)
}

fn generator_name(name: &str, shape: &[usize]) -> Result<(String, Vec<usize>)> {
    let with_one = || [&[1], shape].concat();
    let parts: Vec<&str> = name.split('.').collect();
    Ok(match parts[..] {
        ["mapping", layer, kind] => {
            let index: usize = layer
                .strip_prefix("fc")
                .and_then(|i| i.parse().ok())
                .ok_or_else(|| unknown(name))?;
            (format!("style.{}.{kind}", index + 1), shape.to_vec())
        }
        ["synthesis", "b4", "const"] => ("input.input".into(), with_one()),
        ["synthesis", block, layer, ref rest @ ..] => {
            let index = block_index(block).ok_or_else(|| unknown(name))?;
            let conv = if layer == "conv0" { 0 } else { 1 };
            if rest == ["noise_const"] {
                let noise = (2 * index + conv).saturating_sub(1);
                return Ok((format!("noises.noise_{noise}"), [&[1, 1], shape].concat()));
            }
            let layer = match (layer, index) {
                ("torgb", 0) => "to_rgb1".to_owned(),
                ("torgb", _) => format!("to_rgbs.{}", index - 1),
                (_, 0) => "conv1".to_owned(),
                (_, _) => format!("convs.{}", 2 * (index - 1) + conv),
            };
            let torgb = layer.starts_with("to_rgb");
            match rest {
                ["weight"] => (format!("{layer}.conv.weight"), with_one()),
                ["affine", kind] => (format!("{layer}.conv.modulation.{kind}"), shape.to_vec()),
                ["noise_strength"] => (format!("{layer}.noise.weight"), vec![1]),
                ["bias"] if torgb => (
                    format!("{layer}.bias"),
                    vec![1, shape.iter().product(), 1, 1],
                ),
                ["bias"] => (format!("{layer}.activate.bias"), shape.to_vec()),
                _ => return Err(unknown(name)),
            }
        }
        _ => return Err(unknown(name)),
    })
}

fn discriminator_name(name: &str, resolution: usize) -> Result<String> {
    let parts: Vec<&str> = name.split('.').collect();
    Ok(match parts[..] {
        ["b4", "conv", "weight"] => "final_conv.0.weight".into(),
        ["b4", "conv", "bias"] => "final_conv.1.bias".into(),
        ["b4", "fc", kind] => format!("final_linear.0.{kind}"),
        ["b4", "out", kind] => format!("final_linear.1.{kind}"),
        [_, "fromrgb", "weight"] => "convs.0.0.weight".into(),
        [_, "fromrgb", "bias"] => "convs.0.1.bias".into(),
        [block, layer, kind] => {
            let index = block_index(block).ok_or_else(|| unknown(name))?;
            let block = resolution.ilog2() as usize - 1 - index;
            let suffix = match (layer, kind) {
                ("conv0", "weight") => "conv1.0.weight",
                ("conv0", "bias") => "conv1.1.bias",
                ("conv1", "weight") => "conv2.1.weight",
                ("conv1", "bias") => "conv2.2.bias",
                ("skip", "weight") => "skip.1.weight",
                _ => return Err(unknown(name)),
            };
            format!("convs.{block}.{suffix}")
        }
        _ => return Err(unknown(name)),
    })
}
