//! Infers the architecture of a network from its tensors.
//!
//! Settings that the shapes of the tensors determine are taken from the shapes; a file that states another value is
//! refused. Other settings (clamp, fp16 blocks, activations) are taken from the file. If the file has no settings, they
//! get the default of NVIDIA's code and are listed in [`Network::assumed`]. Each family of networks has a module here.

mod family;
mod stated;
mod stylegan2;

use architecture::{Init, NetworkConfig, NetworkKind, TensorKind};
use indexmap::IndexMap;

pub(crate) use stated::Stated;

use crate::checkpoint::Network;
use crate::error::{Error, Result, layout};
use crate::tensor::Tensor;

type Tensors = IndexMap<String, Tensor>;

/// All families of networks that are recognized.
const FAMILIES: [family::Family; 1] = [stylegan2::FAMILY];

/// Builds a [`Network`] from tensors under NVIDIA's names: infers its configuration, then [`assemble`]s it.
///
/// # Errors
/// `Contradiction` when the file states a setting that the shapes contradict, `Unsupported` for a StyleGAN3 generator
/// or numbers of channels that `channel_base` and `channel_max` cannot express, `Layout` for missing or additional
/// tensors, `Tensor` for a tensor of the wrong shape.
pub(crate) fn network(
    kind: NetworkKind,
    tensors: Tensors,
    mut stated: Stated<'_>,
) -> Result<Network> {
    let family = FAMILIES
        .iter()
        .find(|family| (family.recognizes)(&tensors))
        .ok_or_else(|| {
            Error::Unsupported(
                "this is a StyleGAN3 generator; only StyleGAN2 and StyleGAN2-ADA are read".into(),
            )
        })?;
    let infer = match kind {
        NetworkKind::Generator => family.generator,
        NetworkKind::Discriminator => family.discriminator,
    };
    let config = infer(&tensors, &mut stated)?;
    assemble(config, tensors, stated.assumed)
}

/// Builds the network of a known configuration from its tensors, converted to f32 and sorted in the order of NVIDIA's
/// code. Only resampling filters may be missing: they follow from the configuration.
///
/// # Errors
/// `Layout` for missing or additional tensors, `Tensor` for a tensor of the wrong shape.
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
    for spec in network.config.modules().params_and_buffers() {
        let tensor = match (tensors.swap_remove(&spec.name), &spec.init) {
            (Some(tensor), _) => tensor.into_f32(),
            (None, Init::Fixed(values)) => Tensor::from_f32(spec.shape.clone(), values)?,
            (None, _) => {
                missing.push(spec.name);
                continue;
            }
        };
        if tensor.shape != spec.shape {
            return Err(Error::tensor(
                &spec.name,
                format!(
                    "its shape is {:?}, but the rest of the network needs {:?}",
                    tensor.shape, spec.shape
                ),
            ));
        }
        let map = if spec.kind == TensorKind::Buffer {
            &mut network.buffers
        } else {
            &mut network.params
        };
        map.insert(spec.name, tensor);
    }
    let kind = kind.name();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_made_of_all_its_tensors() {
        let data = include_bytes!("../../tests/data/official.pkl");
        let checkpoint = crate::read_checkpoint_bytes(data, "official.pkl").unwrap();
        let network = checkpoint.g_ema.unwrap();
        let all: Tensors = network
            .tensors()
            .map(|(name, t)| (name.to_owned(), t.clone()))
            .collect();
        let again = |tensors| assemble(network.config.clone(), tensors, Vec::new());
        assert_eq!(again(all.clone()).unwrap(), network);
        // Resampling filters may be missing: they follow from the configuration.
        let mut fewer = all;
        fewer.retain(|name, _| !name.ends_with("resample_filter"));
        assert_eq!(again(fewer.clone()).unwrap(), network);
        fewer.swap_remove("mapping.w_avg");
        let error = again(fewer).unwrap_err().to_string();
        assert!(error.contains("mapping.w_avg"), "{error}");
    }

    #[test]
    fn an_unknown_activation_is_refused_by_name() {
        let json = serde_json::json!({ "block_kwargs": { "activation": "mish" } });
        let error = Stated::new(&json)
            .activation("block_kwargs.activation")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("block_kwargs.activation: no activation `mish`"),
            "{error}"
        );
    }
}
