//! The named weights of the embedded network, read from safetensors.

use std::collections::HashMap;

use half::f16;
use safetensors::{Dtype, SafeTensors};

/// Shape and values of each weight, by name.
#[derive(Debug)]
pub(super) struct Weights(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// Reads a safetensors file of f16 or f32 tensors; the error describes the problem.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("is not safetensors: {error}"))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            let values = match view.dtype() {
                Dtype::F16 => view
                    .data()
                    .chunks_exact(2)
                    .map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
                    .collect(),
                Dtype::F32 => view
                    .data()
                    .chunks_exact(4)
                    .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                    .collect(),
                other => return Err(format!("{name} is {other:?}, f16 or f32 is needed")),
            };
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self(tensors))
    }

    /// The values of a tensor; the error says that it is missing or has a shape other than `shape`.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32], String> {
        let (found, values) = self
            .0
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        if found != shape {
            return Err(format!("{name} is {found:?}, {shape:?} is needed"));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_files_are_refused() {
        assert!(Weights::parse(b"{}").unwrap_err().contains("safetensors"));
    }
}
