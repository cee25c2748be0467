//! The ways in which cuDNN can make a convolution: its algorithms, each in two layouts of memory.

use std::sync::Arc;

use candle_core::Result;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::cudnn::Cudnn;
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as BwdData, cudnnConvolutionBwdFilterAlgo_t as BwdFilter,
    cudnnConvolutionFwdAlgo_t as Fwd,
};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::channels_last;
use super::described::{Arrays, Described, Number};
use crate::cpu::conv::ConvGeometry;
use crate::cuda::card::Element;
use crate::cuda::plan::Convolution;

/// How the arrays lie in memory while cuDNN works on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// As all tensors: `[n, c, h, w]`.
    ChannelsFirst,
    /// `[n, h, w, c]`: brought over and back by a kernel of ours.
    ChannelsLast,
}

/// An algorithm of one of the three convolutions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    Forward(Fwd),
    InputGradient(BwdData),
    WeightGradient(BwdFilter),
}

impl Algorithm {
    /// All that cuDNN has names for, in their order.
    fn all(convolution: Convolution) -> Vec<Algorithm> {
        match convolution {
            Convolution::Forward => [
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_DIRECT,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_FFT,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
                Fwd::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED,
            ]
            .map(Algorithm::Forward)
            .to_vec(),
            Convolution::InputGradient => [
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0,
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
                BwdData::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
            ]
            .map(Algorithm::InputGradient)
            .to_vec(),
            Convolution::WeightGradient => [
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
                BwdFilter::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
            ]
            .map(Algorithm::WeightGradient)
            .to_vec(),
        }
    }

    fn convolution(self) -> Convolution {
        match self {
            Algorithm::Forward(_) => Convolution::Forward,
            Algorithm::InputGradient(_) => Convolution::InputGradient,
            Algorithm::WeightGradient(_) => Convolution::WeightGradient,
        }
    }
}

/// An algorithm in a layout, and the bytes that it works in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub format: Format,
    pub algorithm: Algorithm,
    pub workspace: usize,
}

impl Way {
    /// What cuDNN's heuristics name for a layout.
    pub(super) fn by_heuristics<T: Element + Number>(
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        convolution: Convolution,
        format: Format,
    ) -> Result<Way> {
        let described = Described::<T>::new(cudnn, g, format)?;
        let algorithm = described.by_heuristics(convolution)?;
        Way::of(&described, algorithm, format)
    }

    fn of<T: Element + Number>(
        described: &Described<T>,
        algorithm: Algorithm,
        format: Format,
    ) -> Result<Way> {
        Ok(Way {
            format,
            algorithm,
            workspace: described.workspace(algorithm)?,
        })
    }

    /// Everything that is worth a trial, or why it is not: first what the heuristics name, then all algorithms. Short
    /// types have a second layout, which tensor cores like; f32 gains nothing by it.
    pub(super) fn candidates<T: Element + Number>(
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        convolution: Convolution,
    ) -> Vec<Result<Way>> {
        let formats: &[Format] = match T::SUFFIX {
            "f32" => &[Format::ChannelsFirst],
            _ => &[Format::ChannelsFirst, Format::ChannelsLast],
        };
        let mut ways: Vec<Result<Way>> = formats
            .iter()
            .map(|&format| Way::by_heuristics::<T>(cudnn, g, convolution, format))
            .collect();
        for &format in formats {
            match Described::<T>::new(cudnn, g, format) {
                Err(error) => ways.push(Err(error)),
                Ok(described) => {
                    for algorithm in Algorithm::all(convolution) {
                        let way = Way::of(&described, algorithm, format);
                        let known = |known: &Result<Way>| match (known, &way) {
                            (Ok(known), Ok(way)) => known == way,
                            _ => false,
                        };
                        if !ways.iter().any(known) {
                            ways.push(way);
                        }
                    }
                }
            }
        }
        ways
    }

    /// Convolves `arrays.a` with `arrays.b` into `arrays.y`.
    ///
    /// # Errors
    /// What cuDNN says.
    pub(super) fn follow<T: Element + Number>(
        self,
        device: &CudaDevice,
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        workspace: Option<&mut CudaSlice<u8>>,
        arrays: &mut Arrays<'_, '_, T>,
    ) -> Result<()> {
        let described = Described::<T>::new(cudnn, g, self.format)?;
        let convolve = |arrays: &mut Arrays<'_, '_, T>| {
            // SAFETY: the arrays have the sizes and the type of their descriptors: `Op::shape` and `Op::plan` come from the
            // same geometry, and inputs were checked against it; `channels_last` keeps their number.
            unsafe { described.launch(self.algorithm, workspace, g.gain, arrays) }
        };
        match self.format {
            Format::ChannelsFirst => convolve(arrays),
            Format::ChannelsLast => {
                let (x, w, y) = (g.x_shape(), g.weights_shape(), g.y_shape());
                let shapes = match self.algorithm.convolution() {
                    Convolution::Forward => [x, w, y],
                    Convolution::InputGradient => [y, w, x],
                    Convolution::WeightGradient => [x, y, w],
                };
                channels_last::around(device, shapes, arrays, convolve)
            }
        }
    }
}
