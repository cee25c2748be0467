//! Bias, activation, gain and clamp in one op, with first and second derivatives.

use candle_core::{Result, Shape, Tensor, bail};

use crate::cpu::activation::{self, Function};
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Launch, Plan};
use crate::op::{Op, apply};
use crate::value::{Value, record};

pub use architecture::Activation;

/// Options of [`bias_act`], which computes, in this order: bias, activation, gain, clamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BiasActOptions {
    /// The activation function.
    pub activation: Activation,
    /// The factor of `lrelu` below zero; `None` is [`Activation::default_alpha`]. Other activations ignore it.
    pub alpha: Option<f64>,
    /// The factor on the activation; `None` is [`Activation::default_gain`].
    pub gain: Option<f64>,
    /// Results are clamped to `-clamp..=clamp`, after the gain; `None` does not clamp.
    pub clamp: Option<f64>,
    /// The dimension of `x` along which the bias varies, 1 for `[batch, channels, ...]`.
    pub dim: usize,
}

impl Default for BiasActOptions {
    fn default() -> Self {
        BiasActOptions {
            activation: Activation::Linear,
            alpha: None,
            gain: None,
            clamp: None,
            dim: 1,
        }
    }
}

impl BiasActOptions {
    pub(crate) fn function(&self) -> Function {
        Function {
            activation: self.activation,
            alpha: self.alpha.unwrap_or(self.activation.default_alpha()),
            gain: self.gain.unwrap_or(self.activation.default_gain()),
            clamp: self.clamp.unwrap_or(f64::INFINITY),
        }
    }
}

/// Adds a bias, applies an activation, scales and clamps. Differentiable twice.
///
/// The clamp passes gradients on where the unclamped result lies in `-clamp..=clamp`; elsewhere the gradient is 0.
///
/// # Shapes
/// - `x` and the result: any shape; `bias`: `[x.dim(options.dim)]`
///
/// # Errors
/// When the length of the bias is not that of its dimension, or the number type is not supported.
pub fn bias_act(x: &Tensor, bias: Option<&Tensor>, options: &BiasActOptions) -> Result<Tensor> {
    let op = BiasAct::of(options);
    if bias.is_none() && op.function.is_identity() {
        return Ok(x.clone());
    }
    let bias = bias.map_or_else(|| op.no_bias(x), |bias| Ok(bias.clone()))?;
    op.shape([x.shape(), bias.shape()])?;
    apply([x, &bias], op)
}

impl Value {
    /// Adds a bias, applies an activation, scales and clamps: [`bias_act`] recorded in the graph.
    ///
    /// # Errors
    /// Same as for [`bias_act`].
    pub fn bias_act(&self, bias: Option<&Value>, options: &BiasActOptions) -> Result<Value> {
        let op = BiasAct::of(options);
        if bias.is_none() && op.function.is_identity() {
            return Ok(self.clone());
        }
        let bias = op.bias_of(self, bias)?;
        op.shape([self.shape(), bias.shape()])?;
        record([self, &bias], op)
    }

    /// `self * f'(x + bias)`, where `f` is the activation with gain and clamp: the tangent of [`bias_act`] for the
    /// input tangent `self`. Differentiable with respect to all inputs.
    ///
    /// # Errors
    /// Same as for [`bias_act`].
    pub(crate) fn bias_act_derivative(
        &self,
        x: &Value,
        bias: Option<&Value>,
        options: &BiasActOptions,
    ) -> Result<Value> {
        let op = BiasAct::of(options);
        let bias = op.bias_of(x, bias)?;
        if op.function.is_piecewise_linear() {
            // The slope is piecewise constant, so no gradient flows to `x` and the bias.
            return record([self, &x.detach(), &bias.detach()], Derivative(op));
        }
        record([self, x, &bias], Derivative(op))
    }
}

