//! Metrics based on nearest neighbors: precision and recall, density and coverage, memorization.
//!
//! The region that a set of images covers in feature space is modeled as balls around its images; the radius of a ball
//! is the distance to the k-th nearest neighbor.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg;
use feature_networks::Features;

/// Number of rows of the distance matrix that each thread keeps in memory.
const BLOCK: usize = 256;

/// The precision to which features and distances are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// No rounding: f32.
    #[default]
    None,
    /// Rounding to f16, in which NVIDIA's StyleGAN2-ADA computes precision and recall on a GPU.
    Half,
}

impl Rounding {
    fn round(self, value: f32) -> f32 {
        match self {
            Self::None => value,
            Self::Half => half::f16::from_f32(value).to_f32(),
        }
    }
}

/// Precision and recall (arXiv:1904.06991).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Fraction of the generated images that lie in a ball of a real image.
    pub precision: f64,
    /// Fraction of the real images that lie in a ball of a generated image.
    pub recall: f64,
    /// Number of real images whose ball has radius 0, as at least `k` others equal them up to rounding.
    pub n_without_ball: usize,
}

/// Precision and recall with balls that reach to the `k`-th nearest neighbor.
///
/// ```
/// use feature_networks::Features;
/// use metrics::{Rounding, precision_recall};
///
/// let reals = Features::from_rows(1, vec![0.0, 1.0, 2.0, 3.0])?;
/// let fakes = Features::from_rows(1, vec![0.5, 1.5, 10.0, 11.0])?;
/// let found = precision_recall(&reals, &fakes, 1, Rounding::None)?;
/// assert_eq!(found.precision, 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `Dimensions` when rows differ in length; `TooFew` unless each side has more than `k` images.
pub fn precision_recall(
    real: &Features,
    fake: &Features,
    k: usize,
    rounding: Rounding,
) -> Result<PrecisionRecall> {
    check("precision and recall", real, fake, k)?;
    let (real, fake) = match rounding {
        Rounding::None => (real.clone(), fake.clone()),
        Rounding::Half => (
            real.map(|v| rounding.round(v)),
            fake.map(|v| rounding.round(v)),
        ),
    };
    let radii_of_real = radii(&real, k, rounding);
    let radii_of_fake = radii(&fake, k, rounding);
    let share_within = |manifold: &Features, radii: &[f32], probes: &Features| {
        let hits: usize = distances(probes, manifold, rounding, |_, row| {
            usize::from(row.iter().zip(radii).any(|(d, r)| d <= r))
        })
        .into_iter()
        .sum();
        hits as f64 / probes.len() as f64
    };
    Ok(PrecisionRecall {
        precision: share_within(&real, &radii_of_real, &fake),
        recall: share_within(&fake, &radii_of_fake, &real),
        n_without_ball: n_without_ball(&real, &radii_of_real),
    })
}

/// Density and coverage (arXiv:2002.09797).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DensityCoverage {
    /// Mean number of balls of real images in which a generated image lies, divided by `k`. About 1 for equal
    /// distributions; can exceed 1.
    pub density: f64,
    /// Fraction of the real images with a generated image in their ball.
    pub coverage: f64,
    /// Number of real images whose ball has radius 0, as at least `k` others equal them up to rounding. No generated
    /// image lies in such a ball.
    pub n_without_ball: usize,
}

/// Density and coverage with balls that reach to the `k`-th nearest neighbor.
///
/// # Errors
/// Those of [`precision_recall`].
pub fn density_coverage(real: &Features, fake: &Features, k: usize) -> Result<DensityCoverage> {
    check("density and coverage", real, fake, k)?;
    let radii = radii(real, k, Rounding::None);
    let inside = distances(real, fake, Rounding::None, |i, row| {
        row.iter().filter(|d| **d < radii[i]).count()
    });
    let covered = inside.iter().filter(|n| **n > 0).count();
    let balls: usize = inside.iter().sum();
    Ok(DensityCoverage {
        density: balls as f64 / (k * fake.len()) as f64,
        coverage: covered as f64 / real.len() as f64,
        n_without_ball: n_without_ball(real, &radii),
    })
}

/// A generated image and its nearest training image.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Neighbor {
    /// Index of the generated image.
    pub fake: usize,
    /// Index of its nearest real image.
    pub real: usize,
    /// Distance of the two in feature space.
    pub distance: f32,
    /// This distance divided by the median distance of a real image to its nearest other real image; `None` where that
    /// median counts as 0.
    pub ratio: Option<f32>,
}

/// Memorization: how close generated images are to single training images.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorization {
    /// Fraction of the generated images that are closer to a real image than 99 % of the real images are to their
    /// nearest other real image. For unseen real images it would be 0.01; much larger values mean that the generator
    /// reproduces training images. Where 1 % or more of the real images equal another real image, this is the fraction
    /// of the generated images that equal a real image.
    pub share: f64,
    /// Median distance of generated images to their nearest real image, divided by the median distance of real images
    /// to their nearest other real image. Values below 1 indicate copies. `None` where at least half of the real images
    /// equal another real image, so that the divisor is 0.
    pub distance_ratio: Option<f64>,
    /// Number of real images that equal another real image up to rounding.
    pub n_twins: usize,
    /// The closest pairs of a generated and a real image, nearest first, at most 100.
    pub nearest: Vec<Neighbor>,
}

