//! The cuDNN descriptors of a convolution in one memory layout.

use std::sync::Arc;

use candle_core::Result;
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::algorithm::{Algorithm, Layout};
use super::operands::{CudnnType, Operands};
use crate::cpu::conv::ConvGeometry;
use crate::cuda::element::Element;
use crate::cuda::plan::Convolution;

/// cuDNN's descriptors of a convolution, its input, its weights and its result.
pub(super) struct Descriptors<T: CudnnDataType> {
    conv: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    w: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
}

/// Four sizes as i32, which cuDNN takes; an error when one is too large.
fn sizes((a, b, c, d): (usize, usize, usize, usize)) -> Result<[i32; 4]> {
    let small = |size: usize| {
        i32::try_from(size).map_err(|_| {
            candle_core::Error::Msg(format!("a size of {size} is too large for cuDNN"))
        })
    };
    Ok([small(a)?, small(b)?, small(c)?, small(d)?])
}

impl<T: Element + CudnnType> Descriptors<T> {
    pub(super) fn new(cudnn: &Arc<Cudnn>, g: &ConvGeometry, layout: Layout) -> Result<Self> {
        let format = match layout {
            Layout::ChannelsFirst => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW,
            Layout::ChannelsLast => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
        };
        let [padding, stride, groups, _] = sizes((g.padding, g.stride, g.groups, 0))?;
        let mut conv = cudnn.create_conv2d::<f32>(
            [padding; 2],
            [stride; 2],
            [1; 2],
            sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
        )?;
        conv.set_group_count(groups)?;
        // f32 is multiplied in f32: by default, GPUs from Ampere on round the factors to 10 bits (TF32).
        conv.set_math_type(match T::SUFFIX {
            "f32" => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            _ => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        })?;
        Ok(Self {
            conv,
            x: cudnn.create_4d_tensor(format, sizes(g.x_shape())?)?,
            w: cudnn.create_4d_filter(format, sizes(g.weights_shape())?)?,
            y: cudnn.create_4d_tensor(format, sizes(g.y_shape())?)?,
        })
    }

    fn forward(&self) -> ConvForward<'_, T, f32, T> {
        ConvForward {
            conv: &self.conv,
            x: &self.x,
            w: &self.w,
            y: &self.y,
        }
    }

    fn input_gradient(&self) -> ConvBackwardData<'_, T, f32, T> {
        ConvBackwardData {
            conv: &self.conv,
            dx: &self.x,
            w: &self.w,
            dy: &self.y,
        }
    }

    fn weight_gradient(&self) -> ConvBackwardFilter<'_, T, f32, T> {
        ConvBackwardFilter {
            conv: &self.conv,
            x: &self.x,
            dw: &self.w,
            dy: &self.y,
        }
    }

    /// The algorithm that cuDNN's heuristics expect to be the fastest.
    pub(super) fn by_heuristics(&self, convolution: Convolution) -> Result<Algorithm> {
        Ok(match convolution {
            Convolution::Forward => Algorithm::Forward(self.forward().pick_algorithm()?),
            Convolution::InputGradient => {
                Algorithm::InputGradient(self.input_gradient().pick_algorithm()?)
            }
            Convolution::WeightGradient => {
                Algorithm::WeightGradient(self.weight_gradient().pick_algorithm()?)
            }
        })
    }

    /// The workspace that an algorithm needs, in bytes.
    ///
    /// # Errors
    /// Errors of cuDNN, one of which says that the algorithm does not support the convolution.
    pub(super) fn workspace(&self, algorithm: Algorithm) -> Result<usize> {
        Ok(match algorithm {
            Algorithm::Forward(algorithm) => self.forward().get_workspace_size(algorithm)?,
            Algorithm::InputGradient(algorithm) => {
                self.input_gradient().get_workspace_size(algorithm)?
            }
            Algorithm::WeightGradient(algorithm) => {
                self.weight_gradient().get_workspace_size(algorithm)?
            }
        })
    }

    /// Enqueues the convolution with an algorithm; the result is multiplied by `gain`.
    ///
    /// # Safety
    /// The operands must have the described sizes and layout, and the workspace at least the size that
    /// [`Descriptors::workspace`] returns.
    pub(super) unsafe fn launch(
        &self,
        algorithm: Algorithm,
        workspace: Option<&mut CudaSlice<u8>>,
        gain: f64,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<()> {
        let factors = (T::from_f64(gain), T::from_f64(0.0));
        let Operands { a, b, y } = operands;
        // SAFETY: the caller's promise; cuDNN only reads `a` and `b`.
        unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => {
                    let op = self.forward();
                    op.launch(algorithm, workspace, factors, *a, *b, *y)?;
                }
                Algorithm::InputGradient(algorithm) => {
                    let op = self.input_gradient();
                    op.launch(algorithm, workspace, factors, *y, *b, *a)?;
                }
                Algorithm::WeightGradient(algorithm) => {
                    let op = self.weight_gradient();
                    op.launch(algorithm, workspace, factors, *a, *y, *b)?;
                }
            }
        }
        Ok(())
    }
}
