//! The device and number type of feature networks.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;

/// A device, and the number type of a network's layers. Features are always f32.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device of the weights and of all computations.
    pub device: Device,
    /// `F32`, or `F16` for half the memory and the tensor cores of a GPU.
    pub dtype: DType,
}

impl Default for Placement {
    /// The CPU with f32.
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

    /// A device with its default type: f16 on a GPU, f32 on the CPU, which is not faster in f16.
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

    /// A tensor moved to this device and converted to this type.
    pub(crate) fn bring(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.to_device(&self.device)?.to_dtype(self.dtype)?)
    }
}
