//! Bias, activation, gain and clamp in one op, with first and second derivatives.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::cpu::activation::{self, Function};
use crate::storage::{Values, values};

/// The activation functions of StyleGAN2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`, default gain sqrt(2)
    Relu,
    /// `x` or `alpha * x` below zero, default alpha 0.2 and gain sqrt(2)
    Lrelu,
    /// Hyperbolic tangent
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x` or `exp(x) - 1` below zero
    Elu,
    /// Scaled elu (arXiv:1706.02515)
    Selu,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x * sigmoid(x)`, default gain sqrt(2)
    Swish,
}

impl Activation {
    /// The gain that keeps the variance, used where none is given.
    pub fn default_gain(self) -> f64 {
        match self {
            Activation::Relu | Activation::Lrelu | Activation::Swish => std::f64::consts::SQRT_2,
            _ => 1.0,
        }
    }

    /// The slope below zero, used where none is given.
    pub fn default_alpha(self) -> f64 {
        if self == Activation::Lrelu { 0.2 } else { 0.0 }
    }
}

impl std::str::FromStr for Activation {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Ok(match name {
            "linear" => Activation::Linear,
            "relu" => Activation::Relu,
            "lrelu" => Activation::Lrelu,
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "elu" => Activation::Elu,
            "selu" => Activation::Selu,
            "softplus" => Activation::Softplus,
            "swish" => Activation::Swish,
            _ => return Err(format!("no activation is called {name}")),
        })
    }
}

/// What [`bias_act`] does, in this order: bias, activation, gain, clamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BiasActOptions {
    /// The function.
    pub activation: Activation,
    /// The slope of lrelu below zero; the other functions ignore it.
    pub alpha: Option<f64>,
    /// A factor on the activation; [`Activation::default_gain`] where `None`.
    pub gain: Option<f64>,
    /// Results are clamped to `-clamp..=clamp`.
    pub clamp: Option<f64>,
    /// The dimension of `x` that the bias belongs to.
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
/// The gradient of the clamp is 1 inside and on the bounds, 0 outside.
///
/// # Shapes
/// - `x`: any; `bias`: `[x.dim(options.dim)]`
///
/// # Errors
/// When the bias does not fit, or the type is neither f32 nor f64.
pub fn bias_act(x: &Tensor, bias: Option<&Tensor>, options: &BiasActOptions) -> Result<Tensor> {
    let channels = x.dims().get(options.dim).copied().unwrap_or(0);
    if let Some(bias) = bias
        && bias.dims() != [channels]
    {
        bail!(
            "bias_act: bias {:?} does not fit dimension {} of x {:?}",
            bias.shape(),
            options.dim,
            x.shape()
        );
    }
    let function = options.function();
    if bias.is_none() && function.is_identity() {
        return Ok(x.clone());
    }
    let zero;
    let bias = match bias {
        Some(bias) => bias,
        None => {
            zero = Tensor::zeros(channels, x.dtype(), x.device())?;
            &zero
        }
    };
    let op = BiasAct {
        function,
        dim: options.dim,
    };
    x.contiguous()?.apply_op2(&bias.contiguous()?, op)
}

/// `dy * f'(x + b)`: what a tangent or a gradient `dy` becomes, differentiable in all three.
///
/// # Errors
/// As [`bias_act`].
pub(crate) fn bias_act_derivative(
    dy: &Tensor,
    x: &Tensor,
    bias: Option<&Tensor>,
    options: &BiasActOptions,
) -> Result<Tensor> {
    let zero;
    let bias = match bias {
        Some(bias) => bias,
        None => {
            zero = Tensor::zeros(x.dim(options.dim)?, x.dtype(), x.device())?;
            &zero
        }
    };
    let op = Derivative {
        function: options.function(),
        dim: options.dim,
    };
    let (mut x, mut bias) = (x.contiguous()?, bias.contiguous()?);
    if op.function.is_piecewise_linear() {
        // The slope does not depend on them: without a gradient to pass on, they must not be in the graph.
        (x, bias) = (x.detach(), bias.detach());
    }
    dy.contiguous()?.apply_op3(&x, &bias, op)
}

/// The sum of `x` over all dimensions but `dim`.
fn sum_to_bias(x: &Tensor, dim: usize) -> Result<Tensor> {
    let before: usize = x.dims()[..dim].iter().product();
    let channels = x.dim(dim)?;
    let after: usize = x.dims()[dim + 1..].iter().product();
    let x = x.reshape((before, channels, after))?;
    x.apply_op1_no_bwd(&ChannelSum)
}

/// `[n, c, m] -> [c]`
struct ChannelSum;

