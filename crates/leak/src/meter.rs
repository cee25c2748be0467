//! The linear discriminant, trained on augmented real images and applied to generated ones.

use candle_core::Tensor;
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};
use rayon::prelude::*;
use rng::RandomState;

use crate::category::Category;
use crate::descriptors::describe;
use crate::error::{Error, Result};
use crate::rgb::images_of;
use crate::transforms::transform;

/// The result of a leak check for one category.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct CategoryLeak {
    /// The category.
    pub category: Category,
    /// Estimated fraction of the fakes that look augmented in this way, in excess of the same fraction of the baseline
    /// images; 0 to 1.
    pub share: f64,
    /// Fraction of the fakes that are detected as this category minus that of the baseline images, in standard errors.
    pub significance: f64,
    /// Fraction of held-out augmented real images that are detected, 0 to 1. Below 0.2 the result means little.
    pub power: f64,
    /// Whether the fakes look augmented in this way: `share` is at least 0.05, `significance` at least 5 and `power` at
    /// least 0.2. This indicates a leak only where the generator was trained with such an augmentation.
    pub shows: bool,
}

/// A discriminant trained on the real images of one dataset and augmented versions of them.
pub struct LeakMeter {
    /// Mean and standard deviation (`scale`) of each descriptor over plain real images, by which descriptors are
    /// standardized.
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// For each category: one weight for each descriptor (`[dim]`), and in `offsets` the constant term, of the linear
    /// discriminant between that category and plain images.
    directions: Vec<Vec<f64>>,
    offsets: Vec<f64>,
    /// For each category: an image with a higher score is detected.
    thresholds: Vec<f64>,
    /// For each category: number of held-out plain real images that are detected, out of `n_held_out`.
    false_hits: Vec<f64>,
    n_held_out: f64,
    /// For each category: fraction of held-out augmented real images that are detected.
    power: Vec<f64>,
}

const MIN_SHARE: f64 = 0.05;
const MIN_SIGNIFICANCE: f64 = 5.0;
const MIN_POWER: f64 = 0.2;
/// Fraction of held-out plain real images that may be detected as each category.
const FALSE_RATE: f64 = 0.01;
const MIN_REALS: usize = 40;

impl LeakMeter {
    /// Trains the discriminant on real images.
    ///
    /// # Shapes
    /// - `reals`: `u8`, `[n, 1 or 3, height, width]`, height and width at least 16; `n` at least 40, 1000 are plenty
    ///
    /// # Errors
    /// `Images` when `reals` has another shape or type; `TooFew` with fewer than 40 images.
    pub fn new(reals: &Tensor, random: &mut RandomState) -> Result<Self> {
        let images = images_of(reals)?;
        if images.len() < MIN_REALS {
            return Err(Error::TooFew {
                needed: format!("{MIN_REALS} real images"),
                found: images.len(),
            });
        }
        // The classes: plain images first, then each category. Every image is augmented with random numbers of its own.
        let seeds: Vec<u32> = images
            .iter()
            .map(|_| random.index(u32::MAX as usize) as u32)
            .collect();
        let mut classes: Vec<Vec<Vec<f64>>> = vec![images.par_iter().map(describe).collect()];
        for (k, category) in Category::ALL.into_iter().enumerate() {
            let rows = images
                .par_iter()
                .zip(&seeds)
                .map(|(image, seed)| {
                    let mut random = RandomState::new(seed.wrapping_add(k as u32));
                    describe(&transform(image, category, &mut random))
                })
                .collect();
            classes.push(rows);
        }
        let half = images.len() / 2;
        let dim = classes[0][0].len();

        // Standardize by the plain images, so that one ridge parameter suits all descriptors.
        let plain = &classes[0][..half];
        let mean = mean_of(plain, dim);
        let scale: Vec<f64> = (0..dim)
            .map(|i| {
                let variance = plain.iter().map(|r| (r[i] - mean[i]).powi(2)).sum::<f64>();
                (variance / half as f64).sqrt().max(1e-6)
            })
            .collect();
        for row in classes.iter_mut().flatten() {
            standardize(row, &mean, &scale);
        }

        // A direction is the difference between the mean of a category and the mean of plain images, multiplied by the
        // inverse of the shared covariance.
        let centers: Vec<Vec<f64>> = classes.iter().map(|c| mean_of(&c[..half], dim)).collect();
        let mut rows = Vec::with_capacity(classes.len() * half * dim);
        for (class, center) in classes.iter().zip(&centers) {
            for row in &class[..half] {
                rows.extend(row.iter().zip(center).map(|(v, c)| v - c));
            }
        }
        let n_rows = (classes.len() * half) as f64;
        let rows = MatRef::from_row_major_slice(&rows, classes.len() * half, dim);
        let mut covariance = rows.transpose() * rows;
        let trace: f64 = (0..dim).map(|i| covariance[(i, i)]).sum();
        let ridge = 0.05 * trace / dim as f64;
        for i in 0..dim {
            covariance[(i, i)] += ridge;
        }
        let solver = covariance.llt(Side::Lower).map_err(|_| Error::NotFinite)?;
        let (mut directions, mut offsets) = (Vec::new(), Vec::new());
        for center in &centers[1..] {
            let difference = Mat::from_fn(dim, 1, |i, _| (center[i] - centers[0][i]) * n_rows);
            let solved = solver.solve(&difference);
            let direction: Vec<f64> = (0..dim).map(|i| solved[(i, 0)]).collect();
            let middle: Vec<f64> = center
                .iter()
                .zip(&centers[0])
                .map(|(a, b)| (a + b) / 2.0)
                .collect();
            offsets.push(-dot(&direction, &middle));
            directions.push(direction);
        }

        let mut meter = Self {
            mean,
            scale,
            directions,
            offsets,
            thresholds: vec![f64::NEG_INFINITY; Category::ALL.len()],
            false_hits: Vec::new(),
            n_held_out: (images.len() - half) as f64,
            power: Vec::new(),
        };
        // Set the thresholds by scores of held-out plain images.
        let held_out: Vec<Vec<f64>> = classes[0][half..]
            .iter()
            .map(|row| meter.scores(row))
            .collect();
        for k in 0..Category::ALL.len() {
            let mut scores: Vec<f64> = held_out.iter().map(|s| s[k]).collect();
            scores.sort_by(f64::total_cmp);
            let at = ((1.0 - FALSE_RATE) * scores.len() as f64) as usize;
            // A threshold is at least 0, which is the score halfway between the category and plain images.
            meter.thresholds[k] = scores[at.min(scores.len() - 1)].max(0.0);
        }
        let hits = |class: &[Vec<f64>]| meter.count(class);
        let false_hits = hits(&classes[0][half..]);
        let power = (0..Category::ALL.len())
            .map(|k| hits(&classes[k + 1][half..])[k] / meter.n_held_out)
            .collect();
        (meter.false_hits, meter.power) = (false_hits, power);
        Ok(meter)
    }

