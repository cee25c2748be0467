//! Sums, products and elementwise functions of values.

use candle_core::{Result, Shape, Tensor, bail};

use super::{Value, record};
use crate::cpu::channels;
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Launch, Plan};
use crate::op::{Op, apply};

/// `a + b` on all threads, for two tensors of the same shape.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply([a, b], Sum)
}

#[derive(Clone)]
struct Sum;

impl Op<2> for Sum {
    const NAME: &'static str = "add";

    fn shape(&self, [a, b]: [&Shape; 2]) -> Result<Shape> {
        if a != b {
            bail!("add: {a:?} and {b:?} differ");
        }
        Ok(a.clone())
    }

    fn run_f32(&self, [a, b]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        channels::add(a, b)
    }

    fn run_f64(&self, [a, b]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [a, _]: [&Tensor; 2]) -> Result<Plan> {
        Launch::each("add", a.elem_count(), &[], &[])
    }

    fn gradients(
        &self,
        _: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        Ok(wanted.map(|wanted| wanted.then(|| dy.clone())))
    }
}

/// Sums a gradient over the dimensions along which a value of this `shape` was broadcast.
fn sum_to_shape(gradient: &Tensor, shape: &Shape) -> Result<Tensor> {
    let added = gradient.rank() - shape.rank();
    let mut sum = gradient.clone();
    for (dim, &len) in gradient.dims().iter().enumerate() {
        if dim < added || (shape.dims()[dim - added] == 1 && len != 1) {
            sum = sum.sum_keepdim(dim)?;
        }
    }
    sum.reshape(shape)
}

impl Value {
    /// The sum of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn add(&self, other: &Value) -> Result<Value> {
        Sum.shape([self.shape(), other.shape()])?;
        record([self, other], Sum)
    }

    /// The elementwise product of two values of the same shape.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn mul(&self, other: &Value) -> Result<Value> {
        let (a, b) = (self.tensor.clone(), other.tensor.clone());
        let tracked = [self, other].map(Value::is_tracked);
        Value::record(&[self, other], (&a * &b)?, move |dy| {
            Ok(vec![
                tracked[0].then(|| dy * &b).transpose()?,
                tracked[1].then(|| dy * &a).transpose()?,
            ])
        })
    }

    /// Multiplies all elements by a number.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn scale(&self, factor: f64) -> Result<Value> {
        if factor == 1.0 {
            return Ok(self.clone());
        }
        self.linear_map(|x| x * factor, move |dy| dy * factor)
    }

    /// Adds a number to all elements.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn shift(&self, offset: f64) -> Result<Value> {
        self.linear_map(|x| x + offset, |dy| Ok(dy.clone()))
    }

    /// The elementwise sum; dimensions of size 1 are broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_add(&self, other: &Value) -> Result<Value> {
        let y = self.tensor.broadcast_add(&other.tensor)?;
        let inputs = [self, other];
        let parts = inputs.map(|value| (value.is_tracked(), value.shape().clone()));
        Value::record(&inputs, y, move |dy| {
            parts
                .iter()
                .map(|(tracked, shape)| tracked.then(|| sum_to_shape(dy, shape)).transpose())
                .collect()
        })
    }

    /// The elementwise product; dimensions of size 1 are broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast.
    pub fn broadcast_mul(&self, other: &Value) -> Result<Value> {
        let (a, b) = (self.tensor.clone(), other.tensor.clone());
        let tracked = [self, other].map(Value::is_tracked);
        Value::record(&[self, other], a.broadcast_mul(&b)?, move |dy| {
            let part = |wanted: bool, factor: &Tensor, of: &Tensor| {
                wanted
                    .then(|| sum_to_shape(&dy.broadcast_mul(factor)?, of.shape()))
                    .transpose()
            };
            Ok(vec![part(tracked[0], &b, &a)?, part(tracked[1], &a, &b)?])
        })
    }

    /// The product of two matrices.
    ///
    /// # Errors
    /// When the inputs are not matrices or their sizes do not match.
    pub fn matmul(&self, other: &Value) -> Result<Value> {
        let (a, b) = (self.tensor.clone(), other.tensor.clone());
        a.dims2()?;
        let tracked = [self, other].map(Value::is_tracked);
        Value::record(&[self, other], a.matmul(&b)?, move |dy| {
            let dy = dy.contiguous()?;
            Ok(vec![
                tracked[0].then(|| dy.matmul(&b.t()?)).transpose()?,
                tracked[1].then(|| a.t()?.matmul(&dy)).transpose()?,
            ])
        })
    }

    /// Applies an elementwise function `f`; `derivative` computes its derivative from the elements and the results.
    fn pointwise(
        &self,
        f: impl FnOnce(&Tensor) -> Result<Tensor>,
        derivative: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor> + Send + 'static,
    ) -> Result<Value> {
        let x = self.tensor.clone();
        let y = f(&x)?;
        Value::record(&[self], y.clone(), move |dy| {
            Ok(vec![Some((dy * derivative(&x, &y)?)?)])
        })
    }

    /// The elementwise square.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn sqr(&self) -> Result<Value> {
        self.pointwise(Tensor::sqr, |x, _| x * 2.0)
    }

    /// The elementwise square root.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn sqrt(&self) -> Result<Value> {
        self.pointwise(Tensor::sqrt, |_, y| y.recip()? * 0.5)
    }

    /// The elementwise reciprocal.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn recip(&self) -> Result<Value> {
        self.pointwise(Tensor::recip, |_, y| y.sqr()?.neg())
    }

    /// The negated value.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn neg(&self) -> Result<Value> {
        self.scale(-1.0)
    }

    /// The sum of all elements.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn sum_all(&self) -> Result<Value> {
        let shape = self.shape().clone();
        self.linear_map(Tensor::sum_all, move |dy| {
            dy.broadcast_as(shape)?.contiguous()
        })
    }

    /// The sum over the dimensions `dims`, which stay with size 1.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn sum_keepdim(&self, dims: &[usize]) -> Result<Value> {
        let shape = self.shape().clone();
        self.linear_map(
            |x| x.sum_keepdim(dims),
            move |dy| dy.broadcast_as(shape)?.contiguous(),
        )
    }
}
