//! The element type that the blocks of the highest resolutions compute in.

use candle_core::{DType, Device};

/// The element type that the blocks which may use half precision (`num_fp16_res` of the configuration) compute in. All
/// other blocks, the weights and the results are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 everywhere.
    #[default]
    Full,
    /// f16, as in NVIDIA's training.
    F16,
    /// bf16, which has the range of f32 and 8 bits of precision. Needs a GPU of the Ampere generation or later.
    BF16,
}

impl Precision {
    /// The default for a device: [`Precision::F16`] on a GPU, [`Precision::Full`] on a CPU, where f16 is not faster.
    pub fn of(device: &Device) -> Self {
        match device.is_cuda() {
            true => Self::F16,
            false => Self::Full,
        }
    }

    /// The element type that a block of side `resolution` computes in.
    ///
    /// Blocks of side `fp16_from` and above ([`GeneratorConfig::fp16_from`](crate::GeneratorConfig::fp16_from)) may use
    /// half precision. `full` is the element type of the network's input: the blocks below `fp16_from` compute in it,
    /// and if it is not f32, all blocks do.
    pub fn dtype_at(self, resolution: usize, fp16_from: usize, full: DType) -> DType {
        match self {
            _ if resolution < fp16_from || full != DType::F32 => full,
            Self::Full => full,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_resolutions_are_short() {
        let at = |side| Precision::F16.dtype_at(side, 64, DType::F32);
        assert_eq!([32, 64, 512].map(at), [DType::F32, DType::F16, DType::F16]);
        let doubles = Precision::BF16.dtype_at(512, 8, DType::F64);
        assert_eq!(doubles, DType::F64);
        assert_eq!(Precision::BF16.dtype_at(8, 8, DType::F32), DType::BF16);
        assert_eq!(Precision::of(&Device::Cpu), Precision::Full);
    }
}
