//! Infers the settings that generator and discriminator share, from the shapes of tensors.

use architecture::{Architecture, DEFAULT_FILTER, MappingConfig, filter_buffer};
use serde_json::Value as Json;

use crate::error::{Error, Result, layout};
use crate::infer::Tensors;
use crate::infer::stated::{Stated, contradiction, optional_number, size};

/// Size of a tensor along `axis`.
///
/// # Errors
/// `Layout` when there is no such tensor, `Tensor` when it has no such axis or the size is 0.
pub(super) fn dim(tensors: &Tensors, name: &str, axis: usize) -> Result<usize> {
    let tensor = tensors
        .get(name)
        .ok_or_else(|| layout!("no tensor `{name}`: this is no StyleGAN2 network"))?;
    let extent = tensor.shape.get(axis).copied().filter(|&d| d > 0);
    extent.ok_or_else(|| Error::tensor(name, format!("unexpected shape {:?}", tensor.shape)))
}

/// Returns the side in pixels of the largest block. Checks the sides 4, 8, 16, ... until there is no tensor of the name
/// `of(side)`.
///
/// # Errors
/// `Layout` when there is no block of 4 pixels.
pub(super) fn resolution(tensors: &Tensors, of: impl Fn(usize) -> String) -> Result<usize> {
    let largest = (2..=14)
        .map(|log2| 1usize << log2)
        .take_while(|&r| tensors.contains_key(&of(r)))
        .last();
    largest.ok_or_else(|| layout!("no tensor `{}`: this is no StyleGAN2 network", of(4)))
}

/// Finds `(channel_base, channel_max)` such that each block of side `r` has `min(channel_base / r, channel_max)`
/// channels. `channels` are pairs of block side and number of channels; `prefix` precedes the names `channel_base` and
/// `channel_max` in the settings.
///
/// # Errors
/// `Contradiction` when the values stated in the file give other numbers of channels, `Unsupported` when no values give
/// these numbers.
pub(super) fn channel_rule(
    stated: &Stated<'_>,
    prefix: &str,
    channels: &[(usize, usize)],
) -> Result<(usize, usize)> {
    let max = channels.iter().map(|&(_, c)| c).max().unwrap_or(1);
    let base = channels
        .iter()
        .filter(|&&(_, c)| c < max)
        .map(|&(r, c)| r * c)
        .max()
        .unwrap_or_else(|| channels.iter().map(|&(r, c)| r * c).max().unwrap_or(max));
    let follows = |base: usize, max: usize| channels.iter().all(|&(r, c)| (base / r).min(max) == c);
    // Different bases and maxima can give the same channels, for example all maxima that no block reaches. Prefer the
    // stated values.
    let key = |name: &str| format!("{prefix}{name}");
    let stated_base = stated.get(&key("channel_base")).and_then(size);
    let stated_max = stated.get(&key("channel_max")).and_then(size);
    let (base, max) = (stated_base.unwrap_or(base), stated_max.unwrap_or(max));
    if follows(base, max) {
        return Ok((base, max));
    }
    let found = channels
        .iter()
        .map(|(r, c)| format!("{c} at {r}"))
        .collect::<Vec<_>>()
        .join(", ");
    if stated_base.is_some() || stated_max.is_some() {
        let stated = format!("min({base} / r, {max})");
        return Err(Error::Contradiction {
            what: "the number of channels".into(),
            stated,
            found,
        });
    }
    Err(Error::Unsupported(format!(
        "the channels follow no rule min(base / r, max): {found}"
    )))
}

/// Returns the taps of the resampling filter: as the file states them at `path`, else computed from the tensor
/// `buffer`, else the default.
pub(super) fn filter(
    tensors: &Tensors,
    stated: &mut Stated<'_>,
    path: &str,
    buffer: &str,
) -> Result<Vec<f64>> {
    if let Some(json) = stated.get(path) {
        let taps: Option<Vec<f64>> = json
            .as_array()
            .and_then(|taps| taps.iter().map(Json::as_f64).collect());
        return taps
            .filter(|t| (1..=64).contains(&t.len()) && t.iter().sum::<f64>() != 0.0)
            .ok_or_else(|| layout!("the file states {path} = {json}, which is no list of taps"));
    }
    let Some(held) = tensors.get(buffer) else {
        return Ok(DEFAULT_FILTER.to_vec());
    };
    if (held.shape.clone(), held.to_f32()) == filter_buffer(&DEFAULT_FILTER) {
        return Ok(DEFAULT_FILTER.to_vec());
    }
    // A 2-D buffer is a normalized outer product of the taps: its row sums are the normalized taps.
    let values = held.to_f64();
    let taps = match held.shape[..] {
        [n, m] if n == m && (1..8).contains(&n) => {
            values.chunks(n).map(|row| row.iter().sum()).collect()
        }
        [n] if (8..=64).contains(&n) => values,
        _ => {
            return Err(Error::tensor(
                buffer,
                format!("unexpected shape {:?}", held.shape),
            ));
        }
    };
    Ok(taps)
}

/// Infers the mapping network from the tensors `mapping.*`. Returns its configuration, `c_dim` (0 without labels), and
/// the input width of its first layer (`None` without layers). `prefix` is the path of the stated mapping settings;
/// `default_beta` is the default of `w_avg_beta`, `None` for a network without `w_avg`.
pub(super) fn mapping(
    tensors: &Tensors,
    stated: &mut Stated<'_>,
    prefix: &str,
    w_dim: usize,
    default_beta: Option<f64>,
) -> Result<(MappingConfig, usize, Option<usize>)> {
    let key = |name: &str| format!("{prefix}.{name}");
    let found = (0..1000)
        .take_while(|i| tensors.contains_key(&format!("mapping.fc{i}.weight")))
        .count();
    let num_layers = stated.check(&key("num_layers"), found)?;
    let labeled = tensors.contains_key("mapping.embed.weight");
    let (c_dim, embed_features) = if labeled {
        (
            dim(tensors, "mapping.embed.weight", 1)?,
            dim(tensors, "mapping.embed.weight", 0)?,
        )
    } else {
        (0, 0)
    };
    let layer_features = if num_layers > 1 {
        dim(tensors, "mapping.fc0.weight", 0)?
    } else {
        w_dim
    };
    let input = if num_layers > 0 {
        Some(dim(tensors, "mapping.fc0.weight", 1)?)
    } else {
        None
    };
    if labeled {
        stated.check(&key("embed_features"), embed_features)?;
    }
    if num_layers > 1 {
        stated.check(&key("layer_features"), layer_features)?;
    }
    let w_avg_beta = match default_beta {
        Some(beta) => stated.take(&key("w_avg_beta"), Some(beta), optional_number)?,
        None => None,
    };
    let config = MappingConfig {
        num_layers,
        embed_features,
        layer_features,
        activation: stated.activation(&key("activation"))?,
        lr_multiplier: stated.take(&key("lr_multiplier"), 0.01, Json::as_f64)?,
        w_avg_beta,
    };
    Ok((config, c_dim, input))
}

pub(super) fn architecture(
    stated: &Stated<'_>,
    path: &str,
    found: Architecture,
) -> Result<Architecture> {
    match stated.get(path) {
        Some(json) if json.as_str() != Some(found.name()) => {
            Err(contradiction(path, json, found.name().to_owned()))
        }
        _ => Ok(found),
    }
}
