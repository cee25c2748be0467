//! Feature vectors of many images.

use crate::error::{Error, Result};

/// A matrix `[len, dim]` of f32, one row for each image.
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
    /// A matrix without rows, for rows of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            values: Vec::new(),
        }
    }

    /// Rows from one row-major buffer.
    ///
    /// # Errors
    /// `Dimensions` when the length is not a multiple of `dim`.
    pub fn from_rows(dim: usize, values: Vec<f32>) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::Dimensions(dim, values.len()));
        }
        Ok(Self { dim, values })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Dimensions` when they have another length.
    pub fn append(&mut self, other: &Features) -> Result<()> {
        if self.dim != other.dim {
            return Err(Error::Dimensions(self.dim, other.dim));
        }
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// One row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All numbers, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The first `n` rows, or all.
    pub fn first(&self, n: usize) -> Features {
        let end = n.min(self.len()) * self.dim;
        Self {
            dim: self.dim,
            values: self.values[..end].to_vec(),
        }
    }

    /// The rows of these indices, in that order; indices may repeat.
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

    /// Applies `change` to every number.
    pub fn map(&self, change: impl Fn(f32) -> f32) -> Features {
        Self {
            dim: self.dim,
            values: self.values.iter().map(|&v| change(v)).collect(),
        }
    }
}
