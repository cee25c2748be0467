//! Convolutions by cuDNN: sums in f32 whatever the type, an algorithm chosen once for each shape, one workspace.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, DeviceId};
use candle_core::{Result, WithDType};

use super::card::Element;
use super::plan::Convolution;
use crate::cpu::conv::ConvGeometry;

/// A type that cuDNN convolves.
pub(super) trait Number: CudnnDataType + WithDType {}
impl<T: CudnnDataType + WithDType> Number for T {}

/// What an algorithm depends on: the convolution, the type and all sizes.
type Key = (Convolution, &'static str, [usize; 9]);

/// An algorithm and the bytes that it works in.
#[derive(Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t, usize),
    InputGradient(sys::cudnnConvolutionBwdDataAlgo_t, usize),
    WeightGradient(sys::cudnnConvolutionBwdFilterAlgo_t, usize),
}

/// What a thread keeps for a card: handles of cuDNN belong to one.
struct Kept {
    cudnn: Arc<Cudnn>,
    algorithms: HashMap<Key, Algorithm>,
    /// As large as the hungriest algorithm so far wants; all work is in one stream, so one is enough.
    workspace: CudaSlice<u8>,
}

thread_local! {
    static KEPT: RefCell<HashMap<DeviceId, Kept>> = RefCell::default();
}

/// Convolves `a` with `b` into `y`: `(x, w) -> y`, `(dy, w) -> dx` or `(x, dy) -> dw`.
///
/// The gain of `g` is the factor that cuDNN applies to its sums, so weights need no scaled copy.
///
/// # Errors
/// What cuDNN says.
pub(super) fn run<T: Element + Number>(
    device: &CudaDevice,
    g: &ConvGeometry,
    convolution: Convolution,
    a: &CudaView<T>,
    b: &CudaView<T>,
    y: &mut CudaSlice<T>,
) -> Result<()> {
    KEPT.with(|kept| {
        let mut kept = kept.borrow_mut();
        let kept = match kept.entry(device.id()) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => place.insert(Kept {
                cudnn: Cudnn::new(device.cuda_stream())?,
                algorithms: HashMap::new(),
                workspace: device.alloc_zeros::<u8>(1)?,
            }),
        };
        kept.run(device, g, convolution, a, b, y)
    })
}

/// Sizes as cuDNN takes them.
fn sizes((a, b, c, d): (usize, usize, usize, usize)) -> Result<[i32; 4]> {
    let small = |size: usize| {
        i32::try_from(size)
            .map_err(|_| candle_core::Error::Msg(format!("a size of {size} is too much for cuDNN")))
    };
    Ok([small(a)?, small(b)?, small(c)?, small(d)?])
}

