//! `.pt` files of rosinality/stylegan2-pytorch, in both directions.
//!
//! That code knows one architecture (skip generator, residual discriminator, no labels), so names map one to one:
//! convolutions have a leading axis of 1, `noise_strength` has shape `[1]`, blur kernels are scaled by the upsampling.

use indexmap::IndexMap;

use crate::checkpoint::{Checkpoint, Contents, Network};
use crate::config::{Architecture, NetworkConfig, NetworkKind};
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::pickle::Value;
use crate::tensor::Tensor;
use crate::torch::save::{self, Saved};
use crate::torch::{TensorReader, flatten};
use crate::w_avg;

type Tensors = IndexMap<String, Tensor>;

/// Where our files keep the average of `g`, when it is not that of `g_ema`.
const LATENT_AVG_OF_G: &str = "latent_avg_of_g";

/// Whether a saved object is a checkpoint of that program.
pub(crate) fn is_rosinality(root: Value<'_, '_>) -> bool {
    ["g_ema", "g", "d"]
        .iter()
        .any(|key| root.get(key).is_some_and(|v| v.entries().is_some()))
}

/// Reads `g`, `d`, `g_ema` and `latent_avg`.
pub(crate) fn read(root: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<Contents> {
    let mut out = Contents::default();
    let average = |key: &str| match root.get(key) {
        Some(value) if !value.is_none() => reader.read(value, key).map(Some),
        _ => Ok(None),
    };
    let of_ema = average("latent_avg")?;
    let of_g = average(LATENT_AVG_OF_G)?.or_else(|| of_ema.clone());
    for (key, value) in root.entries().unwrap_or_default() {
        let key = key.text().unwrap_or_default();
        match key {
            "g" | "g_ema" => {
                let state = flatten(value, reader)?;
                let average = if key == "g" { &of_g } else { &of_ema };
                let network = generator(&state, average.as_ref(), key, &mut out.notes)?;
                *(if key == "g" {
                    &mut out.g
                } else {
                    &mut out.g_ema
                }) = Some(network);
            }
            "d" => out.d = Some(discriminator(&flatten(value, reader)?)?),
            "latent_avg" | LATENT_AVG_OF_G => {}
            other => out.notes.push(format!(
                "`{}` was left out",
                other.chars().take(60).collect::<String>()
            )),
        }
    }
    Ok(out)
}

fn unknown(name: &str) -> Error {
    layout!(
        "`{}` is no tensor of rosinality/stylegan2-pytorch",
        name.chars().take(80).collect::<String>()
    )
}

fn generator(
    state: &Tensors,
    latent_avg: Option<&Tensor>,
    key: &str,
    notes: &mut Vec<String>,
) -> Result<Network> {
    let mut tensors = Tensors::new();
    for (name, value) in state {
        if let Some((name, value)) = generator_tensor(name, value)? {
            tensors.insert(name, value);
        }
    }
    match latent_avg {
        Some(value) => {
            tensors.insert(
                "mapping.w_avg".into(),
                value.clone().reshape(vec![value.len()])?,
            );
        }
        None => {
            tensors.insert("mapping.w_avg".into(), w_avg::estimate(&tensors)?);
            notes.push(format!(
                "{key} has no latent_avg: w_avg is the mean of {} mapped latents",
                w_avg::SAMPLES
            ));
        }
    }
    infer::network(NetworkKind::Generator, tensors, Stated::nothing())
}

fn generator_tensor(name: &str, value: &Tensor) -> Result<Option<(String, Tensor)>> {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |text: &str| {
        text.parse::<usize>()
            .ok()
            .filter(|&n| n < 64)
            .ok_or_else(|| unknown(name))
    };
    let named = |name: String, value: Tensor| Ok(Some((name, value)));
    match parts[..] {
        ["style", layer, kind] => {
            let index = number(layer)?.checked_sub(1).ok_or_else(|| unknown(name))?;
            named(format!("mapping.fc{index}.{kind}"), value.clone())
        }
        ["input", "input"] => named("synthesis.b4.const".into(), without_first_axis(value)?),
        ["noises", noise] => {
            let index = number(noise.strip_prefix("noise_").ok_or_else(|| unknown(name))?)?;
            let side = 4usize << index.div_ceil(2).min(20);
            let layer = (index + 1) % 2;
            named(
                format!("synthesis.b{side}.conv{layer}.noise_const"),
                value.clone().reshape(vec![side, side])?,
            )
        }
        ["conv1", ref rest @ ..] => layer_tensor("synthesis.b4.conv1", rest, value, name),
        ["to_rgb1", ref rest @ ..] => layer_tensor("synthesis.b4.torgb", rest, value, name),
        ["convs", index, ref rest @ ..] => {
            let index = number(index)?;
            let side = 8usize << (index / 2).min(20);
            layer_tensor(
                &format!("synthesis.b{side}.conv{}", index % 2),
                rest,
                value,
                name,
            )
        }
        ["to_rgbs", index, ref rest @ ..] => {
            let side = 8usize << number(index)?.min(20);
            layer_tensor(&format!("synthesis.b{side}.torgb"), rest, value, name)
        }
        _ => Err(unknown(name)),
    }
}

fn layer_tensor(
    layer: &str,
    rest: &[&str],
    value: &Tensor,
    name: &str,
) -> Result<Option<(String, Tensor)>> {
    let (suffix, value) = match rest {
        ["conv", "weight"] => ("weight", without_first_axis(value)?),
        ["conv", "modulation", "weight"] => ("affine.weight", value.clone()),
        ["conv", "modulation", "bias"] => ("affine.bias", value.clone()),
        ["noise", "weight"] => ("noise_strength", value.clone().reshape(vec![])?),
        ["activate", "bias"] | ["bias"] => ("bias", value.clone().reshape(vec![value.len()])?),
        ["conv", "blur", "kernel"] | ["upsample", "kernel"] => {
            check_kernel(value, 4.0, name)?;
            return Ok(None);
        }
        _ => return Err(unknown(name)),
    };
    Ok(Some((format!("{layer}.{suffix}"), value)))
}

fn without_first_axis(value: &Tensor) -> Result<Tensor> {
    match value.shape.split_first() {
        Some((1, rest)) => value.clone().reshape(rest.to_vec()),
        _ => Err(layout!(
            "expected a leading axis of 1, found shape {:?}",
            value.shape
        )),
    }
}

/// Blur kernels are fixed in that code; another one would be lost in silence.
fn check_kernel(value: &Tensor, gain: f32, name: &str) -> Result<()> {
    let wanted = kernel(gain)?;
    let same = value.shape == wanted.shape
        && value
            .to_f32()
            .iter()
            .zip(wanted.to_f32())
            .all(|(a, b)| (a - b).abs() <= 1e-6);
    if same {
        Ok(())
    } else {
        Err(Error::Unsupported(format!(
            "`{name}` is not the filter [1, 3, 3, 1]"
        )))
    }
}

fn kernel(gain: f32) -> Result<Tensor> {
    let (shape, values) = crate::config::filter_buffer(&[1.0, 3.0, 3.0, 1.0]);
    Tensor::from_f32(shape, &values.iter().map(|v| v * gain).collect::<Vec<_>>())
}

fn discriminator(state: &Tensors) -> Result<Network> {
    let blocks = state
        .keys()
        .filter_map(|name| {
            name.strip_prefix("convs.")?
                .split('.')
                .next()?
                .parse::<u32>()
                .ok()
        })
        .max()
        .filter(|&n| (1..=12).contains(&n))
        .ok_or_else(|| layout!("no residual blocks in `d`"))?;
    let resolution = 4usize << blocks;
    let mut tensors = Tensors::new();
    for (name, value) in state {
        let parts: Vec<&str> = name.split('.').collect();
        let official = match parts[..] {
            ["convs", "0", "0", "weight"] => format!("b{resolution}.fromrgb.weight"),
            ["convs", "0", "1", "bias"] => format!("b{resolution}.fromrgb.bias"),
            ["convs", index, ref rest @ ..] => {
                let index: u32 = index
                    .parse()
                    .ok()
                    .filter(|n| (1..=blocks).contains(n))
                    .ok_or_else(|| unknown(name))?;
                let suffix = match rest {
                    ["conv1", "0", "weight"] => "conv0.weight",
                    ["conv1", "1", "bias"] => "conv0.bias",
                    ["conv2", "1", "weight"] => "conv1.weight",
                    ["conv2", "2", "bias"] => "conv1.bias",
                    ["skip", "1", "weight"] => "skip.weight",
                    ["conv2" | "skip", "0", "kernel"] => {
                        check_kernel(value, 1.0, name)?;
                        continue;
                    }
                    _ => return Err(unknown(name)),
                };
                format!("b{}.{suffix}", resolution >> (index - 1))
            }
            ["final_conv", "0", "weight"] => "b4.conv.weight".into(),
            ["final_conv", "1", "bias"] => "b4.conv.bias".into(),
            ["final_linear", "0", kind @ ("weight" | "bias")] => format!("b4.fc.{kind}"),
            ["final_linear", "1", kind @ ("weight" | "bias")] => format!("b4.out.{kind}"),
            _ => return Err(unknown(name)),
        };
        let value = if name.ends_with("bias") {
            value.clone().reshape(vec![value.len()])?
        } else {
            value.clone()
        };
        tensors.insert(official, value);
    }
    infer::network(NetworkKind::Discriminator, tensors, Stated::nothing())
}

/// The tensors of a network under the names of that program.
///
/// # Errors
/// `Unsupported` for an architecture that the program cannot express.
pub(crate) fn state_dict(network: &Network) -> Result<Tensors> {
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
                    "networks whose z and w differ in width or whose pictures are not RGB",
                );
            }
            if g.activation != "lrelu"
                || g.mapping.activation != "lrelu"
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
            if d.activation != "lrelu"
                || d.epilogue_activation != "lrelu"
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
    // The blur kernels, which that program keeps as buffers.
    match &network.config {
        NetworkConfig::Generator(g) => {
            for i in 0..g.block_resolutions().len() - 1 {
                out.insert(format!("convs.{}.conv.blur.kernel", 2 * i), kernel(4.0)?);
                out.insert(format!("to_rgbs.{i}.upsample.kernel"), kernel(4.0)?);
            }
        }
        NetworkConfig::Discriminator(d) => {
            for i in 1..=d.block_resolutions().len() {
                out.insert(format!("convs.{i}.conv2.0.kernel"), kernel(1.0)?);
                out.insert(format!("convs.{i}.skip.0.kernel"), kernel(1.0)?);
            }
        }
    }
    Ok(out)
}

/// `64` of `b64`, as its place in the order 4, 8, 16, ...
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

/// A checkpoint as the bytes of a `.pt` file.
///
/// # Errors
/// `Unsupported` for an architecture that the program cannot express.
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
    // That program keeps one average. Ours of G goes beside it under a name of its own, which it does not look at.
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
