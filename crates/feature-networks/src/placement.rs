//! Where feature networks compute, and in which numbers.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;

/// A device, and the type of the numbers between the layers of a network. What comes out is f32 in any case.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Where weights lie and layers compute.
    pub device: Device,
    /// `F32`, or `F16` for half the memory and the fast units of a card.
    pub dtype: DType,
}

impl Default for Placement {
    /// The processor, f32.
    fn default() -> Self {
        Self::f32(&Device::Cpu)
    }
}

impl Placement {
    /// A device with f32.
    pub fn f32(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: DType::F32,
        }
    }

    /// A device with f16.
    pub fn f16(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: DType::F16,
        }
    }

    /// A device with what suits it: f16 on a card, f32 on the processor, which gains nothing from f16.
    pub fn of(device: &Device) -> Self {
        if device.is_cpu() {
            Self::f32(device)
        } else {
            Self::f16(device)
        }
    }

    /// The same device with f32.
    pub fn in_f32(&self) -> Self {
        Self::f32(&self.device)
    }

    /// A tensor brought here.
    pub(crate) fn bring(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.to_device(&self.device)?.to_dtype(self.dtype)?)
    }
}
