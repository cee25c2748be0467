//! Settings and tensors from one crate's types to the other's. The settings have one serde form.

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The settings of a generator as `networks` wants them.
///
/// # Errors
/// `Settings` when they name something that `networks` does not have (an activation).
pub fn generator_config(
    key: &str,
    config: &interop::GeneratorConfig,
) -> Result<networks::GeneratorConfig> {
    through_json(key, config)
}

/// The settings of a discriminator as `networks` wants them.
///
/// # Errors
/// `Settings` when they name something that `networks` does not have (an activation).
pub fn discriminator_config(
    key: &str,
    config: &interop::DiscriminatorConfig,
) -> Result<networks::DiscriminatorConfig> {
    through_json(key, config)
}

/// The settings of either network as `interop` wants them.
///
/// # Errors
/// `Settings` when the two crates do not agree on a setting.
pub fn to_interop_config(
    key: &str,
    config: &networks::NetworkConfig,
) -> Result<interop::NetworkConfig> {
    through_json(key, config)
}

fn through_json<A: Serialize, B: DeserializeOwned>(key: &str, config: &A) -> Result<B> {
    serde_json::to_value(config)
        .and_then(serde_json::from_value)
        .map_err(|e| Error::Settings {
            network: key.to_owned(),
            reason: e.to_string(),
        })
}

/// The tensors of a network on a device.
pub(crate) fn tensors(
    network: &interop::Network,
    device: &Device,
) -> Result<Vec<(String, Tensor)>> {
    network
        .tensors()
        .map(|(name, tensor)| {
            let shape = tensor.shape.as_slice();
            let tensor = match tensor.dtype {
                interop::DType::F32 => {
                    Tensor::from_raw_buffer(&tensor.data, DType::F32, shape, device)?
                }
                _ => Tensor::from_vec(tensor.to_f32(), shape, device)?,
            };
            Ok((name.to_owned(), tensor))
        })
        .collect()
}
