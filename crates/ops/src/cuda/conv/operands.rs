//! The input and output arrays of a convolution.

use candle_core::WithDType;
use candle_core::cuda_backend::cudarc::cudnn::CudnnDataType;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};

/// A number type for which cuDNN has convolutions.
pub(in crate::cuda) trait CudnnType: CudnnDataType + WithDType {}
impl<T: CudnnDataType + WithDType> CudnnType for T {}

/// The two inputs of a convolution and its result: `(x, w) -> y`, `(dy, w) -> dx` or `(x, dy) -> dw`.
pub(super) struct Operands<'v, 'y, T> {
    pub a: &'v CudaView<'v, T>,
    pub b: &'v CudaView<'v, T>,
    pub y: &'y mut CudaSlice<T>,
}