    /// Measures leaks in generated images, one result for each category. The baseline is `baseline`: images of a
    /// generator trained without the augmentation for about as long, since an undertrained generator is noisy and
    /// blurred without any leak. When it is `None`, the baseline is the held-out real images.
    ///
    /// # Shapes
    /// - `fakes`, `baseline`: as `reals` in [`LeakMeter::new`]; a few hundred images
    ///
    /// # Errors
    /// `Images` when a tensor has another shape or type; `TooFew` with fewer than 40 images.
    pub fn measure(&self, fakes: &Tensor, baseline: Option<&Tensor>) -> Result<Vec<CategoryLeak>> {
        let (hits, n) = self.count_images(fakes)?;
        let (usual_hits, n_usual) = match baseline {
            Some(fakes) => self.count_images(fakes)?,
            None => (self.false_hits.clone(), self.n_held_out),
        };
        Ok(Category::ALL
            .into_iter()
            .enumerate()
            .map(|(k, category)| {
                let (rate, usual) = (hits[k] / n, usual_hits[k] / n_usual);
                // Add one detected and one undetected image to the pooled counts, so that the standard error is above
                // zero.
                let pooled = (hits[k] + usual_hits[k] + 1.0) / (n + n_usual + 2.0);
                let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / n_usual)).sqrt();
                let significance = (rate - usual) / error;
                let power = self.power[k];
                let share = ((rate - usual) / (power - usual).max(0.05)).clamp(0.0, 1.0);
                CategoryLeak {
                    category,
                    share,
                    significance,
                    power,
                    shows: share >= MIN_SHARE
                        && significance >= MIN_SIGNIFICANCE
                        && power >= MIN_POWER,
                }
            })
            .collect())
    }

    /// The number of images detected as each category, and the number of all images.
    fn count_images(&self, images: &Tensor) -> Result<(Vec<f64>, f64)> {
        let images = images_of(images)?;
        if images.len() < MIN_REALS {
            return Err(Error::TooFew {
                needed: format!("{MIN_REALS} generated images"),
                found: images.len(),
            });
        }
        let rows: Vec<Vec<f64>> = images
            .par_iter()
            .map(|image| {
                let mut row = describe(image);
                standardize(&mut row, &self.mean, &self.scale);
                row
            })
            .collect();
        Ok((self.count(&rows), rows.len() as f64))
    }

    /// The log odds of each category against plain images, for a standardized row of descriptors.
    fn scores(&self, row: &[f64]) -> Vec<f64> {
        self.directions
            .iter()
            .zip(&self.offsets)
            .map(|(direction, offset)| dot(direction, row) + offset)
            .collect()
    }

    /// For each category, the number of rows detected as that category: a row counts for the category with its highest
    /// score, if this score is above the category's threshold.
    fn count(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let mut counts = vec![0.0; Category::ALL.len()];
        for row in rows {
            let scores = self.scores(row);
            let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            if let Some(best) = best.filter(|k| scores[*k] > self.thresholds[*k]) {
                counts[best] += 1.0;
            }
        }
        counts
    }
}

