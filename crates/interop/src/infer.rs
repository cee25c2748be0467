//! Architecture from tensors.
//!
//! Whatever shapes can tell is taken from the shapes. Settings that a file states are checked against that; what
//! neither tells (clamp, fp16 blocks, activations) takes the official default and is listed as assumed.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value as Json;

use crate::checkpoint::Network;
use crate::config::{
    Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig, NetworkConfig, NetworkKind,
    filter_buffer,
};
use crate::error::{Error, Result, layout};
use crate::layout::tree;
use crate::tensor::Tensor;

/// Settings as a file states them: nested official keyword arguments.
pub(crate) struct Stated<'s> {
    json: &'s Json,
    /// Whether a setting that is not stated has the official default by the rules of the format.
    defaults_hold: bool,
    assumed: Vec<String>,
    /// Official default, or that of the format, where a setting is not stated and not visible.
    pub mbstd_group_size: Option<usize>,
}

impl<'s> Stated<'s> {
    /// Constructor arguments: one that is not stated has its default.
    pub fn new(json: &'s Json) -> Self {
        Self {
            json,
            defaults_hold: true,
            assumed: Vec::new(),
            mbstd_group_size: Some(4),
        }
    }

    /// For a file that states nothing.
    pub fn nothing() -> Self {
        Self {
            defaults_hold: false,
            ..Self::new(&Json::Null)
        }
    }

    fn get(&self, path: &str) -> Option<&'s Json> {
        path.split('.')
            .try_fold(self.json, |json, key| json.get(key))
    }

    /// The value that the shapes give; an error when the file states another.
    fn check(&self, path: &str, found: usize) -> Result<usize> {
        match self.get(path) {
            None | Some(Json::Null) => Ok(found),
            Some(stated) if stated.as_f64() == Some(found as f64) => Ok(found),
            Some(stated) => Err(contradiction(path, stated, found.to_string())),
        }
    }

    /// A setting that no shape shows.
    fn take<T: Serialize>(
        &mut self,
        path: &str,
        default: T,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<T> {
        match self.get(path) {
            None => {
                if !self.defaults_hold {
                    self.assumed
                        .push(format!("{path} = {}", serde_json::to_string(&default)?));
                }
                Ok(default)
            }
            Some(json) => read(json)
                .ok_or_else(|| layout!("the file states {path} = {json}, which cannot be used")),
        }
    }

    fn text(&mut self, path: &str, default: &str) -> Result<String> {
        self.take(path, default.to_owned(), |json| {
            json.as_str().map(str::to_owned)
        })
    }
}

fn contradiction(path: &str, stated: &Json, found: String) -> Error {
    Error::Contradiction {
        what: path.to_owned(),
        stated: stated.to_string(),
        found,
    }
}

fn optional_number(json: &Json) -> Option<Option<f64>> {
    match json {
        Json::Null => Some(None),
        other => other.as_f64().map(Some),
    }
}

fn size(json: &Json) -> Option<usize> {
    json.as_f64()
        .filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v))
        .map(|v| v as usize)
}

fn optional_size(json: &Json) -> Option<Option<usize>> {
    match json {
        Json::Null => Some(None),
        other => size(other).map(Some),
    }
}

type Tensors = IndexMap<String, Tensor>;

/// Builds a [`Network`] from named tensors: infers the settings, checks that every tensor of that architecture is
/// there with its shape and nothing else is, and puts them into the official order.
///
/// # Errors
/// `Contradiction`, `Layout` or `Unsupported`.
pub(crate) fn network(
    kind: NetworkKind,
    tensors: Tensors,
    mut stated: Stated<'_>,
) -> Result<Network> {
    if tensors
        .keys()
        .any(|name| name.starts_with("synthesis.input."))
    {
        return Err(Error::Unsupported(
            "this is a StyleGAN3 generator; only StyleGAN2 and StyleGAN2-ADA are read".into(),
        ));
    }
    let config = match kind {
        NetworkKind::Generator => NetworkConfig::Generator(generator(&tensors, &mut stated)?),
        NetworkKind::Discriminator => {
            NetworkConfig::Discriminator(discriminator(&tensors, &mut stated)?)
        }
    };
    assemble(config, tensors, stated.assumed)
}

