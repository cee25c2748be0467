//! Architecture from tensors.
//!
//! Whatever shapes can tell is taken from the shapes. Settings that a file states are checked against that; what
//! neither tells (clamp, fp16 blocks, activations) takes the official default and is listed as assumed.

mod discriminator;
mod generator;
mod shapes;
mod stated;

use indexmap::IndexMap;

pub(crate) use stated::Stated;

use crate::checkpoint::Network;
use crate::config::{NetworkConfig, NetworkKind, filter_buffer};
use crate::error::{Error, Result, layout};
use crate::layout::tree;
use crate::tensor::Tensor;

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
        NetworkKind::Generator => {
            NetworkConfig::Generator(generator::generator(&tensors, &mut stated)?)
        }
        NetworkKind::Discriminator => {
            NetworkConfig::Discriminator(discriminator::discriminator(&tensors, &mut stated)?)
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
