//! Dense arrays with their element type, as checkpoints hold them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The element type of a [`Tensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// A dense array: its elements in row-major order as little-endian bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Size of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements: `product(shape) * dtype.size()` bytes.
    pub data: Vec<u8>,
}

impl Tensor {
    /// Creates a tensor from the bytes of its elements.
    ///
    /// # Errors
    /// `Layout` when the byte count does not match the shape.
    pub fn new(dtype: DType, shape: Vec<usize>, data: Vec<u8>) -> Result<Self> {
        let wanted = numel(&shape).and_then(|n| n.checked_mul(dtype.size()));
        if wanted != Some(data.len()) {
            return Err(Error::Layout(format!(
                "{} bytes do not fill {shape:?} of {dtype:?}",
                data.len()
            )));
        }
        Ok(Self { dtype, shape, data })
    }

    /// Creates an f32 tensor.
    ///
    /// # Errors
    /// `Layout` when the number of values does not match the shape.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Result<Self> {
        Self::new(
            DType::F32,
            shape,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements in row-major order, converted to f32 from any element type.
    pub fn to_f32(&self) -> Vec<f32> {
        self.to_f64_with(|v| v as f32)
    }

    /// The elements in row-major order, converted to f64 from any element type.
    pub fn to_f64(&self) -> Vec<f64> {
        self.to_f64_with(|v| v)
    }

    /// The tensor with its values rounded to f16; `None` when a value is beyond the range of f16 or not finite.
    pub fn to_f16(&self) -> Option<Self> {
        let values = self.to_f32().into_iter().map(half::f16::from_f32);
        let values: Vec<half::f16> = values.collect();
        let is_finite = values.iter().all(|value| value.is_finite());
        is_finite.then(|| Self {
            dtype: DType::F16,
            shape: self.shape.clone(),
            data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        })
    }

    fn to_f64_with<T>(&self, cast: impl Fn(f64) -> T) -> Vec<T> {
        // The conversion f32 -> f64 -> f32 keeps every value, except for the payloads of NaN.
        self.data
            .chunks_exact(self.dtype.size())
            .map(|b| {
                cast(match self.dtype {
                    DType::F64 => f64::from_le_bytes(array(b)),
                    DType::F32 => f64::from(f32::from_le_bytes(array(b))),
                    DType::F16 => half::f16::from_le_bytes(array(b)).to_f64(),
                    DType::BF16 => half::bf16::from_le_bytes(array(b)).to_f64(),
                    DType::I64 => i64::from_le_bytes(array(b)) as f64,
                    DType::I32 => f64::from(i32::from_le_bytes(array(b))),
                    DType::I16 => f64::from(i16::from_le_bytes(array(b))),
                    DType::I8 => f64::from(b[0] as i8),
                    DType::U8 | DType::Bool => f64::from(b[0]),
                })
            })
            .collect()
    }

    /// The tensor converted to f32; an f32 tensor is unchanged.
    pub fn into_f32(self) -> Self {
        if self.dtype == DType::F32 {
            return self;
        }
        let data = self.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            dtype: DType::F32,
            shape: self.shape,
            data,
        }
    }

    /// The same elements with a new shape.
    ///
    /// # Errors
    /// `Layout` when the element counts differ.
    pub fn reshape(self, shape: Vec<usize>) -> Result<Self> {
        Self::new(self.dtype, shape, self.data)
    }

    /// Reorders the axes: axis `i` of the result is axis `axes[i]` of this tensor, as in numpy's `transpose(axes)`.
    ///
    /// # Errors
    /// `Layout` when `axes` is not a permutation of the axes.
    pub fn permute(&self, axes: &[usize]) -> Result<Self> {
        let mut seen = axes.to_vec();
        seen.sort_unstable();
        if seen.iter().copied().ne(0..self.shape.len()) {
            return Err(Error::Layout(format!(
                "axes {axes:?} do not permute a tensor of shape {:?}",
                self.shape
            )));
        }
        let strides = contiguous_strides(&self.shape);
        let shape: Vec<usize> = axes.iter().map(|&a| self.shape[a]).collect();
        let strides: Vec<usize> = axes.iter().map(|&a| strides[a]).collect();
        let data = gather(&self.data, self.dtype.size(), &shape, &strides, 0);
        Ok(Self {
            dtype: self.dtype,
            shape,
            data,
        })
    }