/// Sorts tensors into the network that `config` describes; there must be all of them and no others.
///
/// # Errors
/// `Layout` or `Tensor`.
pub(crate) fn assemble(
    config: NetworkConfig,
    mut tensors: Tensors,
    assumed: Vec<String>,
) -> Result<Network> {
    let kind = config.kind();
    let mut network = Network {
        config,
        params: IndexMap::new(),
        buffers: IndexMap::new(),
        assumed,
    };
    let mut missing = Vec::new();
    for slot in tree(&network.config).slots() {
        let tensor = match (tensors.swap_remove(&slot.name), &slot.filter) {
            (Some(tensor), _) => tensor.into_f32(),
            (None, Some(taps)) => {
                let (shape, values) = filter_buffer(taps);
                Tensor::from_f32(shape, &values)?
            }
            (None, None) => {
                missing.push(slot.name);
                continue;
            }
        };
        if tensor.shape != slot.shape {
            return Err(Error::tensor(
                &slot.name,
                format!(
                    "its shape is {:?}, but the rest of the network needs {:?}",
                    tensor.shape, slot.shape
                ),
            ));
        }
        let map = if slot.is_buffer {
            &mut network.buffers
        } else {
            &mut network.params
        };
        map.insert(slot.name, tensor);
    }
    let kind = match kind {
        NetworkKind::Generator => "generator",
        NetworkKind::Discriminator => "discriminator",
    };
    if !missing.is_empty() {
        return Err(layout!("the {kind} lacks {}", listed(&missing)));
    }
    if !tensors.is_empty() {
        let extra: Vec<String> = tensors.keys().cloned().collect();
        return Err(layout!(
            "the {kind} has tensors that StyleGAN2 does not have: {}",
            listed(&extra)
        ));
    }
    Ok(network)
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        format!("{shown} and {} more", names.len() - SHOWN)
    } else {
        shown
    }
}

/// Extent `axis` of a tensor that must be there.
fn dim(tensors: &Tensors, name: &str, axis: usize) -> Result<usize> {
    let tensor = tensors
        .get(name)
        .ok_or_else(|| layout!("no tensor `{name}`: this is no StyleGAN2 network"))?;
    let extent = tensor.shape.get(axis).copied().filter(|&d| d > 0);
    extent.ok_or_else(|| Error::tensor(name, format!("unexpected shape {:?}", tensor.shape)))
}

/// The largest block side, given that all smaller ones are there.
fn resolution(tensors: &Tensors, of: impl Fn(usize) -> String) -> Result<usize> {
    let largest = (2..=14)
        .map(|log2| 1usize << log2)
        .take_while(|&r| tensors.contains_key(&of(r)))
        .last();
    largest.ok_or_else(|| layout!("no tensor `{}`: this is no StyleGAN2 network", of(4)))
}

/// `(channel_base, channel_max)` of the rule `min(base / r, max)` that gives the channels of each side.
fn channel_rule(
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
fn filter(
    tensors: &Tensors,
    stated: &mut Stated<'_>,
    path: &str,
    buffer: &str,
) -> Result<Vec<f64>> {
    const STANDARD: [f64; 4] = [1.0, 3.0, 3.0, 1.0];
    if let Some(json) = stated.get(path) {
        let taps: Option<Vec<f64>> = json
            .as_array()
            .and_then(|taps| taps.iter().map(Json::as_f64).collect());
        return taps
            .filter(|t| (1..=64).contains(&t.len()) && t.iter().sum::<f64>() != 0.0)
            .ok_or_else(|| layout!("the file states {path} = {json}, which is no list of taps"));
    }
    let Some(held) = tensors.get(buffer) else {
        return Ok(STANDARD.to_vec());
    };
    if (held.shape.clone(), held.to_f32()) == filter_buffer(&STANDARD) {
        return Ok(STANDARD.to_vec());
    }
    // A normalised outer product: its row sums are the normalised taps.
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
fn mapping(
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
    let labelled = tensors.contains_key("mapping.embed.weight");
    let (c_dim, embed_features) = if labelled {
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
    if labelled {
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
        activation: stated.text(&key("activation"), "lrelu")?,
        lr_multiplier: stated.take(&key("lr_multiplier"), 0.01, Json::as_f64)?,
        w_avg_beta,
    };
    Ok((config, c_dim, input))
}

fn architecture(stated: &Stated<'_>, path: &str, found: Architecture) -> Result<Architecture> {
    match stated.get(path) {
        Some(json) if json.as_str() != Some(found.name()) => {
            Err(contradiction(path, json, found.name().to_owned()))
        }
        _ => Ok(found),
    }
}

fn generator(tensors: &Tensors, stated: &mut Stated<'_>) -> Result<GeneratorConfig> {
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
        activation: stated.text("synthesis_kwargs.activation", "lrelu")?,
        resample_filter: filter(
            tensors,
            stated,
            "synthesis_kwargs.resample_filter",
            &format!("synthesis.b{img_resolution}.resample_filter"),
        )?,
    })
}

fn discriminator(tensors: &Tensors, stated: &mut Stated<'_>) -> Result<DiscriminatorConfig> {
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
    let labelled = tensors.contains_key("mapping.embed.weight");
    let cmap_dim = if labelled {
        stated.check("cmap_dim", out)?
    } else {
        0
    };
    let (mapping, c_dim) = if labelled {
        let (mapping, c_dim, _) = mapping(tensors, stated, "mapping_kwargs", cmap_dim, None)?;
        (mapping, c_dim)
    } else {
        let unused = MappingConfig {
            num_layers: 0,
            embed_features: 0,
            layer_features: 0,
            activation: "lrelu".into(),
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
        activation: stated.text("block_kwargs.activation", "lrelu")?,
        resample_filter: filter(
            tensors,
            stated,
            "block_kwargs.resample_filter",
            &format!("{first}.resample_filter"),
        )?,
        epilogue_activation: stated.text("epilogue_kwargs.activation", "lrelu")?,
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
