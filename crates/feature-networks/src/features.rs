//! The feature vectors of a set of images.

use crate::error::{Error, Result};

/// The feature vectors of `len` images: a matrix `[len, dim]` of f32 with one row per image.
///
/// ```
/// let features = feature_networks::Features::from_rows(2, vec![1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!((features.len(), features.row(1)), (2, &[3.0, 4.0][..]));
/// # Ok::<(), feature_networks::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    dim: usize,
    values: Vec<f32>,
}

impl Features {
    /// Creates a matrix without rows, to which rows of `dim` values can be appended.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            values: Vec::new(),
        }
    }

    /// Creates a matrix with rows of `dim` values from its values in row-major order.
    ///
    /// # Errors
    /// `Dimensions` when the number of values is not a multiple of `dim`, or `dim` is 0.
    pub fn from_rows(dim: usize, values: Vec<f32>) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::Dimensions(dim, values.len()));
        }
        Ok(Self { dim, values })
    }

    /// Appends the rows of `other`.
    ///
    /// # Errors
    /// `Dimensions` when the rows of `other` have a different length.
    pub fn append(&mut self, other: &Features) -> Result<()> {
        if self.dim != other.dim {
            return Err(Error::Dimensions(self.dim, other.dim));
        }
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// Number of rows (images).
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Length of a row: the number of features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The row with index `i`. Panics if there is none.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All values in row-major order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// A copy of the first `n` rows, or of all rows if there are fewer.
    pub fn first(&self, n: usize) -> Features {
        let end = n.min(self.len()) * self.dim;
        Self {
            dim: self.dim,
            values: self.values[..end].to_vec(),
        }
    }

    /// A copy of the rows with the indices `rows`, in that order. An index may occur more than once.
    pub fn pick(&self, rows: &[usize]) -> Features {
        let mut values = Vec::with_capacity(rows.len() * self.dim);
        for &row in rows {
            values.extend_from_slice(self.row(row));
        }
        Self {
            dim: self.dim,
            values,
        }
    }

    /// A matrix of the same size with `change` applied to every value.
    pub fn map(&self, change: impl Fn(f32) -> f32) -> Features {
        Self {
            dim: self.dim,
            values: self.values.iter().map(|&v| change(v)).collect(),
        }
    }
}
