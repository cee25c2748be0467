//! The discriminant: learns from augmented reals, counts among fakes.

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

/// What was found of one category.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct CategoryLeak {
    /// The category.
    pub category: Category,
    /// Estimated share of the fakes that look so, beyond those of the baseline.
    pub share: f64,
    /// How many standard errors the fakes' rate lies above that of the baseline.
    pub significance: f64,
    /// Share of truly augmented reals that would be recognized; below 0.2 the answer is worth little.
    pub power: f64,
    /// Whether the images show it: a share of at least 5 %, 5 standard errors, and power. A leak it is only where the
    /// generator was trained with such an augmentation.
    pub shows: bool,
}

/// Knows a dataset and what its augmented images look like.
pub struct LeakMeter {
    /// Descriptors are shifted and scaled by these.
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// `[dim]` for each category: the direction from plain reals.
    directions: Vec<Vec<f64>>,
    offsets: Vec<f64>,
    /// Scores above this count as seen.
    thresholds: Vec<f64>,
    /// Held-out plain reals that were taken for a category, and how many there were.
    false_hits: Vec<f64>,
    n_held_out: f64,
    /// Held-out augmented reals that were recognized.
    power: Vec<f64>,
}

const MIN_SHARE: f64 = 0.05;
const MIN_SIGNIFICANCE: f64 = 5.0;
const MIN_POWER: f64 = 0.2;
/// Held-out reals that may be taken for a category.
const FALSE_RATE: f64 = 0.01;
const MIN_REALS: usize = 40;

impl LeakMeter {
    /// Learns from real images.
    ///
    /// # Shapes
    /// - `reals`: `u8`, `[n, 1 or 3, height, width]`; a thousand are plenty, fewer than 40 an error
    ///
    /// # Errors
    /// `Images`, `TooFew`.
    pub fn new(reals: &Tensor, random: &mut RandomState) -> Result<Self> {
        let images = images_of(reals)?;
        if images.len() < MIN_REALS {
            return Err(Error::TooFew {
                needed: format!("{MIN_REALS} real images"),
                found: images.len(),
            });
        }
        // Plain reals first, then each category; every image gets draws of its own.
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

        // Scale by the plain reals, so that one ridge serves all descriptors.
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

        // Directions: the shared covariance within classes, and each category's mean from that of plain reals.
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
        // Thresholds from held-out reals.
        let held_out: Vec<Vec<f64>> = classes[0][half..]
            .iter()
            .map(|row| meter.scores(row))
            .collect();
        for k in 0..Category::ALL.len() {
            let mut scores: Vec<f64> = held_out.iter().map(|s| s[k]).collect();
            scores.sort_by(f64::total_cmp);
            let at = ((1.0 - FALSE_RATE) * scores.len() as f64) as usize;
            // Never below the middle between the classes.
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

    /// Asks about fakes. The baseline is held-out reals or, where they are given, fakes of a generator of about the same
    /// age that was trained without the augmentation: an undertrained generator is noisy and blurred by itself.
    ///
    /// # Shapes
    /// - `fakes`, `baseline`: as the reals; a few hundred
    ///
    /// # Errors
    /// `Images`, `TooFew`.
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
                // One hit more on each side keeps the error above zero.
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

    /// Generated images by category, and how many there were.
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

    /// Log odds of each category against plain reals.
    fn scores(&self, row: &[f64]) -> Vec<f64> {
        self.directions
            .iter()
            .zip(&self.offsets)
            .map(|(direction, offset)| dot(direction, row) + offset)
            .collect()
    }

    /// Rows by the category that explains them best, where it is above its threshold.
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
        // An outlier says that it is one, not how far out it is.
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

    /// A face-like drawing: dark hair above, skin in the middle, eyes, a plain ground, a little texture.
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

    /// Every `step`-th fake is augmented.
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
        // What a generator without augmentation shows as well is no leak of another.
        let leaks = meter.measure(&turned, Some(&turned)).unwrap();
        assert!(leaks.iter().all(|leak| !leak.shows), "{leaks:?}");
    }

    #[test]
    fn too_few_images_are_an_error() {
        let few = drawings(0..10);
        assert!(LeakMeter::new(&few, &mut RandomState::new(0)).is_err());
    }
}
