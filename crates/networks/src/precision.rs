//! The number type of the largest resolutions.

use candle_core::{DType, Device};

/// The number type of the blocks that may use half precision (`num_fp16_res`); all other blocks, weights and
/// results are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 everywhere.
    #[default]
    Full,
    /// f16, as the reference trains.
    F16,
    /// bf16: the range of f32 with 8 bits of precision; GPUs from Ampere on.
    BF16,
}

impl Precision {
    /// Default of a device: f16 on a GPU, f32 on a CPU, which is not faster in f16.
    pub fn of(device: &Device) -> Self {
        match device.is_cuda() {
            true => Self::F16,
            false => Self::Full,
        }
    }

    /// The type of the features of a block of side `resolution`. Blocks of side `fp16_from` and above may use half
    /// precision (`fp16_from()` of a configuration); all others are `full`. Only f32 is replaced.
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
