//! Second-order gradients: an ordinary backward pass over a directional derivative.
//!
//! A gradient penalty needs the gradient of `|grad_x D(x)|^2` with respect to the weights. With `v = grad_x D(x)` held
//! constant, this gradient is twice the gradient of the directional derivative of `D` at `x` along `v`. [`Dual`]
//! carries the directional derivative (the tangent) along with each value, as in forward-mode differentiation. Networks
//! are written once, on `Dual`; a `Dual` without a tangent costs no more than its value. The path length penalty is
//! computed in the same way.
//!
//! Compared with a backward pass through a backward pass, the results are equal up to rounding and need a quarter of
//! the memory. Besides, a backward pass through candle's backward pass gives a wrong penalty, without an error, when
//! candle detaches the gradients, which is its default; the method used here does not depend on this setting.

mod self_check;

use candle_core::{DType, Result, bail};

pub use self::self_check::self_check;

use crate::bias_act::BiasActOptions;
use crate::conv2d::Conv2dOptions;
use crate::upfirdn2d::{Filter, UpFirDn2dOptions};
use crate::value::Value;

/// A value with an optional directional derivative (tangent).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use ops::Dual;
///
/// // The derivative of x^2 at x = 3 along the direction 1 is 6.
/// let x = Tensor::new(&[3f32], &Device::Cpu)?;
/// let y = Dual::new(&x, &x.ones_like()?)?.sqr()?;
/// assert_eq!(y.tangent.unwrap().tensor().to_vec1::<f32>()?, [6.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dual {
    /// The value itself.
    pub primal: Value,
    /// The derivative of the value along the direction that was given for the inputs; `None` means zero.
    pub tangent: Option<Value>,
}

/// Makes a `Dual` whose tangent is zero.
impl<V: Into<Value>> From<V> for Dual {
    fn from(primal: V) -> Self {
        Dual {
            primal: primal.into(),
            tangent: None,
        }
    }
}

/// The sum of two tangents; `None` means zero.
fn plus(a: Option<Value>, b: Option<Value>) -> Result<Option<Value>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(a.add(&b)?),
        (a, b) => a.or(b),
    })
}

impl Dual {
    /// Pairs a value with its directional derivative `tangent`.
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

