//! Kernel inception distance (arXiv:1801.01401): the unbiased squared MMD with a cubic kernel, averaged over random
//! subsets.

use rng::RandomState;

use crate::error::{Error, Result};
use crate::fid::standard_deviation;
use crate::linalg;
use feature_networks::Features;

/// Number and size of the random subsets of [`kid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KidOptions {
    /// Number of subsets.
    pub num_subsets: usize,
    /// Largest number of images of each side in a subset.
    pub max_subset_size: usize,
}

impl Default for KidOptions {
    fn default() -> Self {
        Self {
            num_subsets: 100,
            max_subset_size: 1000,
        }
    }
}

/// KID, the mean over random subsets, and its standard error.
///
/// The error is `None` when every subset contains all images of both sides, so that the subsets do not differ.
///
/// # Errors
/// `Dimensions` when feature rows differ in length; `TooFew` with fewer than two images on a side.
pub fn kid(
    real: &Features,
    fake: &Features,
    options: &KidOptions,
    random: &mut RandomState,
) -> Result<(f64, Option<f64>)> {
    let m = options.max_subset_size.min(real.len()).min(fake.len());
    if m < 2 {
        return Err(Error::TooFew {
            metric: "kid".into(),
            needed: "two images on each side".into(),
            found: format!("{} and {}", real.len(), fake.len()),
        });
    }
    let values: Vec<f64> = (0..options.num_subsets)
        .map(|_| {
            let x = random.choice(fake.len(), m);
            let y = random.choice(real.len(), m);
            squared_mmd(&real.pick(&y), &fake.pick(&x))
        })
        .collect::<Result<_>>()?;
    let n = values.len().max(1) as f64;
    let differ = m < real.len().max(fake.len());
    Ok((
        values.iter().sum::<f64>() / n,
        differ.then(|| standard_deviation(&values) / n.sqrt()),
    ))
}

/// The squared MMD of two sets of the same size with the kernel `(x y / dim + 1)^3`. Within each set, pairs of a row
/// with itself are left out, so that the estimate of these terms is unbiased.
///
/// # Errors
/// `Dimensions` when rows differ in length; `TooFew` when the sets differ in size or have fewer than two rows.
pub fn squared_mmd(real: &Features, fake: &Features) -> Result<f64> {
    if real.dim() != fake.dim() {
        return Err(Error::dimensions(real.dim(), fake.dim()));
    }
    if real.len() != fake.len() || real.len() < 2 {
        return Err(Error::TooFew {
            metric: "kid".into(),
            needed: "two sets of the same size".into(),
            found: format!("{} and {}", real.len(), fake.len()),
        });
    }
    let dim = real.dim();
    let wide = |f: &Features| -> Vec<f64> { f.values().iter().map(|&v| f64::from(v)).collect() };
    let (x, y) = (wide(fake), wide(real));
    let m = real.len();
    let sum = |a: &[f64], b: &[f64], diagonal: bool| {
        let products = linalg::products_f64(a, b, dim);
        let mut sum = 0.0;
        for (j, column) in products.col_iter().enumerate() {
            for (i, value) in column.iter().enumerate() {
                if diagonal || i != j {
                    sum += (value / dim as f64 + 1.0).powi(3);
                }
            }
        }
        sum
    };
    let within = sum(&x, &x, false) + sum(&y, &y, false);
    let across = sum(&x, &y, true);
    let m = m as f64;
    Ok((within / (m - 1.0) - across * 2.0 / m) / m)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(n: usize, shift: f64, seed: u32) -> Features {
        let values = RandomState::new(seed).randn(n * 8);
        Features::from_rows(8, values.into_iter().map(|v| (v + shift) as f32).collect()).unwrap()
    }

    #[test]
    fn it_is_about_zero_for_equal_sources_and_grows_with_the_shift() {
        let options = KidOptions {
            num_subsets: 20,
            max_subset_size: 100,
        };
        let real = normal(400, 0.0, 1);
        let of = |fake: &Features| kid(&real, fake, &options, &mut RandomState::new(0)).unwrap();
        let (same, error) = of(&normal(300, 0.0, 2));
        let error = error.unwrap();
        assert!(error > 0.0);
        assert!(same.abs() < 5.0 * error + 0.02, "{same} +- {error}");
        // Subsets that are all equal give no standard error.
        let (few, fakes) = (normal(60, 0.0, 5), normal(60, 0.0, 6));
        let whole = kid(&few, &fakes, &options, &mut RandomState::new(0)).unwrap();
        assert_eq!(whole.1, None);
        let (near, far) = (of(&normal(300, 0.3, 3)).0, of(&normal(300, 0.9, 4)).0);
        assert!(same < near && near < far, "{same} {near} {far}");
    }
}
