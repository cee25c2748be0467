//! In which number type the largest resolutions compute.

use candle_core::{DType, Device};

use crate::config::{DiscriminatorConfig, GeneratorConfig};

/// The number type of the blocks that may use a short one (`num_fp16_res` of the settings); all others, weights and
/// what comes out are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 everywhere.
    #[default]
    Full,
    /// f16, as the reference trains.
    F16,
    /// bf16: the range of f32, and 8 bits; cards from Ampere on.
    BF16,
}

impl Precision {
    /// What a device computes with unless told otherwise: f16 on cards, f32 on a CPU, which gains nothing from it.
    pub fn of(device: &Device) -> Self {
        match device.is_cuda() {
            true => Self::F16,
            false => Self::Full,
        }
    }

    /// The type of a block of side `resolution`, where blocks of side `short_from` and more may use a short one and all
    /// else is `full`. Only f32 is shortened.
    pub(crate) fn at(self, resolution: usize, short_from: usize, full: DType) -> DType {
        match self {
            _ if resolution < short_from || full != DType::F32 => full,
            Self::Full => full,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }
}

impl GeneratorConfig {
    /// The type of a block's features.
    pub fn dtype_at(&self, resolution: usize, precision: Precision) -> DType {
        let from = short_from(self.img_resolution, self.num_fp16_res);
        precision.at(resolution, from, DType::F32)
    }
}

impl DiscriminatorConfig {
    /// The type of a block's features.
    pub fn dtype_at(&self, resolution: usize, precision: Precision) -> DType {
        let from = short_from(self.img_resolution, self.num_fp16_res);
        precision.at(resolution, from, DType::F32)
    }
}

/// The side of the smallest of the `count` largest blocks; blocks of 4 px are never among them.
pub(crate) fn short_from(img_resolution: usize, count: usize) -> usize {
    match count {
        0 => usize::MAX,
        _ => (img_resolution >> (count - 1).min(30)).max(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_resolutions_are_short() {
        let at = |side| Precision::F16.at(side, short_from(512, 4), DType::F32);
        assert_eq!([32, 64, 512].map(at), [DType::F32, DType::F16, DType::F16]);
        assert_eq!(short_from(512, 0), usize::MAX);
        assert_eq!((short_from(16, 4), short_from(16, 40)), (8, 8));
        let doubles = Precision::BF16.at(512, 8, DType::F64);
        assert_eq!(doubles, DType::F64);
        assert_eq!(Precision::BF16.at(8, 8, DType::F32), DType::BF16);
        assert_eq!(Precision::of(&Device::Cpu), Precision::Full);
    }
}