/// The sum of `x` over all dimensions but `dim`: the gradient of the bias.
fn sum_to_bias(x: &Tensor, dim: usize) -> Result<Tensor> {
    let before: usize = x.dims()[..dim].iter().product();
    let channels = x.dim(dim)?;
    let after: usize = x.dims()[dim + 1..].iter().product();
    apply([&x.reshape((before, channels, after))?], ChannelSum)
}

/// The sum of each channel, `[n, c, m] -> [c]`.
#[derive(Clone)]
struct ChannelSum;

impl Op<1> for ChannelSum {
    const NAME: &'static str = "channel_sum";

    fn shape(&self, [x]: [&Shape; 1]) -> Result<Shape> {
        Ok(x.dims()[1].into())
    }

    fn run_f32(&self, [x]: [&[f32]; 1], [shape]: [&Shape; 1]) -> Vec<f32> {
        let dims = shape.dims();
        activation::channel_sum(x, dims[0], dims[1], dims[2])
    }

    fn run_f64(&self, [x]: [&[f64]; 1], [shape]: [&Shape; 1]) -> Vec<f64> {
        let dims = shape.dims();
        let mut sums = vec![0.0; dims[1]];
        for (i, row) in x.chunks_exact(dims[2].max(1)).enumerate() {
            sums[i % dims[1]] += row.iter().sum::<f64>();
        }
        sums
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x]: [&Tensor; 1]) -> Result<Plan> {
        let (n, c, m) = x.dims3()?;
        Launch::sum("channel_sum", c, n * m, &[n, c, m])
    }

    fn gradients(
        &self,
        [x]: [&Tensor; 1],
        dy: &Tensor,
        _: [bool; 1],
    ) -> Result<[Option<Tensor>; 1]> {
        let dy = dy.reshape((1, x.dim(1)?, 1))?;
        Ok([Some(dy.broadcast_as(x.shape())?.contiguous()?)])
    }
}

/// `(x, b) -> f(x + b)`
#[derive(Clone, Copy)]
struct BiasAct {
    function: Function,
    dim: usize,
}

impl BiasAct {
    fn of(options: &BiasActOptions) -> Self {
        Self {
            function: options.function(),
            dim: options.dim,
        }
    }

    /// A bias of zeros for `x`, used when no bias is given.
    fn no_bias(&self, x: &Tensor) -> Result<Tensor> {
        Tensor::zeros(x.dim(self.dim)?, x.dtype(), x.device())
    }

    fn bias_of(&self, x: &Value, bias: Option<&Value>) -> Result<Value> {
        Ok(match bias {
            Some(bias) => bias.clone(),
            None => self.no_bias(x.tensor())?.into(),
        })
    }

    /// The length of the dimension of the bias (the channels), and the product of the lengths of all dimensions after
    /// it.
    fn sizes(&self, x: &Shape) -> (usize, usize) {
        let dims = x.dims();
        (dims[self.dim], dims[self.dim + 1..].iter().product())
    }

    /// A kernel launch over all elements of `x`. `order` is that of the derivative: 0 for the activation itself.
    #[cfg(any(feature = "cuda", test))]
    fn launch(&self, kernel: &'static str, x: &Tensor, order: usize) -> Result<Plan> {
        let (channels, inner) = self.sizes(x.shape());
        let Function {
            activation,
            alpha,
            gain,
            clamp,
        } = self.function;
        Launch::each(
            kernel,
            x.elem_count(),
            &[channels, inner, activation as usize, order],
            &[alpha as f32, gain as f32, clamp as f32],
        )
    }
}

impl Op<2> for BiasAct {
    const NAME: &'static str = "bias_act";

    fn shape(&self, [x, bias]: [&Shape; 2]) -> Result<Shape> {
        let dim = self.dim;
        if x.dims().get(dim).is_none_or(|&len| bias.dims() != [len]) {
            bail!("bias_act: bias {bias:?} does not fit dimension {dim} of x {x:?}");
        }
        Ok(x.clone())
    }

