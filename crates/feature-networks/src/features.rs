//! Features of many images, row by row.

use crate::error::{Error, Result};

/// `[len, dim]` numbers, one row for each image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    dim: usize,
    values: Vec<f32>,
}

impl Features {
    /// No rows yet, of `dim` numbers each.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            values: Vec::new(),
        }
    }

    /// Rows from one buffer.
    ///
    /// # Errors
    /// `Dimensions` when the buffer is not full rows.
    pub fn from_rows(dim: usize, values: Vec<f32>) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::Dimensions(dim, values.len()));
        }
        Ok(Self { dim, values })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Dimensions` when they are of another length.
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

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// One row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All rows, one after the other.
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

    /// Chosen rows, in that order; a row may come twice.
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
