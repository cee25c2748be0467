//! The device and element type that feature networks compute in.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;

/// The device and the element type that a feature network computes in. The features that it returns are always f32.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device of the weights and computations.
    pub device: Device,
    /// Element type of weights and layers: `F32`, or `F16`, which needs half the memory and is faster on a GPU.
    pub dtype: DType,
}

impl Default for Placement {
    /// f32 on the CPU.
    fn default() -> Self {
        Self::f32(&Device::Cpu)
    }
}

impl Placement {
    /// f32 on a device.
    pub fn f32(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: DType::F32,
        }
    }

    /// f16 on a device.
    pub fn f16(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: DType::F16,
        }
    }

    /// The default element type on a device: f16 on a GPU, f32 on the CPU, where f16 is not faster.
    pub fn of(device: &Device) -> Self {
        if device.is_cpu() {
            Self::f32(device)
        } else {
            Self::f16(device)
        }
    }

    /// f32 on the same device.
    pub fn in_f32(&self) -> Self {
        Self::f32(&self.device)
    }

    /// Moves a tensor to this device and converts it to this element type.
    pub(crate) fn bring(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.to_device(&self.device)?.to_dtype(self.dtype)?)
    }
}
