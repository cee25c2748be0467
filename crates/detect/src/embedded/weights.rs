//! Named tensors of 16-bit floats from safetensors bytes.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};

/// Weights by name.
#[derive(Debug)]
pub(super) struct Weights(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// Reads safetensors of f16 or f32.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("is not safetensors: {error}"))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            let values = match view.dtype() {
                Dtype::F16 => view
                    .data()
                    .chunks_exact(2)
                    .map(|bytes| f16(u16::from_le_bytes([bytes[0], bytes[1]])))
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

    /// The values of a tensor whose shape is known.
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

/// IEEE half precision as f32.
fn f16(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f32::from(bits & 0x3FF));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x8000, 0.0),
        ] {
            assert_eq!(f16(bits), value, "{bits:x}");
        }
        assert!(f16(0x7E00).is_nan() && f16(0xFC00) == f32::NEG_INFINITY);
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(Weights::parse(b"{}").unwrap_err().contains("safetensors"));
    }
}
