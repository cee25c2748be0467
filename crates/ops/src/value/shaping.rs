//! Operations that rearrange or convert the elements of values.

use candle_core::{DType, Result, Shape, Tensor};

use super::Value;

fn flipped(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let mut x = x.clone();
    for &dim in dims {
        let len = x.dim(dim)? as u32;
        let order: Vec<u32> = (0..len).rev().collect();
        x = x.index_select(&Tensor::new(order, x.device())?, dim)?;
    }
    Ok(x)
}

impl Value {
    /// The same elements in another shape.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Value> {
        let (shape, old) = (shape.into(), self.shape().clone());
        self.linear_map(|x| x.reshape(shape), move |dy| dy.reshape(old))
    }

    /// Exchanges two dimensions; the result is contiguous.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Value> {
        let exchange = move |x: &Tensor| x.transpose(a, b)?.contiguous();
        self.linear_map(exchange, exchange)
    }

    /// The transpose of a matrix, as a view that is not contiguous.
    ///
    /// # Errors
    /// When the value is not a matrix.
    pub fn t(&self) -> Result<Value> {
        self.linear_map(Tensor::t, Tensor::t)
    }

    /// The elements `start..start + len` along dimension `dim`, as a contiguous copy.
    ///
    /// # Errors
    /// When the range exceeds the dimension.
    pub fn narrow(&self, dim: usize, start: usize, len: usize) -> Result<Value> {
        let whole = self.dim(dim)?;
        self.linear_map(
            |x| x.narrow(dim, start, len)?.contiguous(),
            move |dy| dy.pad_with_zeros(dim, start, whole - start - len),
        )
    }

    /// Concatenates values along a dimension.
    ///
    /// # Errors
    /// When the shapes differ in another dimension than `dim`.
    pub fn cat(parts: &[&Value], dim: usize) -> Result<Value> {
        let tensors: Vec<&Tensor> = parts.iter().map(|part| part.tensor()).collect();
        let y = Tensor::cat(&tensors, dim)?;
        let lens = parts
            .iter()
            .map(|part| Ok((part.is_tracked(), part.dim(dim)?)))
            .collect::<Result<Vec<_>>>()?;
        Value::record(parts, y, move |dy| {
            let mut start = 0;
            lens.iter()
                .map(|&(tracked, len)| {
                    start += len;
                    tracked
                        .then(|| dy.narrow(dim, start - len, len)?.contiguous())
                        .transpose()
                })
                .collect()
        })
    }

    /// Broadcasts dimensions of size 1 to the sizes in `shape`; the result is contiguous.
    ///
    /// # Errors
    /// When the sizes do not broadcast, or the ranks differ.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Value> {
        let (old, shape) = (self.dims().to_vec(), shape.into());
        let broadcast: Vec<usize> = (0..old.len())
            .filter(|&dim| shape.dims().get(dim) != Some(&old[dim]))
            .collect();
        self.linear_map(
            |x| x.broadcast_as(shape)?.contiguous(),
            move |dy| dy.sum_keepdim(broadcast),
        )
    }

    /// Reverses the order of elements along `dims`.
    ///
    /// # Errors
    /// When a dimension does not exist.
    pub fn flip(&self, dims: &[usize]) -> Result<Value> {
        let back = dims.to_vec();
        self.linear_map(|x| flipped(x, dims), move |dy| flipped(dy, &back))
    }

    /// Converts to another number type.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn to_dtype(&self, dtype: DType) -> Result<Value> {
        let old = self.dtype();
        if old == dtype {
            return Ok(self.clone());
        }
        self.linear_map(|x| x.to_dtype(dtype), move |dy| dy.to_dtype(old))
    }
}
