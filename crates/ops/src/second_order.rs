//! Second-order gradients, exact and lean: an ordinary backward of a directional derivative.
//!
//! A gradient penalty needs the gradient in the weights of `|grad_x D(x)|^2`. With `v = grad_x D(x)` held constant that
//! is twice the gradient of the directional derivative of `D` at `x` along `v`. [`Dual`] carries the directional
//! derivative (the tangent) beside each value, so networks are written once, on `Dual`; without a tangent it costs
//! nothing. The same trick gives the path length penalty. Against a backward of a backward: the same numbers to
//! rounding, a quarter of the memory, and no dependence on whether candle detaches gradients (it does by default, and
//! then a penalty is silently wrong).

use candle_core::{DType, Device, Result, Tensor, Var, bail};

use crate::bias_act::BiasActOptions;
use crate::conv2d::Conv2dOptions;
use crate::upfirdn2d::{Filter, UpFirDn2dOptions};
use crate::value::Value;

/// A value and, where one is carried, its directional derivative.
#[derive(Clone, Debug)]
pub struct Dual {
    /// The value.
    pub primal: Value,
    /// The derivative along the direction chosen at the inputs; `None` is zero.
    pub tangent: Option<Value>,
}

/// A value that does not move.
impl<V: Into<Value>> From<V> for Dual {
    fn from(primal: V) -> Self {
        Dual {
            primal: primal.into(),
            tangent: None,
        }
    }
}

/// The sum of two tangents, either of which may be zero.
fn plus(a: Option<Value>, b: Option<Value>) -> Result<Option<Value>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(a.add(&b)?),
        (a, b) => a.or(b),
    })
}