impl candle_core::CustomOp1 for ChannelSum {
    fn name(&self) -> &'static str {
        "channel_sum"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, m) = layout.shape().dims3()?;
        let sums = match values(self.name(), storage, layout)? {
            Values::F32(x) => CpuStorage::F32(activation::channel_sum(x, n, c, m)),
            Values::F64(x) => {
                let mut sums = vec![0.0; c];
                for (i, row) in x.chunks_exact(m.max(1)).enumerate() {
                    sums[i % c] += row.iter().sum::<f64>();
                }
                CpuStorage::F64(sums)
            }
        };
        Ok((sums, c.into()))
    }
}

struct BiasAct {
    function: Function,
    dim: usize,
}

/// Sizes before, of and after the bias dimension.
fn split(layout: &Layout, dim: usize) -> (usize, usize) {
    let dims = layout.dims();
    (dims[dim], dims[dim + 1..].iter().product())
}

impl CustomOp2 for BiasAct {
    fn name(&self) -> &'static str {
        "bias_act"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (channels, inner) = split(l1, self.dim);
        let y = match (values(self.name(), s1, l1)?, values(self.name(), s2, l2)?) {
            (Values::F32(x), Values::F32(b)) => {
                CpuStorage::F32(activation::apply(&self.function, x, b, channels, inner))
            }
            (Values::F64(x), Values::F64(b)) => {
                CpuStorage::F64(activation::apply_f64(&self.function, x, b, channels, inner))
            }
            _ => bail!("bias_act: x and bias must have the same type"),
        };
        Ok((y, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let op = Derivative {
            function: self.function,
            dim: self.dim,
        };
        let dx = dy.contiguous()?.apply_op3(x, b, op)?;
        let db = b
            .track_op()
            .then(|| sum_to_bias(&dx, self.dim))
            .transpose()?;
        Ok((x.track_op().then_some(dx), db))
    }
}

/// `(dy, x, b) -> dy * f'(x + b)`
struct Derivative {
    function: Function,
    dim: usize,
}

impl CustomOp3 for Derivative {
    fn name(&self) -> &'static str {
        "bias_act_derivative"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (channels, inner) = split(l1, self.dim);
        let name = self.name();
        let dx = match (
            values(name, s1, l1)?,
            values(name, s2, l2)?,
            values(name, s3, l3)?,
        ) {
            (Values::F32(dy), Values::F32(x), Values::F32(b)) => CpuStorage::F32(
                activation::derivative(&self.function, dy, x, b, channels, inner),
            ),
            (Values::F64(dy), Values::F64(x), Values::F64(b)) => CpuStorage::F64(
                activation::derivative_f64(&self.function, dy, x, b, channels, inner),
            ),
            _ => bail!("bias_act: gradient, x and bias must have the same type"),
        };
        Ok((dx, l1.shape().clone()))
    }

    fn bwd(
        &self,
        dy: &Tensor,
        x: &Tensor,
        b: &Tensor,
        _dx: &Tensor,
        ddx: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ddx = ddx.contiguous()?;
        let op = Derivative {
            function: self.function,
            dim: self.dim,
        };
        let ddy = dy.track_op().then(|| ddx.apply_op3(x, b, op)).transpose()?;
        if self.function.is_piecewise_linear() || !(x.track_op() || b.track_op()) {
            return Ok((ddy, None, None));
        }
        let op = SecondDerivative {
            function: self.function,
            dim: self.dim,
        };
        let curve = (ddx * dy)?.apply_op3(x, b, op)?;
        let db = b
            .track_op()
            .then(|| sum_to_bias(&curve, self.dim))
            .transpose()?;
        Ok((ddy, x.track_op().then_some(curve), db))
    }
}

/// `(g, x, b) -> g * f''(x + b)`
struct SecondDerivative {
    function: Function,
    dim: usize,
}

impl CustomOp3 for SecondDerivative {
    fn name(&self) -> &'static str {
        "bias_act_second_derivative"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (channels, inner) = split(l1, self.dim);
        let name = self.name();
        let out = match (
            values(name, s1, l1)?,
            values(name, s2, l2)?,
            values(name, s3, l3)?,
        ) {
            (Values::F32(g), Values::F32(x), Values::F32(b)) => {
                let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
                let out = activation::second_derivative_f64(
                    &self.function,
                    &wide(g),
                    &wide(x),
                    &wide(b),
                    channels,
                    inner,
                );
                CpuStorage::F32(out.iter().map(|&v| v as f32).collect())
            }
            (Values::F64(g), Values::F64(x), Values::F64(b)) => CpuStorage::F64(
                activation::second_derivative_f64(&self.function, g, x, b, channels, inner),
            ),
            _ => bail!("bias_act: gradient, x and bias must have the same type"),
        };
        Ok((out, l1.shape().clone()))
    }
}
