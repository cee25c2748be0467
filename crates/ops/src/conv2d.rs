//! 2-D convolution, its transpose and its weight gradient: the derivatives of each are again ops of these three kinds.

use candle_core::{Result, Shape, Tensor, bail};

use crate::cpu::conv::{self, ConvGeometry, Direction, Scales};
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Convolution, Plan};
use crate::op::{Op, apply};
use crate::value::{Value, record};
use crate::weight_cache;

/// Options of [`conv2d`] and [`conv_transpose2d`]. As in PyTorch, the kernel is not mirrored (cross-correlation).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dOptions {
    /// The distance between the windows of neighboring outputs, in input pixels.
    pub stride: usize,
    /// The number of zero pixels added on each of the four sides of the input.
    pub padding: usize,
    /// The number of groups of channels that are convolved separately.
    pub groups: usize,
    /// A factor by which the weights are multiplied (equalized learning rate).
    pub gain: f64,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Conv2dOptions {
            stride: 1,
            padding: 0,
            groups: 1,
            gain: 1.0,
        }
    }
}

/// Convolves `x` with `weight`. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, in_channels, height, width]`, f32 or f64
/// - `weight`: `[out_channels, in_channels / groups, kernel_height, kernel_width]`
/// - result: `[batch, out_channels, (height + 2 padding - kernel) / stride + 1, ...]`
///
/// # Errors
/// When shapes do not match, or the number type is not supported.
pub fn conv2d(x: &Tensor, weight: &Tensor, options: &Conv2dOptions) -> Result<Tensor> {
    let g = geometry(x, weight, options)?;
    apply([x, weight], Forward(g))
}

/// Checks the arguments of [`conv2d`] and returns the sizes of the convolution.
pub(crate) fn geometry(
    x: &Tensor,
    weight: &Tensor,
    options: &Conv2dOptions,
) -> Result<ConvGeometry> {
    let (n, channels, h, w) = x.dims4()?;
    let (co, ci, kh, kw) = weight.dims4()?;
    let &Conv2dOptions {
        stride,
        padding,
        groups,
        gain,
    } = options;
    if groups == 0 || stride == 0 || channels != ci * groups || co % groups != 0 {
        bail!(
            "conv2d: x {:?} and weight {:?} do not fit {groups} groups, stride {stride}",
            x.shape(),
            weight.shape()
        );
    }
    if h + 2 * padding < kh || w + 2 * padding < kw || kh == 0 || kw == 0 || n == 0 {
        bail!(
            "conv2d: x {:?} with padding {padding} is smaller than the kernel {kh}x{kw}",
            x.shape()
        );
    }
    Ok(ConvGeometry {
        n,
        ci,
        co: co / groups,
        h,
        w,
        kh,
        kw,
        stride,
        padding,
        groups,
        swapped: false,
        gain,
    })
}

/// The transpose of [`conv2d`]: adds each value of `x`, times the kernel, to the output. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, in_channels, height, width]`, f32 or f64
/// - `weight`: `[in_channels, out_channels / groups, kernel_height, kernel_width]`
/// - result: `[batch, out_channels, (height - 1) * stride - 2 padding + kernel, ...]`
///
/// # Errors
/// When shapes do not match, or the number type is not supported.
pub fn conv_transpose2d(x: &Tensor, weight: &Tensor, options: &Conv2dOptions) -> Result<Tensor> {
    let g = transposed_geometry(x, weight, options, false)?;
    apply([x, weight], InputGradient(g))
}

/// Checks the arguments of [`conv_transpose2d`] and returns the sizes of the convolution whose transpose is computed.
/// With `swapped`, the weights are `[out_channels, in_channels / groups, ...]`, as for [`conv2d`].
pub(crate) fn transposed_geometry(
    x: &Tensor,
    weight: &Tensor,
    options: &Conv2dOptions,
    swapped: bool,
) -> Result<ConvGeometry> {
    let (n, channels, in_h, in_w) = x.dims4()?;
    let (first, second, kh, kw) = weight.dims4()?;
    let &Conv2dOptions {
        stride,
        padding,
        groups,
        gain,
    } = options;
    // Channels per group. `ci` and `co` are inputs and outputs of the convolution whose transpose this is.
    let (co, ci) = match (groups, swapped) {
        (0, _) => (0, 0),
        (_, false) => (first / groups, second),
        (_, true) => (second, first / groups),
    };
    if groups == 0 || stride == 0 || channels != co * groups || first % groups != 0 {
        bail!(
            "conv_transpose2d: x {:?} and weight {:?} do not fit {groups} groups, stride {stride}",
            x.shape(),
            weight.shape()
        );
    }
    if in_h == 0 || in_w == 0 || kh == 0 || kw == 0 {
        bail!(
            "conv_transpose2d: x {:?} or weight {:?} is empty",
            x.shape(),
            weight.shape()
        );
    }
    let (h, w) = ((in_h - 1) * stride + kh, (in_w - 1) * stride + kw);
    if h <= 2 * padding || w <= 2 * padding || n == 0 {
        bail!(
            "conv_transpose2d: padding {padding} leaves nothing of x {:?}",
            x.shape()
        );
    }
    let (h, w) = (h - 2 * padding, w - 2 * padding);
    Ok(ConvGeometry {
        n,
        ci,
        co,
        h,
        w,
        kh,
        kw,
        stride,
        padding,
        groups,
        swapped,
        gain,
    })
}

