//! Settings that follow from the shapes of tensors, for both networks.

use architecture::{Architecture, DEFAULT_FILTER, MappingConfig, filter_buffer};
use serde_json::Value as Json;

use crate::error::{Error, Result, layout};
use crate::infer::Tensors;
use crate::infer::stated::{Stated, contradiction, optional_number, size};

/// Extent `axis` of a tensor that must be there.
pub(super) fn dim(tensors: &Tensors, name: &str, axis: usize) -> Result<usize> {
    let tensor = tensors
        .get(name)
        .ok_or_else(|| layout!("no tensor `{name}`: this is no StyleGAN2 network"))?;
    let extent = tensor.shape.get(axis).copied().filter(|&d| d > 0);
    extent.ok_or_else(|| Error::tensor(name, format!("unexpected shape {:?}", tensor.shape)))
}

/// The largest block side, given that all smaller ones are there.
pub(super) fn resolution(tensors: &Tensors, of: impl Fn(usize) -> String) -> Result<usize> {
    let largest = (2..=14)
        .map(|log2| 1usize << log2)
        .take_while(|&r| tensors.contains_key(&of(r)))
        .last();
    largest.ok_or_else(|| layout!("no tensor `{}`: this is no StyleGAN2 network", of(4)))
}

/// `(channel_base, channel_max)` of the rule `min(base / r, max)` that gives the channels of each side.
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
    // Different statements can give the same channels (a cap that is never reached): any that fits is right.
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

/// Taps of the resampling filter: as stated, or from the buffer.
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
    // A normalized outer product: its row sums are the normalized taps.
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

/// The mapping network whose tensors begin with `mapping.`; also gives `c_dim` and the width of its input.
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