    /// Reverses the order of the elements along the axes `a` and `b`.
    ///
    /// # Errors
    /// `Layout` when an axis does not exist.
    pub fn flip2(&self, a: usize, b: usize) -> Result<Self> {
        if a >= self.shape.len() || b >= self.shape.len() {
            return Err(Error::Layout(format!(
                "no axes {a} and {b} in a tensor of shape {:?}",
                self.shape
            )));
        }
        let strides = contiguous_strides(&self.shape);
        let size = self.dtype.size();
        let mut data = Vec::with_capacity(self.data.len());
        for flat in 0..self.len() {
            let mut at = flat;
            for axis in [a, b] {
                let i = flat / strides[axis] % self.shape[axis];
                at = at + (self.shape[axis] - 1 - i) * strides[axis] - i * strides[axis];
            }
            data.extend_from_slice(&self.data[at * size..(at + 1) * size]);
        }
        Ok(Self {
            dtype: self.dtype,
            shape: self.shape.clone(),
            data,
        })
    }
}

/// Number of elements: the product of the sizes. `None` when the product of the nonzero sizes overflows, even if
/// another size is 0, since strides are such products too.
pub(crate) fn numel(shape: &[usize]) -> Option<usize> {
    let of_others = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    Some(if shape.contains(&0) { 0 } else { of_others })
}

/// Row-major strides in elements.
pub(crate) fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Copies the elements of a strided view of `data` in row-major order. `size` is the number of bytes per element;
/// `strides` and `offset` count elements. The caller must check that all elements of the view are inside `data`.
pub(crate) fn gather(
    data: &[u8],
    size: usize,
    shape: &[usize],
    strides: &[usize],
    offset: usize,
) -> Vec<u8> {
    let total = shape.iter().product::<usize>();
    if strides == contiguous_strides(shape).as_slice() || total == 0 {
        return data[offset * size..][..total * size].to_vec();
    }
    let mut out = Vec::with_capacity(total * size);
    let mut index = vec![0usize; shape.len()];
    let mut at = offset;
    for _ in 0..total {
        out.extend_from_slice(&data[at * size..(at + 1) * size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

/// The first `N` bytes of a slice of at least that length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permute_and_flip_follow_numpy() {
        // np.arange(12).reshape(1, 2, 2, 3)
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let t = Tensor::from_f32(vec![1, 2, 2, 3], &values).unwrap();
        let p = t.permute(&[3, 2, 0, 1]).unwrap();
        assert_eq!(p.shape, [3, 2, 1, 2]);
        assert_eq!(
            p.to_f32(),
            [0., 6., 3., 9., 1., 7., 4., 10., 2., 8., 5., 11.]
        );
        // np.arange(12).reshape(2, 2, 3)[:, ::-1, ::-1]
        let f = t.reshape(vec![2, 2, 3]).unwrap().flip2(1, 2).unwrap();
        assert_eq!(
            f.to_f32(),
            [5., 4., 3., 2., 1., 0., 11., 10., 9., 8., 7., 6.]
        );
    }

    #[test]
    fn element_kinds_convert() {
        let bf16 = Tensor::new(DType::BF16, vec![2], vec![0x80, 0x3f, 0x00, 0xc0]).unwrap();
        assert_eq!(bf16.to_f32(), [1.0, -2.0]);
        let f16 = Tensor::new(DType::F16, vec![1], vec![0x00, 0x38]).unwrap();
        assert_eq!(f16.into_f32().to_f32(), [0.5]);
        assert!(Tensor::new(DType::I64, vec![2], vec![0; 15]).is_err());
        assert!(Tensor::new(DType::I64, vec![usize::MAX, 2], vec![0; 16]).is_err());
        let huge = 1 << 40;
        for empty in [[0, huge, huge], [huge, 0, huge], [huge, huge, 0]] {
            assert!(Tensor::new(DType::F32, empty.to_vec(), Vec::new()).is_err());
        }
        let empty = Tensor::new(DType::F32, vec![3, 0, 2], Vec::new()).unwrap();
        assert_eq!(empty.permute(&[2, 1, 0]).unwrap().shape, [2, 0, 3]);
    }
}
