//! The number types for which the kernels are compiled.

use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, ValidAsZeroBits};
use half::{bf16, f16};

/// A number type for which the kernels are compiled.
pub(super) trait Element: CudaDType + DeviceRepr + ValidAsZeroBits {
    /// The suffix of kernel names for this type, e.g. `f16` in `bias_act_f16`.
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
