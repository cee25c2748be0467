//! Number types that the kernels exist for.

use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, ValidAsZeroBits};
use half::{bf16, f16};

/// A number type that the kernels exist for.
pub(super) trait Element: CudaDType + DeviceRepr + ValidAsZeroBits {
    /// The end of a kernel's name: `bias_act_f16`.
    const SUFFIX: &'static str;
}
impl Element for f32 {
    const SUFFIX: &'static str = "f32";
}
impl Element for f16 {
    const SUFFIX: &'static str = "f16";
}
impl Element for bf16 {
    const SUFFIX: &'static str = "bf16";
}