    fn run_f32(&self, [x, b]: [&[f32]; 2], [shape, _]: [&Shape; 2]) -> Vec<f32> {
        let (channels, inner) = self.sizes(shape);
        activation::apply(&self.function, x, b, channels, inner)
    }

    fn run_f64(&self, [x, b]: [&[f64]; 2], [shape, _]: [&Shape; 2]) -> Vec<f64> {
        let (channels, inner) = self.sizes(shape);
        activation::apply_f64(&self.function, x, b, channels, inner)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, _]: [&Tensor; 2]) -> Result<Plan> {
        self.launch("bias_act", x, 0)
    }

    fn gradients(
        &self,
        [x, b]: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let dx = apply([dy, x, b], Derivative(*self))?;
        let db = wanted[1].then(|| sum_to_bias(&dx, self.dim)).transpose()?;
        Ok([wanted[0].then_some(dx), db])
    }
}

/// `(dy, x, b) -> dy * f'(x + b)`
#[derive(Clone, Copy)]
struct Derivative(BiasAct);

impl Op<3> for Derivative {
    const NAME: &'static str = "bias_act_derivative";

    fn shape(&self, [dy, _, _]: [&Shape; 3]) -> Result<Shape> {
        Ok(dy.clone())
    }

    fn run_f32(&self, [dy, x, b]: [&[f32]; 3], [shape, ..]: [&Shape; 3]) -> Vec<f32> {
        let (channels, inner) = self.0.sizes(shape);
        activation::derivative(&self.0.function, dy, x, b, channels, inner)
    }

    fn run_f64(&self, [dy, x, b]: [&[f64]; 3], [shape, ..]: [&Shape; 3]) -> Vec<f64> {
        let (channels, inner) = self.0.sizes(shape);
        activation::derivative_f64(&self.0.function, dy, x, b, channels, inner)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [dy, _, _]: [&Tensor; 3]) -> Result<Plan> {
        self.0.launch("bias_act_gradient", dy, 1)
    }

    fn gradients(
        &self,
        [dy, x, b]: [&Tensor; 3],
        ddx: &Tensor,
        wanted: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        let ddy = || apply([ddx, x, b], *self);
        let ddy = wanted[0].then(ddy).transpose()?;
        if self.0.function.is_piecewise_linear() || !(wanted[1] || wanted[2]) {
            return Ok([ddy, None, None]);
        }
        let curve = apply([&(ddx * dy)?, x, b], SecondDerivative(self.0))?;
        let db = wanted[2].then(|| sum_to_bias(&curve, self.0.dim));
        Ok([ddy, wanted[1].then_some(curve.clone()), db.transpose()?])
    }
}

/// `(g, x, b) -> g * f''(x + b)`
#[derive(Clone)]
struct SecondDerivative(BiasAct);

impl Op<3> for SecondDerivative {
    const NAME: &'static str = "bias_act_second_derivative";

    fn shape(&self, [g, _, _]: [&Shape; 3]) -> Result<Shape> {
        Ok(g.clone())
    }

    fn run_f32(&self, inputs: [&[f32]; 3], shapes: [&Shape; 3]) -> Vec<f32> {
        let wide = inputs.map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        let out = self.run_f64(wide.each_ref().map(Vec::as_slice), shapes);
        out.iter().map(|&v| v as f32).collect()
    }

    fn run_f64(&self, [g, x, b]: [&[f64]; 3], [shape, ..]: [&Shape; 3]) -> Vec<f64> {
        let (channels, inner) = self.0.sizes(shape);
        activation::second_derivative_f64(&self.0.function, g, x, b, channels, inner)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [g, _, _]: [&Tensor; 3]) -> Result<Plan> {
        self.0.launch("bias_act_gradient", g, 2)
    }

    fn gradients(&self, _: [&Tensor; 3], _: &Tensor, _: [bool; 3]) -> Result<[Option<Tensor>; 3]> {
        bail!("bias_act: there is no third derivative")
    }
}