fn standardize(row: &mut [f64], mean: &[f64], scale: &[f64]) {
    for ((v, m), s) in row.iter_mut().zip(mean).zip(scale) {
        // Limit outliers to 8 standard deviations.
        *v = ((*v - m) / s).clamp(-8.0, 8.0);
    }
}

fn mean_of(rows: &[Vec<f64>], dim: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dim];
    for row in rows {
        for (m, v) in mean.iter_mut().zip(row) {
            *m += v / rows.len() as f64;
        }
    }
    mean
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const SIDE: usize = 32;

    /// A simple drawing of a face: dark hair above, skin in the middle, eyes, a plain background, a little texture.
    fn drawing(seed: u32) -> Vec<u8> {
        let mut r = RandomState::new(seed);
        let mut range = |a: f64, b: f64| a + (b - a) * r.random_sample();
        let hair = [range(0.1, 0.5), range(0.05, 0.3), range(0.05, 0.4)];
        let skin = [range(0.9, 1.0), range(0.75, 0.85), range(0.65, 0.75)];
        let ground = [range(0.6, 1.0), range(0.6, 1.0), range(0.6, 1.0)];
        let eye = [range(0.1, 0.3), range(0.2, 0.5), range(0.5, 0.9)];
        let (cx, cy, radius) = (range(0.45, 0.55), range(0.52, 0.6), range(0.24, 0.3));
        let mut planes = vec![0u8; 3 * SIDE * SIDE];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (u, v) = (
                    (x as f64 + 0.5) / SIDE as f64,
                    (y as f64 + 0.5) / SIDE as f64,
                );
                let d = (u - cx).hypot(v - cy) / radius;
                let in_eye = ((u - cx).abs() - 0.1).hypot(v - cy - 0.02) < 0.05;
                let color = if in_eye {
                    eye
                } else if d < 1.0 && v > cy - 0.35 * radius {
                    skin
                } else if d < 1.35 && v < cy + 0.4 * radius {
                    hair
                } else {
                    ground
                };
                let texture = 0.02 * ((x * 7 + y * 3 + seed as usize) % 5) as f64 / 5.0;
                for c in 0..3 {
                    planes[(c * SIDE + y) * SIDE + x] = ((color[c] - texture) * 255.0) as u8;
                }
            }
        }
        planes
    }

    fn tensor(images: Vec<Vec<u8>>) -> Tensor {
        let n = images.len();
        Tensor::from_vec(images.concat(), (n, 3, SIDE, SIDE), &Device::Cpu).unwrap()
    }

    fn drawings(seeds: std::ops::Range<u32>) -> Tensor {
        tensor(seeds.map(drawing).collect())
    }

    /// Generated images, of which every `step`-th is augmented with `category`.
    fn planted(category: Category, step: usize) -> Tensor {
        let mut random = RandomState::new(5);
        let images = images_of(&drawings(5000..5300)).unwrap();
        let images = images.iter().enumerate().map(|(i, image)| {
            let image = if i % step == 0 {
                transform(image, category, &mut random)
            } else {
                image.clone()
            };
            image
                .values
                .iter()
                .map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8)
                .collect()
        });
        tensor(images.collect())
    }

    #[test]
    fn a_planted_leak_is_named_and_a_clean_set_stays_silent() {
        let meter = LeakMeter::new(&drawings(0..400), &mut RandomState::new(0)).unwrap();
        let found = |fakes: &Tensor| -> Vec<Category> {
            let leaks = meter.measure(fakes, None).unwrap();
            leaks
                .iter()
                .filter(|leak| leak.shows)
                .map(|leak| leak.category)
                .collect()
        };
        assert_eq!(found(&drawings(9000..9300)), []);
        for category in Category::ALL {
            assert_eq!(found(&planted(category, 3)), [category], "one in three");
        }
        let turned = planted(Category::Orientation, 3);
        let leaks = meter.measure(&turned, None).unwrap();
        assert!((leaks[0].share - 0.333).abs() < 0.15, "{:?}", leaks[0]);
        // An effect that the baseline shows to the same degree is not a leak.
        let leaks = meter.measure(&turned, Some(&turned)).unwrap();
        assert!(leaks.iter().all(|leak| !leak.shows), "{leaks:?}");
    }

    #[test]
    fn too_few_images_are_an_error() {
        let few = drawings(0..10);
        assert!(LeakMeter::new(&few, &mut RandomState::new(0)).is_err());
    }
}
