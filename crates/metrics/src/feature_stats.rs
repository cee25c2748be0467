//! Mean and covariance of features, accumulated in f64 batch by batch.

use crate::error::{Error, Result};
use crate::linalg::{self, Matrix};
use feature_networks::Features;

/// The divisor of a covariance.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Covariance {
    /// The number of images, as in NVIDIA's StyleGAN2-ADA (PyTorch).
    #[default]
    #[serde(rename = "n")]
    Population,
    /// The number of images minus one, as in TTUR, pytorch-fid, torch-fidelity and clean-fid.
    #[serde(rename = "n-1")]
    Sample,
}

impl Covariance {
    /// The name of the divisor in results: `n` or `n-1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Population => "n",
            Self::Sample => "n-1",
        }
    }
}

/// Number, sum and sum of outer products of feature rows. Memory use does not depend on the number of rows.
#[derive(Clone, Debug)]
pub struct FeatureStats {
    len: usize,
    sum: Vec<f64>,
    /// Lower triangle of the sum of `x x^T`, `[dim, dim]`.
    products: Matrix,
    /// Rows that are not in `products` yet, fewer than a block.
    pending: Vec<f64>,
}

/// A Gaussian distribution fitted to features: their mean and covariance.
#[derive(Clone, Debug)]
pub struct Gaussian {
    pub(crate) mean: Vec<f64>,
    pub(crate) covariance: Matrix,
}

impl FeatureStats {
    /// Number of rows that are added to the products at once.
    const BLOCK: usize = 512;

    /// Statistics without any rows yet; `dim` is the length of the rows that will be added.
    pub fn new(dim: usize) -> Self {
        Self {
            len: 0,
            sum: vec![0.0; dim],
            products: Matrix::zeros(dim, dim),
            pending: Vec::new(),
        }
    }

    /// Makes statistics from the numbers that [`sums`](Self::sums) returns.
    pub(crate) fn from_sums(len: usize, sum: Vec<f64>, products: Matrix) -> Self {
        Self {
            len,
            sum,
            products,
            pending: Vec::new(),
        }
    }

    /// The number of rows, their sum, and the lower triangle of the sum of their outer products.
    pub(crate) fn sums(&self) -> (usize, Vec<f64>, Matrix) {
        let mut all = self.clone();
        all.flush();
        (all.len, all.sum, all.products)
    }

    /// Statistics of all rows of `features`.
    ///
    /// # Errors
    /// Those of [`append`](Self::append).
    pub fn of(features: &Features) -> Result<Self> {
        let mut stats = Self::new(features.dim());
        stats.append(features)?;
        Ok(stats)
    }

    /// Adds feature rows to the statistics.
    ///
    /// # Errors
    /// `Dimensions` when the rows differ in length from earlier ones.
    pub fn append(&mut self, features: &Features) -> Result<()> {
        if features.dim() != self.dim() {
            return Err(Error::dimensions(self.dim(), features.dim()));
        }
        let dim = self.dim();
        for i in 0..features.len() {
            let row = features.row(i);
            for (sum, &v) in self.sum.iter_mut().zip(row) {
                *sum += f64::from(v);
            }
            self.pending.extend(row.iter().map(|&v| f64::from(v)));
            if self.pending.len() == Self::BLOCK * dim {
                self.flush();
            }
        }
        self.len += features.len();
        Ok(())
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            linalg::add_gram(&mut self.products, &self.pending);
            self.pending.clear();
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Length of a row: the number of features.
    pub fn dim(&self) -> usize {
        self.sum.len()
    }

    /// Mean and covariance of the rows; `covariance` selects the divisor.
    ///
    /// # Errors
    /// `TooFew` with fewer than two rows.
    pub fn gaussian(&self, covariance: Covariance) -> Result<Gaussian> {
        if self.len < 2 {
            return Err(Error::TooFew {
                metric: "a covariance".into(),
                needed: "two images".into(),
                found: self.len.to_string(),
            });
        }
        let mut all = self.clone();
        all.flush();
        let n = all.len as f64;
        let mean: Vec<f64> = all.sum.iter().map(|s| s / n).collect();
        let factor = match covariance {
            Covariance::Population => 1.0,
            Covariance::Sample => n / (n - 1.0),
        };
        let mut products = all.products;
        for j in 0..mean.len() {
            for i in j..mean.len() {
                products[(i, j)] = (products[(i, j)] / n - mean[i] * mean[j]) * factor;
            }
        }
        linalg::mirror(&mut products);
        Ok(Gaussian {
            mean,
            covariance: products,
        })
    }
}

impl Gaussian {
    /// The mean of each feature, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance of the features `i` and `j`.
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        self.covariance[(i, j)]
    }

    /// Sum of the variances of all features (trace of the covariance).
    pub fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|i| self.covariance[(i, i)]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up_to_the_plain_formula() {
        let values: Vec<f32> = (0..1300 * 3)
            .map(|i| ((i * 37) % 101) as f32 / 7.0)
            .collect();
        let features = Features::from_rows(3, values).unwrap();
        let mut stats = FeatureStats::new(3);
        for start in (0..1300).step_by(130) {
            let rows: Vec<usize> = (start..start + 130).collect();
            stats.append(&features.pick(&rows)).unwrap();
        }
        for (kind, divisor) in [
            (Covariance::Population, 1300.0),
            (Covariance::Sample, 1299.0),
        ] {
            let gaussian = stats.gaussian(kind).unwrap();
            for i in 0..3 {
                for j in 0..3 {
                    let mean = |k: usize| -> f64 {
                        (0..1300)
                            .map(|n| f64::from(features.row(n)[k]))
                            .sum::<f64>()
                            / 1300.0
                    };
                    let want: f64 = (0..1300)
                        .map(|n| {
                            let row = features.row(n);
                            (f64::from(row[i]) - mean(i)) * (f64::from(row[j]) - mean(j))
                        })
                        .sum::<f64>()
                        / divisor;
                    assert!((gaussian.covariance(i, j) - want).abs() < 1e-10);
                }
            }
        }
        assert!(
            FeatureStats::new(3)
                .gaussian(Covariance::Population)
                .is_err()
        );
        assert!(stats.append(&Features::new(4)).is_err());
    }
}
