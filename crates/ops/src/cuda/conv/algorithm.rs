//! The algorithms of cuDNN and the memory layouts that they run in.

use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as BwdData, cudnnConvolutionBwdFilterAlgo_t as BwdFilter,
    cudnnConvolutionFwdAlgo_t as Fwd,
};

use crate::cuda::plan::Convolution;

/// The memory layout of the arrays while cuDNN works on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// `[n, c, h, w]`, the layout of our tensors.
    ChannelsFirst,
    /// `[n, h, w, c]`: our transposing kernel converts inputs and results.
    ChannelsLast,
}

/// An algorithm of cuDNN for one of the three convolutions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    Forward(Fwd),
    InputGradient(BwdData),
    WeightGradient(BwdFilter),
}

impl Algorithm {
    /// All algorithms for a convolution, in the order of cuDNN's enumeration.
    pub(super) fn all(convolution: Convolution) -> Vec<Algorithm> {
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

    /// The convolution that this algorithm computes.
    pub(super) fn convolution(self) -> Convolution {
        match self {
            Algorithm::Forward(_) => Convolution::Forward,
            Algorithm::InputGradient(_) => Convolution::InputGradient,
            Algorithm::WeightGradient(_) => Convolution::WeightGradient,
        }
    }
}