impl Dual {
    /// A value that moves along `tangent`.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn new(primal: impl Into<Value>, tangent: impl Into<Value>) -> Result<Dual> {
        let (primal, tangent) = (primal.into(), tangent.into());
        if primal.dims() != tangent.dims() {
            bail!(
                "dual: value {:?} and tangent {:?} differ",
                primal.shape(),
                tangent.shape()
            );
        }
        Ok(Dual {
            primal,
            tangent: Some(tangent),
        })
    }

    /// The tangent, zeros where there is none.
    ///
    /// # Errors
    /// As candle's.
    pub fn tangent_or_zeros(&self) -> Result<Value> {
        match &self.tangent {
            Some(tangent) => Ok(tangent.clone()),
            None => Ok(self.primal.tensor().zeros_like()?.into()),
        }
    }

    /// Applies a function that is linear in its input, to value and tangent alike.
    ///
    /// # Errors
    /// As `f`.
    pub fn linear(&self, f: impl Fn(&Value) -> Result<Value>) -> Result<Dual> {
        Ok(Dual {
            primal: f(&self.primal)?,
            tangent: self.tangent.as_ref().map(&f).transpose()?,
        })
    }

    /// Applies a product `f`, linear in both inputs.
    ///
    /// # Errors
    /// As `f`.
    pub fn bilinear(
        &self,
        other: &Dual,
        f: impl Fn(&Value, &Value) -> Result<Value>,
    ) -> Result<Dual> {
        let left = self
            .tangent
            .as_ref()
            .map(|t| f(t, &other.primal))
            .transpose()?;
        let right = other
            .tangent
            .as_ref()
            .map(|t| f(&self.primal, t))
            .transpose()?;
        Ok(Dual {
            primal: f(&self.primal, &other.primal)?,
            tangent: plus(left, right)?,
        })
    }

    /// Applies a function with a known slope: the tangent is `slope(value, result) * tangent`.
    ///
    /// # Errors
    /// As `f` and `slope`.
    pub fn pointwise(
        &self,
        f: impl FnOnce(&Value) -> Result<Value>,
        slope: impl FnOnce(&Value, &Value) -> Result<Value>,
    ) -> Result<Dual> {
        let primal = f(&self.primal)?;
        let tangent = self
            .tangent
            .as_ref()
            .map(|t| slope(&self.primal, &primal)?.mul(t))
            .transpose()?;
        Ok(Dual { primal, tangent })
    }

    /// [`Value::conv2d`]
    ///
    /// # Errors
    /// As [`Value::conv2d`].
    pub fn conv2d(&self, weight: &Dual, options: &Conv2dOptions) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv2d(w, options))
    }

    /// [`Value::conv_transpose2d`]
    ///
    /// # Errors
    /// As [`Value::conv_transpose2d`].
    pub fn conv_transpose2d(&self, weight: &Dual, options: &Conv2dOptions) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv_transpose2d(w, options))
    }

    /// [`Value::conv_transpose2d`] with the weight `[out_channels, in_channels / groups, ...]`.
    pub(crate) fn conv_transpose2d_swapped(
        &self,
        weight: &Dual,
        options: &Conv2dOptions,
    ) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv_transpose2d_swapped(w, options))
    }

    /// [`Value::upfirdn2d`]
    ///
    /// # Errors
    /// As [`Value::upfirdn2d`].
    pub fn upfirdn2d(&self, filter: &Filter, options: &UpFirDn2dOptions) -> Result<Dual> {
        self.linear(|x| x.upfirdn2d(filter, options))
    }

    /// [`Value::bias_act`]
    ///
    /// # Errors
    /// As [`Value::bias_act`].
    pub fn bias_act(&self, bias: Option<&Dual>, options: &BiasActOptions) -> Result<Dual> {
        let b = bias.map(|b| &b.primal);
        let primal = self.primal.bias_act(b, options)?;
        let mut moved = self.tangent.clone();
        if let Some(db) = bias.and_then(|b| b.tangent.as_ref()) {
            let mut shape = vec![1; self.primal.rank()];
            shape[options.dim] = db.elem_count();
            let db = db.reshape(shape)?.broadcast_to(self.primal.shape())?;
            moved = plus(moved, Some(db))?;
        }
        let tangent = moved
            .map(|t| t.bias_act_derivative(&self.primal, b, options))
            .transpose()?;
        Ok(Dual { primal, tangent })
    }

    /// [`Value::scale_channels`]
    ///
    /// # Errors
    /// As [`Value::scale_channels`].
    pub fn scale_channels(&self, scales: &Dual) -> Result<Dual> {
        self.bilinear(scales, Value::scale_channels)
    }

    /// [`Value::channel_dot`]
    ///
    /// # Errors
    /// As [`Value::channel_dot`].
    pub fn channel_dot(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::channel_dot)
    }

    /// [`Value::add_noise`]
    ///
    /// # Errors
    /// As [`Value::add_noise`].
    pub fn add_noise(&self, noise: &Dual) -> Result<Dual> {
        let primal = self.primal.add_noise(&noise.primal)?;
        let tangent = match &noise.tangent {
            Some(noise) => Some(self.tangent_or_zeros()?.add_noise(noise)?),
            None => self.tangent.clone(),
        };
        Ok(Dual { primal, tangent })
    }

    /// The sum of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn add(&self, other: &Dual) -> Result<Dual> {
        Ok(Dual {
            primal: self.primal.add(&other.primal)?,
            tangent: plus(self.tangent.clone(), other.tangent.clone())?,
        })
    }

    /// The difference of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn sub(&self, other: &Dual) -> Result<Dual> {
        self.add(&other.scale(-1.0)?)
    }

    /// The elementwise product of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn mul(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::mul)
    }

    /// The elementwise quotient of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn div(&self, other: &Dual) -> Result<Dual> {
        self.mul(&other.recip()?)
    }

    /// The product with a number.
    ///
    /// # Errors
    /// As candle's.
    pub fn scale(&self, factor: f64) -> Result<Dual> {
        if factor == 1.0 {
            return Ok(self.clone());
        }
        self.linear(|x| x.scale(factor))
    }

    /// The sum with a number.
    ///
    /// # Errors
    /// As candle's.
    pub fn shift(&self, offset: f64) -> Result<Dual> {
        Ok(Dual {
            primal: self.primal.shift(offset)?,
            tangent: self.tangent.clone(),
        })
    }

    /// The sum, with dimensions of size 1 stretched.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_add(&self, other: &Dual) -> Result<Dual> {
        let primal = self.primal.broadcast_add(&other.primal)?;
        let stretch = |t: &Option<Value>| {
            t.as_ref()
                .map(|t| t.broadcast_to(primal.shape()))
                .transpose()
        };
        let tangent = plus(stretch(&self.tangent)?, stretch(&other.tangent)?)?;
        Ok(Dual { primal, tangent })
    }

    /// The product, with dimensions of size 1 stretched.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_mul(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::broadcast_mul)
    }

    /// The quotient, with dimensions of size 1 stretched.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_div(&self, other: &Dual) -> Result<Dual> {
        self.broadcast_mul(&other.recip()?)
    }

    /// The matrix product.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn matmul(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::matmul)
    }

    /// The same values in another shape.
    ///
    /// # Errors
    /// When the number of values differs.
    pub fn reshape(&self, shape: impl Into<candle_core::Shape>) -> Result<Dual> {
        let shape = shape.into();
        self.linear(|x| x.reshape(&shape))
    }

    /// Two dimensions exchanged, contiguous.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Dual> {
        self.linear(|x| x.transpose(a, b))
    }

    /// Part of a dimension, contiguous.
    ///
    /// # Errors
    /// When the range does not fit.
    pub fn narrow(&self, dim: usize, start: usize, len: usize) -> Result<Dual> {
        self.linear(|x| x.narrow(dim, start, len))
    }

    /// Values one behind the other along a dimension.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn cat(parts: &[&Dual], dim: usize) -> Result<Dual> {
        let primals: Vec<&Value> = parts.iter().map(|part| &part.primal).collect();
        let primal = Value::cat(&primals, dim)?;
        if parts.iter().all(|part| part.tangent.is_none()) {
            return Ok(primal.into());
        }
        let tangents = parts
            .iter()
            .map(|part| part.tangent_or_zeros())
            .collect::<Result<Vec<_>>>()?;
        Dual::new(
            primal,
            Value::cat(&tangents.iter().collect::<Vec<_>>(), dim)?,
        )
    }

    /// The sum over dimensions, which stay with size 1.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn sum_keepdim(&self, dims: &[usize]) -> Result<Dual> {
        self.linear(|x| x.sum_keepdim(dims))
    }

    /// The mean over dimensions, which stay with size 1.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn mean_keepdim(&self, dims: &[usize]) -> Result<Dual> {
        let count: usize = dims
            .iter()
            .map(|&dim| self.primal.dim(dim))
            .product::<Result<usize>>()?;
        self.sum_keepdim(dims)?.scale(1.0 / count as f64)
    }

    /// The square.
    ///
    /// # Errors
    /// As candle's.
    pub fn sqr(&self) -> Result<Dual> {
        self.pointwise(Value::sqr, |x, _| x.scale(2.0))
    }

    /// The square root.
    ///
    /// # Errors
    /// As candle's.
    pub fn sqrt(&self) -> Result<Dual> {
        self.pointwise(Value::sqrt, |_, y| y.recip()?.scale(0.5))
    }

    /// One divided by the value.
    ///
    /// # Errors
    /// As candle's.
    pub fn recip(&self) -> Result<Dual> {
        self.pointwise(Value::recip, |_, y| y.sqr()?.neg())
    }

    /// Another number type.
    ///
    /// # Errors
    /// As candle's.
    pub fn to_dtype(&self, dtype: DType) -> Result<Dual> {
        self.linear(|x| x.to_dtype(dtype))
    }

    /// The order of values along `dims` reversed.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn flip(&self, dims: &[usize]) -> Result<Dual> {
        self.linear(|x| x.flip(dims))
    }
}

