//! Copies the tensors of a network in a file to a device.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;

/// Copies the tensors of a network to a device as f32, each with its name.
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
