//! Reads checkpoints of the rosinality implementation.

use super::{Tensors, kernel, unknown};
use crate::checkpoint::Network;
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::missing;
use crate::tensor::Tensor;
use architecture::NetworkKind;

/// Builds a generator from tensors under rosinality's names. `latent_avg` is its average of `w`, if the file has one.
/// `notes` receives remarks on missing buffers, with `key` as the name of the network.
///
/// # Errors
/// `Layout` for a tensor name that rosinality's program does not use, `Unsupported` for a blur kernel other than `[1,
/// 3, 3, 1]`, and the errors of [`infer::network`].
pub(crate) fn generator(
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
    if let Some(average) = latent_avg {
        missing::add_average(&mut tensors, average, key, notes);
    }
    missing::generator(tensors, key, notes, Stated::nothing())
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
                value.clone().reshape(vec![side, side]).map_err(|_| {
                    let what = format!("{:?} where {side} by {side} belong", value.shape);
                    Error::tensor(name, what)
                })?,
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

/// Checks that a stored blur kernel is `[1, 3, 3, 1]` with this gain. rosinality's program always uses that kernel, and
/// the reader drops it.
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

/// Builds a discriminator from tensors under rosinality's names.
///
/// # Errors
/// As [`generator`].
pub(crate) fn discriminator(state: &Tensors) -> Result<Network> {
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