    /// The tangent; zeros of the shape of the value when it is `None`.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn tangent_or_zeros(&self) -> Result<Value> {
        match &self.tangent {
            Some(tangent) => Ok(tangent.clone()),
            None => Ok(self.primal.tensor().zeros_like()?.into()),
        }
    }

    /// Applies `f`, which must be linear, to the value and to the tangent.
    ///
    /// # Errors
    /// Errors of `f`.
    pub fn linear(&self, f: impl Fn(&Value) -> Result<Value>) -> Result<Dual> {
        Ok(Dual {
            primal: f(&self.primal)?,
            tangent: self.tangent.as_ref().map(&f).transpose()?,
        })
    }

    /// Applies a product `f`, which must be linear in each of its two inputs; the tangent follows the product rule.
    ///
    /// # Errors
    /// Errors of `f`.
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

    /// Applies an elementwise function `f`; the tangent is `derivative(value, result) * tangent`.
    ///
    /// # Errors
    /// Errors of `f` and of `derivative`.
    pub fn pointwise(
        &self,
        f: impl FnOnce(&Value) -> Result<Value>,
        derivative: impl FnOnce(&Value, &Value) -> Result<Value>,
    ) -> Result<Dual> {
        let primal = f(&self.primal)?;
        let tangent = self
            .tangent
            .as_ref()
            .map(|t| derivative(&self.primal, &primal)?.mul(t))
            .transpose()?;
        Ok(Dual { primal, tangent })
    }

    /// Convolves with `weight`: [`Value::conv2d`] for values with tangents.
    ///
    /// # Errors
    /// Same as for [`Value::conv2d`].
    pub fn conv2d(&self, weight: &Dual, options: &Conv2dOptions) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv2d(w, options))
    }

    /// The transpose of a convolution with `weight`: [`Value::conv_transpose2d`] for values with tangents.
    ///
    /// # Errors
    /// Same as for [`Value::conv_transpose2d`].
    pub fn conv_transpose2d(&self, weight: &Dual, options: &Conv2dOptions) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv_transpose2d(w, options))
    }

    /// [`Dual::conv_transpose2d`] with a weight in the order of [`Dual::conv2d`]: `[out_channels, in_channels / groups,
    /// ...]`.
    pub(crate) fn conv_transpose2d_swapped(
        &self,
        weight: &Dual,
        options: &Conv2dOptions,
    ) -> Result<Dual> {
        self.bilinear(weight, |x, w| x.conv_transpose2d_swapped(w, options))
    }

    /// Upsamples, pads, filters and downsamples images: [`Value::upfirdn2d`] for values with tangents.
    ///
    /// # Errors
    /// Same as for [`Value::upfirdn2d`].
    pub fn upfirdn2d(&self, filter: &Filter, options: &UpFirDn2dOptions) -> Result<Dual> {
        self.linear(|x| x.upfirdn2d(filter, options))
    }

    /// Adds a bias, applies an activation, scales and clamps: [`Value::bias_act`] for values with tangents.
    ///
    /// # Errors
    /// Same as for [`Value::bias_act`].
    pub fn bias_act(&self, bias: Option<&Dual>, options: &BiasActOptions) -> Result<Dual> {
        let b = bias.map(|b| &b.primal);
        let primal = self.primal.bias_act(b, options)?;
        let mut input_tangent = self.tangent.clone();
        if let Some(db) = bias.and_then(|b| b.tangent.as_ref()) {
            let mut shape = vec![1; self.primal.rank()];
            shape[options.dim] = db.elem_count();
            let db = db.reshape(shape)?.broadcast_to(self.primal.shape())?;
            input_tangent = plus(input_tangent, Some(db))?;
        }
        let tangent = input_tangent
            .map(|t| t.bias_act_derivative(&self.primal, b, options))
            .transpose()?;
        Ok(Dual { primal, tangent })
    }

    /// Multiplies every channel of every image by its own factor:
    /// [`Value::scale_channels`] for values with tangents.
    ///
    /// # Shapes
    /// - `self`: `[batch, channels, height, width]`; `scales`: `[batch, channels]`
    ///
    /// # Errors
    /// Same as for [`Value::scale_channels`].
    pub fn scale_channels(&self, scales: &Dual) -> Result<Dual> {
        self.bilinear(scales, Value::scale_channels)
    }

    /// The inner product of each channel with the same channel of `other`:
    /// [`Value::channel_dot`] for values with tangents.
    ///
    /// # Shapes
    /// - `self`, `other`: `[batch, channels, height, width]`; result: `[batch, channels]`
    ///
    /// # Errors
    /// Same as for [`Value::channel_dot`].
    pub fn channel_dot(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::channel_dot)
    }

    /// Adds one plane of noise per image to all of its channels:
    /// [`Value::add_noise`] for values with tangents.
    ///
    /// # Shapes
    /// - `self`: `[batch, channels, height, width]`; `noise`: `[batch or 1, 1, height, width]`
    ///
    /// # Errors
    /// Same as for [`Value::add_noise`].
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

    /// Multiplies all elements by a number.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn scale(&self, factor: f64) -> Result<Dual> {
        if factor == 1.0 {
            return Ok(self.clone());
        }
        self.linear(|x| x.scale(factor))
    }

    /// Adds a number to all elements.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn shift(&self, offset: f64) -> Result<Dual> {
        Ok(Dual {
            primal: self.primal.shift(offset)?,
            tangent: self.tangent.clone(),
        })
    }

    /// The elementwise sum; dimensions of size 1 are broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_add(&self, other: &Dual) -> Result<Dual> {
        let primal = self.primal.broadcast_add(&other.primal)?;
        let expand = |t: &Option<Value>| {
            t.as_ref()
                .map(|t| t.broadcast_to(primal.shape()))
                .transpose()
        };
        let tangent = plus(expand(&self.tangent)?, expand(&other.tangent)?)?;
        Ok(Dual { primal, tangent })
    }

    /// The elementwise product; dimensions of size 1 are broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_mul(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::broadcast_mul)
    }

    /// The elementwise quotient; dimensions of size 1 are broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_div(&self, other: &Dual) -> Result<Dual> {
        self.broadcast_mul(&other.recip()?)
    }

    /// The product of two matrices.
    ///
    /// # Errors
    /// When the inputs are not matrices or their sizes do not match.
    pub fn matmul(&self, other: &Dual) -> Result<Dual> {
        self.bilinear(other, Value::matmul)
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// When the number of values differs.
    pub fn reshape(&self, shape: impl Into<candle_core::Shape>) -> Result<Dual> {
        let shape = shape.into();
        self.linear(|x| x.reshape(&shape))
    }

    /// Exchanges two dimensions; the result is contiguous.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Dual> {
        self.linear(|x| x.transpose(a, b))
    }

    /// The elements `start..start + len` along dimension `dim`, as a contiguous copy.
    ///
    /// # Errors
    /// When the range exceeds the dimension.
    pub fn narrow(&self, dim: usize, start: usize, len: usize) -> Result<Dual> {
        self.linear(|x| x.narrow(dim, start, len))
    }

    /// Concatenates values along a dimension.
    ///
    /// # Errors
    /// When the shapes differ in another dimension than `dim`.
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

    /// The sum over the dimensions `dims`, which stay with size 1.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn sum_keepdim(&self, dims: &[usize]) -> Result<Dual> {
        self.linear(|x| x.sum_keepdim(dims))
    }

    /// The mean over the dimensions `dims`, which stay with size 1.
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

    /// The elementwise square.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn sqr(&self) -> Result<Dual> {
        self.pointwise(Value::sqr, |x, _| x.scale(2.0))
    }

    /// The elementwise square root.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn sqrt(&self) -> Result<Dual> {
        self.pointwise(Value::sqrt, |_, y| y.recip()?.scale(0.5))
    }

    /// The elementwise reciprocal.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn recip(&self) -> Result<Dual> {
        self.pointwise(Value::recip, |_, y| y.sqr()?.neg())
    }

    /// Converts to another number type.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn to_dtype(&self, dtype: DType) -> Result<Dual> {
        self.linear(|x| x.to_dtype(dtype))
    }

    /// Reverses the order of elements along `dims`.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn flip(&self, dims: &[usize]) -> Result<Dual> {
        self.linear(|x| x.flip(dims))
    }
}