/// Proves on a small function that gradients of tangents are live; call it once before training.
///
/// The penalty `|grad_x f|^2` of `f = sum(lrelu(conv(x, w)) * swish(conv(x, w)))` is differentiated in `w` and compared
/// with finite differences in f64.
///
/// # Errors
/// When they disagree: training would be silently wrong, so it must not start.
pub fn self_check() -> Result<()> {
    let device = Device::Cpu;
    let wave = |n: usize, shift: f64| {
        (0..n)
            .map(|i| (i as f64 * 0.7 + shift).sin())
            .collect::<Vec<_>>()
    };
    let x = Tensor::from_vec(wave(32, 0.3), (1, 2, 4, 4), &device)?;
    let weights = wave(36, 1.1);
    let options = Conv2dOptions {
        padding: 1,
        ..Default::default()
    };
    let act = |activation| BiasActOptions {
        activation,
        ..Default::default()
    };
    let forward = |x: &Dual, w: &Dual| -> Result<Dual> {
        let y = x.conv2d(w, &options)?;
        let a = y.bias_act(None, &act(crate::Activation::Lrelu))?;
        let b = y.bias_act(None, &act(crate::Activation::Swish))?;
        a.mul(&b)?.linear(Value::sum_all)
    };
    let input_gradient = |w: &Tensor| -> Result<Tensor> {
        let x = Var::from_tensor(&x)?;
        let mut found = forward(&x.as_tensor().into(), &w.into())?
            .primal
            .backward()?;
        found
            .remove(&x)
            .ok_or_else(|| candle_core::Error::Msg("second order: no input gradient".into()))
    };
    let penalty = |values: Vec<f64>| -> Result<f64> {
        let w = Tensor::from_vec(values, (2, 2, 3, 3), &device)?;
        input_gradient(&w)?.sqr()?.sum_all()?.to_scalar()
    };

    let w = Var::from_vec(weights.clone(), (2, 2, 3, 3), &device)?;
    let v = input_gradient(&w.detach())?;
    let along = forward(&Dual::new(x.clone(), v)?, &w.as_tensor().into())?.tangent_or_zeros()?;
    let found = along.scale(2.0)?.backward()?;
    let exact = found
        .get(&w)
        .map(|g| g.flatten_all()?.to_vec1::<f64>())
        .transpose()?
        .unwrap_or_default();
    let step = 1e-6;
    for (i, slope) in exact.iter().enumerate().step_by(7) {
        let moved = |by: f64| {
            penalty(
                weights
                    .iter()
                    .enumerate()
                    .map(|(j, w)| if i == j { w + by } else { *w })
                    .collect(),
            )
        };
        let finite = (moved(step)? - moved(-step)?) / (2.0 * step);
        if (finite - slope).abs() > 1e-5 * finite.abs().max(1.0) {
            bail!(
                "second-order gradients are wrong: {slope} where finite differences give {finite}; training would fail silently"
            );
        }
    }
    if exact.is_empty() || exact.iter().all(|g| *g == 0.0) {
        bail!("second-order gradients are dead: training would fail silently");
    }
    Ok(())
}