/// Finds the nearest real (training) image of each generated image and summarizes the distances.
///
/// # Errors
/// Those of [`precision_recall`] with `k = 1`.
pub fn memorization(real: &Features, fake: &Features) -> Result<Memorization> {
    check("memorization", real, fake, 1)?;
    let mut own = radii(real, 1, Rounding::None);
    own.sort_by(f32::total_cmp);
    let least = least_distance(real);
    let n_twins = own.partition_point(|d| *d <= least);
    let median = Some(own[own.len() / 2]).filter(|median| *median > least);
    let limit = own[own.len() / 100];
    let mut nearest: Vec<Neighbor> = distances(fake, real, Rounding::None, |i, row| {
        let (real, distance) = row
            .iter()
            .copied()
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, f32::INFINITY));
        Neighbor {
            fake: i,
            real,
            distance,
            ratio: median.map(|median| distance / median),
        }
    });
    let is_close = |n: &&Neighbor| match limit > least {
        true => n.distance < limit,
        false => n.distance <= least,
    };
    let share = nearest.iter().filter(is_close).count() as f64 / fake.len() as f64;
    nearest.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let distance_ratio = nearest[nearest.len() / 2].ratio.map(f64::from);
    nearest.truncate(100);
    Ok(Memorization {
        share,
        distance_ratio,
        n_twins,
        nearest,
    })
}

fn check(metric: &str, real: &Features, fake: &Features, k: usize) -> Result<()> {
    if real.dim() != fake.dim() {
        return Err(Error::dimensions(real.dim(), fake.dim()));
    }
    if real.len().min(fake.len()) <= k {
        return Err(Error::TooFew {
            metric: metric.into(),
            needed: format!("more than {k} images on each side"),
            found: format!("{} and {}", real.len(), fake.len()),
        });
    }
    Ok(())
}

fn n_without_ball(features: &Features, radii: &[f32]) -> usize {
    let least = least_distance(features);
    radii.iter().filter(|radius| **radius <= least).count()
}

/// Largest distance at which two rows count as equal. It covers rounding errors and the small differences of features
/// of the same image between batches.
fn least_distance(features: &Features) -> f32 {
    let center = center(features);
    let (mut norms, mut spreads) = (0.0, 0.0);
    for i in 0..features.len() {
        for (&v, &c) in features.row(i).iter().zip(&center) {
            norms += f64::from(v).powi(2);
            spreads += (f64::from(v) - c).powi(2);
        }
    }
    let n = features.len() as f64;
    // A distance is the root of a difference of squares, each of which has the rounding error of f32.
    let least = (1e-5 * (norms / n).sqrt()).max(1e-3 * (spreads / n).sqrt());
    least as f32
}

/// The mean of the rows.
fn center(features: &Features) -> Vec<f64> {
    let mut center = vec![0.0f64; features.dim()];
    for i in 0..features.len() {
        for (c, &v) in center.iter_mut().zip(features.row(i)) {
            *c += f64::from(v) / features.len() as f64;
        }
    }
    center
}

/// The distance of each row to its `k`-th nearest other row.
fn radii(features: &Features, k: usize, rounding: Rounding) -> Vec<f32> {
    distances(features, features, rounding, |i, row| {
        let mut others = row.to_vec();
        // The row itself is the nearest; set its distance to exactly 0 in spite of rounding errors.
        others[i] = 0.0;
        *others.select_nth_unstable_by(k, f32::total_cmp).1
    })
}