impl Kept {
    fn run<T: Element + Number>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        convolution: Convolution,
        a: &CudaView<T>,
        b: &CudaView<T>,
        y: &mut CudaSlice<T>,
    ) -> Result<()> {
        let (conv, x_shape, w_shape, y_shape) = self.descriptors::<T>(g)?;
        let key = (convolution, T::SUFFIX, key_sizes(g));
        let algorithm = match self.algorithms.get(&key) {
            Some(algorithm) => *algorithm,
            None => {
                let chosen = choose(convolution, &conv, &x_shape, &w_shape, &y_shape)?;
                self.algorithms.insert(key, chosen);
                chosen
            }
        };
        let bytes = algorithm.workspace();
        if bytes > self.workspace.len() {
            // SAFETY: a workspace is written before it is read.
            self.workspace = unsafe { device.alloc::<u8>(bytes)? };
        }
        let workspace = (bytes > 0).then_some(&mut self.workspace);
        let factors = (T::from_f64(g.gain), T::from_f64(0.0));
        // SAFETY: the arrays have the sizes and the type of their descriptors: `Op::shape` and `Op::plan` come from the
        // same geometry, and inputs were checked against it.
        unsafe {
            match algorithm {
                Algorithm::Forward(algorithm, _) => ConvForward {
                    conv: &conv,
                    x: &x_shape,
                    w: &w_shape,
                    y: &y_shape,
                }
                .launch(algorithm, workspace, factors, a, b, y)?,
                Algorithm::InputGradient(algorithm, _) => ConvBackwardData {
                    conv: &conv,
                    dx: &x_shape,
                    w: &w_shape,
                    dy: &y_shape,
                }
                .launch(algorithm, workspace, factors, y, b, a)?,
                Algorithm::WeightGradient(algorithm, _) => ConvBackwardFilter {
                    conv: &conv,
                    x: &x_shape,
                    dw: &w_shape,
                    dy: &y_shape,
                }
                .launch(algorithm, workspace, factors, a, y, b)?,
            }
        }
        Ok(())
    }

    /// Descriptions of the convolution, its input, its weights and its result.
    #[allow(clippy::type_complexity, reason = "four handles that are used once")]
    fn descriptors<T: Element + Number>(
        &self,
        g: &ConvGeometry,
    ) -> Result<(
        ConvDescriptor<f32>,
        TensorDescriptor<T>,
        FilterDescriptor<T>,
        TensorDescriptor<T>,
    )> {
        use sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW as NCHW;
        let [padding, stride, groups, _] = sizes((g.padding, g.stride, g.groups, 0))?;
        let mut conv = self.cudnn.create_conv2d::<f32>(
            [padding; 2],
            [stride; 2],
            [1; 2],
            sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
        )?;
        conv.set_group_count(groups)?;
        // f32 stays f32: without this, cards from Ampere on would round the factors to 10 bits.
        conv.set_math_type(match T::SUFFIX {
            "f32" => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            _ => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        })?;
        let x = self.cudnn.create_4d_tensor(NCHW, sizes(g.x_shape())?)?;
        let w = self
            .cudnn
            .create_4d_filter(NCHW, sizes(g.weights_shape())?)?;
        let y = self.cudnn.create_4d_tensor(NCHW, sizes(g.y_shape())?)?;
        Ok((conv, x, w, y))
    }
}

fn key_sizes(g: &ConvGeometry) -> [usize; 9] {
    [
        g.n,
        g.ci,
        g.co,
        g.h,
        g.w,
        g.kh * 1000 + g.kw,
        g.stride,
        g.padding,
        g.groups,
    ]
}

impl Algorithm {
    fn workspace(self) -> usize {
        match self {
            Algorithm::Forward(_, bytes)
            | Algorithm::InputGradient(_, bytes)
            | Algorithm::WeightGradient(_, bytes) => bytes,
        }
    }
}

/// What cuDNN's heuristics take for the fastest algorithm, and its workspace.
fn choose<T: Number>(
    convolution: Convolution,
    conv: &ConvDescriptor<f32>,
    x: &TensorDescriptor<T>,
    w: &FilterDescriptor<T>,
    y: &TensorDescriptor<T>,
) -> Result<Algorithm> {
    Ok(match convolution {
        Convolution::Forward => {
            let conv = ConvForward { conv, x, w, y };
            let algorithm = conv.pick_algorithm()?;
            Algorithm::Forward(algorithm, conv.get_workspace_size(algorithm)?)
        }
        Convolution::InputGradient => {
            let (dx, dy) = (x, y);
            let conv = ConvBackwardData { conv, dx, w, dy };
            let algorithm = conv.pick_algorithm()?;
            Algorithm::InputGradient(algorithm, conv.get_workspace_size(algorithm)?)
        }
        Convolution::WeightGradient => {
            let (dw, dy) = (w, y);
            let conv = ConvBackwardFilter { conv, x, dw, dy };
            let algorithm = conv.pick_algorithm()?;
            Algorithm::WeightGradient(algorithm, conv.get_workspace_size(algorithm)?)
        }
    })
}