/// The gradient of [`conv2d`] with respect to its weight, for the gradient `dy` of its result. Differentiable to any
/// order.
///
/// # Shapes
/// - `x`: `[batch, in_channels, height, width]`; `dy`: shaped like the result of [`conv2d`]
/// - result: `[out_channels, in_channels / groups, kernel_height, kernel_width]`, with the last two given by `kernel`
///
/// # Errors
/// When shapes do not match.
pub fn conv2d_weight_gradient(
    x: &Tensor,
    dy: &Tensor,
    kernel: (usize, usize),
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let (n, channels, h, w) = x.dims4()?;
    let (dy_n, outputs, oh, ow) = dy.dims4()?;
    let &Conv2dOptions {
        stride,
        padding,
        groups,
        gain,
    } = options;
    let (kh, kw) = kernel;
    let fits = groups > 0
        && stride > 0
        && channels % groups == 0
        && outputs % groups == 0
        && n > 0
        && kh > 0
        && kw > 0
        && h + 2 * padding >= kh
        && w + 2 * padding >= kw;
    if !fits || dy_n != n {
        bail!(
            "conv2d_weight_gradient: x {:?} and dy {:?} do not fit",
            x.shape(),
            dy.shape()
        );
    }
    let g = ConvGeometry {
        n,
        ci: channels / groups,
        co: outputs / groups,
        h,
        w,
        kh,
        kw,
        stride,
        padding,
        groups,
        swapped: false,
        gain,
    };
    if (g.out_height(), g.out_width()) != (oh, ow) {
        bail!(
            "conv2d_weight_gradient: x {:?} and dy {:?} do not fit",
            x.shape(),
            dy.shape()
        );
    }
    apply([x, dy], WeightGradient(g))
}

impl Value {
    /// Convolves the batch `self` with `weight`: [`conv2d`] (see there for shapes) recorded in the graph.
    ///
    /// # Errors
    /// Same as for [`conv2d`].
    pub fn conv2d(&self, weight: &Value, options: &Conv2dOptions) -> Result<Value> {
        let g = geometry(self.tensor(), weight.tensor(), options)?;
        record([self, weight], Forward(g))
    }

    /// The transpose of a convolution with `weight`: [`conv_transpose2d`] (see there for shapes) recorded in the graph.
    ///
    /// # Errors
    /// Same as for [`conv_transpose2d`].
    pub fn conv_transpose2d(&self, weight: &Value, options: &Conv2dOptions) -> Result<Value> {
        let g = transposed_geometry(self.tensor(), weight.tensor(), options, false)?;
        record([self, weight], InputGradient(g))
    }

    /// [`conv_transpose2d`] with a weight in the order of [`conv2d`]: `[out_channels, in_channels / groups, ...]`.
    pub(crate) fn conv_transpose2d_swapped(
        &self,
        weight: &Value,
        options: &Conv2dOptions,
    ) -> Result<Value> {
        let g = transposed_geometry(self.tensor(), weight.tensor(), options, true)?;
        record([self, weight], InputGradient(g))
    }
}

/// The op `(x, w) -> conv2d(x, w)`.
#[derive(Clone)]
pub(crate) struct Forward(pub ConvGeometry);
/// The op `(dy, w) -> dx`, the gradient with respect to the input, which is the transposed convolution.
#[derive(Clone)]
pub(crate) struct InputGradient(pub ConvGeometry);
/// The op `(x, dy) -> dw`, the gradient with respect to the weight.
#[derive(Clone)]
pub(crate) struct WeightGradient(pub ConvGeometry);

impl Op<2> for Forward {
    const NAME: &'static str = "conv2d";

    fn shape(&self, _: [&Shape; 2]) -> Result<Shape> {
        Ok(self.0.y_shape().into())
    }

