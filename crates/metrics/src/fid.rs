//! Fréchet inception distance (arXiv:1706.08500).

use rng::RandomState;

use crate::error::{Error, Result};
use crate::feature_stats::{Covariance, FeatureStats, Gaussian};
use crate::linalg::{self, Matrix};
use feature_networks::Features;

/// The Gaussian of the real images, and a matrix `factor` whose product with its own transpose is the covariance.
/// Reusing this factor makes each further FID twice as fast.
#[derive(Clone, Debug)]
pub struct FidReference {
    gaussian: Gaussian,
    factor: Matrix,
}

impl FidReference {
    /// Computes the factor of the covariance of `gaussian`.
    ///
    /// # Errors
    /// `NotFinite` when the covariance contains NaN or infinity.
    pub fn new(gaussian: Gaussian) -> Result<Self> {
        let factor = linalg::factor(&gaussian.covariance)?;
        Ok(Self { gaussian, factor })
    }

    /// The Fréchet distance to another Gaussian: `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`.
    ///
    /// # Errors
    /// `Dimensions` when the two have different numbers of features; `NotFinite` for NaN or infinity.
    pub fn fid(&self, other: &Gaussian) -> Result<f64> {
        let real = &self.gaussian;
        if real.mean.len() != other.mean.len() {
            return Err(Error::dimensions(real.mean.len(), other.mean.len()));
        }
        let means: f64 = real
            .mean
            .iter()
            .zip(&other.mean)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let root = linalg::trace_sqrt(&self.factor, &other.covariance)?;
        Ok(means + real.trace() + other.trace() - 2.0 * root)
    }

    /// Bootstrap standard error of the FID of `fakes`: the standard deviation of the FID over `rounds` resamplings of
    /// the rows with replacement.
    ///
    /// Resampled sets have a larger FID than the set itself, so only their spread is used, not their mean.
    ///
    /// # Errors
    /// Those of [`fid`](Self::fid); `TooFew` with fewer than two fakes.
    pub fn bootstrap(
        &self,
        fakes: &Features,
        covariance: Covariance,
        rounds: usize,
        random: &mut RandomState,
    ) -> Result<f64> {
        let mut values = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let rows: Vec<usize> = (0..fakes.len())
                .map(|_| random.index(fakes.len()))
                .collect();
            let stats = FeatureStats::of(&fakes.pick(&rows))?;
            values.push(self.fid(&stats.gaussian(covariance)?)?);
        }
        Ok(standard_deviation(&values))
    }
}

/// The Fréchet distance of two Gaussians; lower is better.
///
/// ```
/// use feature_networks::Features;
/// use metrics::{Covariance, FeatureStats, fid};
///
/// let stats = |values: Vec<f32>| -> metrics::Result<_> {
///     FeatureStats::of(&Features::from_rows(1, values)?)?.gaussian(Covariance::Population)
/// };
/// let reals = stats(vec![0.0, 2.0])?; // mean 1, variance 1
/// let fakes = stats(vec![3.0, 5.0])?; // mean 4, variance 1
/// assert!((fid(&reals, &fakes)? - 9.0).abs() < 1e-9);
/// # Ok::<(), metrics::Error>(())
/// ```
///
/// # Errors
/// Those of [`FidReference::fid`].
pub fn fid(real: &Gaussian, fake: &Gaussian) -> Result<f64> {
    FidReference::new(real.clone())?.fid(fake)
}

/// The sample standard deviation (divisor `n - 1`); 0 for fewer than two values.
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(n: usize, dim: usize, shift: f64, seed: u32) -> Features {
        let mut random = RandomState::new(seed);
        let values = random
            .randn(n * dim)
            .into_iter()
            .map(|v| (v + shift) as f32)
            .collect();
        Features::from_rows(dim, values).unwrap()
    }

    #[test]
    fn shifted_gaussians_differ_by_the_square_of_the_shift() {
        let real = FeatureStats::of(&normal(20_000, 4, 0.0, 1)).unwrap();
        let fake = FeatureStats::of(&normal(20_000, 4, 0.5, 2)).unwrap();
        let gaussian = |s: &FeatureStats| s.gaussian(Covariance::Population).unwrap();
        let distance = fid(&gaussian(&real), &gaussian(&fake)).unwrap();
        assert!((distance - 1.0).abs() < 0.05, "{distance}");
        assert!(fid(&gaussian(&real), &gaussian(&real)).unwrap().abs() < 1e-9);
    }

    #[test]
    fn the_bootstrap_error_is_about_the_spread_over_fresh_sets() {
        let real = FeatureStats::of(&normal(4000, 6, 0.0, 1)).unwrap();
        let reference = FidReference::new(real.gaussian(Covariance::Population).unwrap()).unwrap();
        let fresh: Vec<f64> = (0..40)
            .map(|seed| {
                let stats = FeatureStats::of(&normal(300, 6, 0.3, 100 + seed)).unwrap();
                reference
                    .fid(&stats.gaussian(Covariance::Population).unwrap())
                    .unwrap()
            })
            .collect();
        let spread = standard_deviation(&fresh);
        let error = reference
            .bootstrap(
                &normal(300, 6, 0.3, 7),
                Covariance::Population,
                60,
                &mut RandomState::new(3),
            )
            .unwrap();
        assert!((0.5..2.0).contains(&(error / spread)), "{error} {spread}");
    }
}