/// Calls `visit` with the index of each row and its distances to all `columns`. Returns the results in the order of the
/// rows.
fn distances<T: Send>(
    rows: &Features,
    columns: &Features,
    rounding: Rounding,
    visit: impl Fn(usize, &[f32]) -> T + Sync,
) -> Vec<T> {
    let dim = rows.dim();
    // Subtract a common center, so that less precision is lost to cancellation.
    let center = center(columns);
    let centered = |features: &Features| -> Vec<f32> {
        let mut values = features.values().to_vec();
        for row in values.chunks_exact_mut(dim) {
            for (v, &c) in row.iter_mut().zip(&center) {
                *v -= c as f32;
            }
        }
        values
    };
    let norms = |values: &[f32]| -> Vec<f32> {
        values
            .chunks_exact(dim)
            .map(|row| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32)
            .collect()
    };
    let (x, y) = (centered(rows), centered(columns));
    let (x_norms, y_norms) = (norms(&x), norms(&y));
    let blocks: Vec<Vec<T>> = x
        .par_chunks(BLOCK * dim)
        .enumerate()
        .map(|(block, x)| {
            let mut table = linalg::products(x, &y, dim);
            table
                .chunks_exact_mut(y_norms.len())
                .enumerate()
                .map(|(i, row)| {
                    let i = block * BLOCK + i;
                    for (d, y_norm) in row.iter_mut().zip(&y_norms) {
                        let squared = (x_norms[i] + y_norm - 2.0 * *d).max(0.0);
                        *d = rounding.round(squared.sqrt());
                    }
                    visit(i, row)
                })
                .collect()
        })
        .collect();
    blocks.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rng::RandomState;

    fn normal(n: usize, shift: f64, seed: u32) -> Features {
        let values = RandomState::new(seed).randn(n * 4);
        Features::from_rows(4, values.into_iter().map(|v| (v + shift) as f32).collect()).unwrap()
    }

    #[test]
    fn equal_sources_overlap_and_far_ones_do_not() {
        let real = normal(700, 0.0, 1);
        let near = precision_recall(&real, &normal(600, 0.0, 2), 3, Rounding::None).unwrap();
        assert!(near.precision > 0.8 && near.recall > 0.8, "{near:?}");
        let far = precision_recall(&real, &normal(600, 50.0, 2), 3, Rounding::Half).unwrap();
        assert_eq!((far.precision, far.recall), (0.0, 0.0));
        let both = density_coverage(&real, &normal(600, 0.0, 2), 5).unwrap();
        assert!(
            (both.density - 1.0).abs() < 0.15 && both.coverage > 0.9,
            "{both:?}"
        );
    }

    #[test]
    fn copies_of_training_images_are_found() {
        let real = normal(500, 0.0, 1);
        let fresh = memorization(&real, &normal(300, 0.0, 2)).unwrap();
        assert!(
            fresh.share < 0.05 && fresh.distance_ratio > Some(0.9) && fresh.n_twins == 0,
            "{fresh:?}"
        );
        let mut copies = normal(270, 0.0, 3);
        copies
            .append(&real.pick(&(40..70).collect::<Vec<_>>()))
            .unwrap();
        let found = memorization(&real, &copies).unwrap();
        assert!(found.share >= 0.1, "{}", found.share);
        for pair in &found.nearest[..30] {
            assert_eq!(pair.fake - 270 + 40, pair.real);
        }
    }

    #[test]
    fn equal_reals_have_no_ratio_and_only_copies_of_them_are_memorized() {
        let one =
            |scale: f32| -> Vec<f32> { (0..64).map(|i| scale * (i as f32 * 0.37).sin()).collect() };
        for scale in [0.0, 1e-3, 1.0, 1e4] {
            let real = Features::from_rows(64, one(scale).repeat(50)).unwrap();
            // Ten copies of one real image among forty other images.
            let mut values = one(scale).repeat(10);
            for i in 0..40 {
                values.extend(one(scale + 1.0 + i as f32));
            }
            let fake = Features::from_rows(64, values).unwrap();
            let found = memorization(&real, &fake).unwrap();
            assert_eq!(found.distance_ratio, None, "{scale}");
            assert_eq!((found.share, found.n_twins), (0.2, 50), "{scale}");
            assert!(found.nearest.iter().all(|pair| pair.ratio.is_none()));
            let balls = density_coverage(&real, &fake, 5).unwrap();
            assert_eq!(
                (balls.n_without_ball, balls.density, balls.coverage),
                (50, 0.0, 0.0)
            );
            let balls = precision_recall(&real, &fake, 3, Rounding::Half).unwrap();
            assert_eq!(balls.n_without_ball, 50);
            assert!((0.0..=1.0).contains(&balls.precision) && (0.0..=1.0).contains(&balls.recall));
            let all = memorization(&real, &real).unwrap();
            assert_eq!((all.share, all.distance_ratio), (1.0, None));
        }
    }

    #[test]
    fn a_dataset_with_every_image_twice_has_no_ratio_and_some_twins_leave_it() {
        let rows = normal(300, 3.0, 1);
        let mut twice = rows.clone();
        twice.append(&rows).unwrap();
        let fresh = normal(200, 3.0, 2);
        let found = memorization(&twice, &fresh).unwrap();
        assert_eq!(
            (found.distance_ratio, found.share, found.n_twins),
            (None, 0.0, 600)
        );
        // 6 of 306 images are duplicates: `share` counts only copies, and the ratio is the same as without the
        // duplicates.
        let mut some = rows.clone();
        some.append(&rows.pick(&[1, 2, 3, 4, 5, 6])).unwrap();
        let mut copies = fresh.pick(&(0..90).collect::<Vec<_>>());
        copies
            .append(&rows.pick(&(20..30).collect::<Vec<_>>()))
            .unwrap();
        let found = memorization(&some, &copies).unwrap();
        assert_eq!((found.share, found.n_twins), (0.1, 12));
        let ratio = found.distance_ratio.unwrap();
        assert!((0.8..1.5).contains(&ratio), "{ratio}");
        assert_eq!(
            density_coverage(&some, &copies, 5).unwrap().n_without_ball,
            0
        );
    }

    #[test]
    fn too_few_images_are_an_error() {
        let few = normal(3, 0.0, 1);
        let error = precision_recall(&few, &few, 3, Rounding::None).unwrap_err();
        assert!(error.to_string().contains("more than 3 images"), "{error}");
    }
}
