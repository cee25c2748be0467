//! Candidates for autotuning: each algorithm of cuDNN in each memory layout.

use std::sync::Arc;

use candle_core::Result;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::cudnn::Cudnn;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::algorithm::{Algorithm, Layout};
use super::channels_last;
use super::descriptors::Descriptors;
use super::operands::{CudnnType, Operands};
use crate::cpu::conv::ConvGeometry;
use crate::cuda::element::Element;
use crate::cuda::plan::Convolution;

/// An algorithm in a memory layout, with the workspace that it needs, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub layout: Layout,
    pub algorithm: Algorithm,
    pub workspace: usize,
}

impl Candidate {
    /// The algorithm that cuDNN's heuristics choose for a layout.
    pub(super) fn by_heuristics<T: Element + CudnnType>(
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        convolution: Convolution,
        layout: Layout,
    ) -> Result<Candidate> {
        let descriptors = Descriptors::<T>::new(cudnn, g, layout)?;
        let algorithm = descriptors.by_heuristics(convolution)?;
        Candidate::of(&descriptors, algorithm, layout)
    }

    fn of<T: Element + CudnnType>(
        descriptors: &Descriptors<T>,
        algorithm: Algorithm,
        layout: Layout,
    ) -> Result<Candidate> {
        Ok(Candidate {
            layout,
            algorithm,
            workspace: descriptors.workspace(algorithm)?,
        })
    }

    /// All candidates for autotuning: the choices of the heuristics first, then all algorithms. A candidate that cuDNN
    /// does not support is an error in the list. f16 and bf16 are tried in both layouts, since tensor cores prefer
    /// channels last; f32 is tried only channels first, as channels last is no faster.
    pub(super) fn all<T: Element + CudnnType>(
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        convolution: Convolution,
    ) -> Vec<Result<Candidate>> {
        let layouts: &[Layout] = match T::SUFFIX {
            "f32" => &[Layout::ChannelsFirst],
            _ => &[Layout::ChannelsFirst, Layout::ChannelsLast],
        };
        let mut candidates: Vec<Result<Candidate>> = layouts
            .iter()
            .map(|&layout| Candidate::by_heuristics::<T>(cudnn, g, convolution, layout))
            .collect();
        for &layout in layouts {
            match Descriptors::<T>::new(cudnn, g, layout) {
                Err(error) => candidates.push(Err(error)),
                Ok(descriptors) => {
                    for algorithm in Algorithm::all(convolution) {
                        let candidate = Candidate::of(&descriptors, algorithm, layout);
                        let is_same = |known: &Result<Candidate>| match (known, &candidate) {
                            (Ok(known), Ok(candidate)) => known == candidate,
                            _ => false,
                        };
                        if !candidates.iter().any(is_same) {
                            candidates.push(candidate);
                        }
                    }
                }
            }
        }
        candidates
    }

    /// Convolves `operands.a` with `operands.b` into `operands.y`.
    ///
    /// # Errors
    /// Errors of cuDNN and of the CUDA driver.
    pub(super) fn run<T: Element + CudnnType>(
        self,
        device: &CudaDevice,
        cudnn: &Arc<Cudnn>,
        g: &ConvGeometry,
        workspace: Option<&mut CudaSlice<u8>>,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<()> {
        let descriptors = Descriptors::<T>::new(cudnn, g, self.layout)?;
        let convolve = |operands: &mut Operands<'_, '_, T>| {
            // SAFETY: the operands have the sizes and the type of their descriptors: `Op::shape` and `Op::plan` come
            // from the same geometry, and inputs were checked against it; copies by `channels_last` have as many
            // elements.
            unsafe { descriptors.launch(self.algorithm, workspace, g.gain, operands) }
        };
        match self.layout {
            Layout::ChannelsFirst => convolve(operands),
            Layout::ChannelsLast => {
                let (x, w, y) = (g.x_shape(), g.weights_shape(), g.y_shape());
                let shapes = match self.algorithm.convolution() {
                    Convolution::Forward => [x, w, y],
                    Convolution::InputGradient => [y, w, x],
                    Convolution::WeightGradient => [x, y, w],
                };
                channels_last::with_copies(device, shapes, operands, convolve)
            }
        }
    }
}