    fn run_f32(&self, [x, w]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        let prepared = weight_cache::prepared(&self.0, w, Direction::Forward);
        conv::forward(&self.0, x, w, &prepared, Scales::default())
    }

    fn run_f64(&self, [x, w]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        conv::forward_f64(&self.0, x, w)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, w]: [&Tensor; 2]) -> Result<Plan> {
        let op = |w: &Tensor, g| apply([x, w], Forward(g));
        plan(&self.0, Convolution::Forward, w, op)
    }

    fn gradients(
        &self,
        [x, w]: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let dx = || apply([dy, w], InputGradient(self.0));
        let dw = || apply([x, dy], WeightGradient(self.0));
        Ok([
            wanted[0].then(dx).transpose()?,
            wanted[1].then(dw).transpose()?,
        ])
    }
}

impl Op<2> for InputGradient {
    const NAME: &'static str = "conv_transpose2d";

    fn shape(&self, _: [&Shape; 2]) -> Result<Shape> {
        Ok(self.0.x_shape().into())
    }

    fn run_f32(&self, [dy, w]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        let prepared = weight_cache::prepared(&self.0, w, Direction::InputGradient);
        conv::input_gradient(&self.0, dy, w, &prepared, Scales::default())
    }

    fn run_f64(&self, [dy, w]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        conv::input_gradient_f64(&self.0, dy, w)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [dy, w]: [&Tensor; 2]) -> Result<Plan> {
        let op = |w: &Tensor, g| apply([dy, w], InputGradient(g));
        plan(&self.0, Convolution::InputGradient, w, op)
    }

    fn gradients(
        &self,
        [dy, w]: [&Tensor; 2],
        ddx: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let ddy = || apply([ddx, w], Forward(self.0));
        let dw = || apply([ddx, dy], WeightGradient(self.0));
        Ok([
            wanted[0].then(ddy).transpose()?,
            wanted[1].then(dw).transpose()?,
        ])
    }
}

impl Op<2> for WeightGradient {
    const NAME: &'static str = "conv2d_weight_gradient";

    fn shape(&self, _: [&Shape; 2]) -> Result<Shape> {
        Ok(self.0.weights_shape().into())
    }

    fn run_f32(&self, [x, dy]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        conv::weight_gradient(&self.0, x, dy, Scales::default())
    }

    fn run_f64(&self, [x, dy]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        conv::weight_gradient_f64(&self.0, x, dy)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, dy]: [&Tensor; 2]) -> Result<Plan> {
        let op = |dy: &Tensor, g| apply([x, dy], WeightGradient(g));
        plan(&self.0, Convolution::WeightGradient, dy, op)
    }

    fn gradients(
        &self,
        [x, dy]: [&Tensor; 2],
        ddw: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let dx = || apply([dy, ddw], InputGradient(self.0));
        let ddy = || apply([x, ddw], Forward(self.0));
        Ok([
            wanted[0].then(dx).transpose()?,
            wanted[1].then(ddy).transpose()?,
        ])
    }
}

/// The GPU work of one of the three ops with `second` as its second input: a cuDNN convolution where possible.
///
/// Two cases are composed of other ops: for weights stored as `[ci, co, ...]`, the first two dimensions are exchanged;
/// for half precision with a gain, `second` is multiplied by the gain first. `op` applies the same op with another
/// second input and other sizes.
#[cfg(any(feature = "cuda", test))]
fn plan(
    g: &ConvGeometry,
    convolution: Convolution,
    second: &Tensor,
    op: impl FnOnce(&Tensor, ConvGeometry) -> Result<Tensor>,
) -> Result<Plan> {
    if second.dtype().size_in_bytes() < 4 && g.gain != 1.0 {
        let plain = ConvGeometry { gain: 1.0, ..*g };
        return Ok(Plan::Composed(op(&(second * g.gain)?, plain)?));
    }
    if !g.swapped {
        return Ok(Plan::Convolution(*g, convolution));
    }
    let plain = ConvGeometry {
        swapped: false,
        ..*g
    };
    let y = match convolution {
        Convolution::WeightGradient => exchanged(&op(second, plain)?, g.groups),
        _ => op(&exchanged(second, g.groups)?, plain),
    };
    Ok(Plan::Composed(y?))
}

/// Weights with their first two dimensions exchanged within each group.
#[cfg(any(feature = "cuda", test))]
fn exchanged(w: &Tensor, groups: usize) -> Result<Tensor> {
    let (first, second, kh, kw) = w.dims4()?;
    w.reshape((groups, first / groups, second, kh * kw))?
        .transpose(1, 2)?
        .reshape((groups * second, first / groups, kh, kw))?
        .contiguous()
}
