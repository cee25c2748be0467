//! Converts arrays in the GPU's memory to f64 and back, for cuBLAS, cuDNN and cuRAND.

use crate::float::{BRAIN, HALF, Round, from_brain, from_half, narrow};
use crate::memory;

/// A number type of the libraries' arrays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    F16,
    Bf16,
    F32,
    F64,
}

impl Kind {
    pub(crate) fn size(self) -> usize {
        match self {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8]) -> f64 {
        let half = || u16::from_le_bytes([bytes[0], bytes[1]]);
        match self {
            Kind::F16 => from_half(half()),
            Kind::Bf16 => from_brain(half()),
            Kind::F32 => f64::from(f32::from_le_bytes(bytes.try_into().expect("4 bytes"))),
            Kind::F64 => f64::from_le_bytes(bytes.try_into().expect("8 bytes")),
        }
    }

    fn encode(self, value: f64, bytes: &mut [u8]) {
        match self {
            Kind::F16 => {
                bytes.copy_from_slice(&(narrow(value, HALF, Round::Nearest) as u16).to_le_bytes())
            }
            Kind::Bf16 => {
                bytes.copy_from_slice(&(narrow(value, BRAIN, Round::Nearest) as u16).to_le_bytes())
            }
            Kind::F32 => bytes.copy_from_slice(&(value as f32).to_le_bytes()),
            Kind::F64 => bytes.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

/// The `len` numbers at an address, as f64; `None` if they are not inside one allocation or not aligned.
pub(crate) fn load(address: u64, len: usize, kind: Kind) -> Option<Vec<f64>> {
    let bytes = memory::read(address, len.checked_mul(kind.size())?)?;
    let aligned = address.is_multiple_of(kind.size() as u64);
    aligned.then(|| {
        bytes
            .chunks_exact(kind.size())
            .map(|b| kind.decode(b))
            .collect()
    })
}

/// Writes one number at index `at` of an array, given as bytes of the GPU's memory.
pub(crate) fn store(bytes: &mut [u8], at: usize, kind: Kind, value: f64) {
    kind.encode(value, &mut bytes[at * kind.size()..][..kind.size()]);
}

/// Reads a factor (alpha or beta) of type f32 or f64 from the caller's memory.
pub(crate) fn factor(from: *const std::ffi::c_void, kind: Kind) -> f64 {
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..kind.size()];
    // SAFETY: callers pass a pointer to a factor of this type, as the libraries' documentation demands.
    unsafe {
        from.cast::<u8>()
            .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len())
    };
    kind.decode(bytes)
}
