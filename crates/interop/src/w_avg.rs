//! Estimates `w_avg`, the average of `w`, for files without one.

use indexmap::IndexMap;

use crate::error::{Error, Result, layout};
use crate::tensor::Tensor;

/// Number of random latents `z` whose `w` are averaged, as in programs that compute the average when they load a file.
pub(crate) const SAMPLES: usize = 4096;

/// Largest number of weights of a mapping network; 8 layers of width 512 have 2 million.
const LARGEST: usize = 16 << 20;

/// Maps [`SAMPLES`] random latents of a fixed seed through the mapping network without labels, and returns the mean `w`
/// as `[w_dim]`. Assumes the activation `lrelu` and the learning rate multiplier 0.01.
///
/// # Errors
/// `Layout` when the `mapping.fc*` tensors are missing or do not fit each other, `Limit` when they are too large.
pub(crate) fn estimate(tensors: &IndexMap<String, Tensor>) -> Result<Tensor> {
    let mut layers = Vec::new();
    let mut width = None;
    let mut total = 0;
    for i in 0.. {
        let Some(weight) = tensors.get(&format!("mapping.fc{i}.weight")) else {
            break;
        };
        let bias = tensors.get(&format!("mapping.fc{i}.bias"));
        let [out, input] = weight.shape[..] else {
            return Err(layout!("mapping.fc{i}.weight is no matrix"));
        };
        let bias = bias
            .filter(|b| b.len() == out)
            .ok_or_else(|| layout!("mapping.fc{i}.bias does not fit its weight"))?;
        if out == 0 || input == 0 || width.is_some_and(|w| w != input) {
            return Err(layout!(
                "mapping.fc{i}.weight does not follow the layer before it"
            ));
        }
        total += out * input;
        if total > LARGEST {
            return Err(Error::Limit {
                what: "size of the mapping network",
                limit: LARGEST as u64,
            });
        }
        width = Some(out);
        let gain = 0.01 / (input as f32).sqrt();
        let weight: Vec<f32> = weight.to_f32().iter().map(|w| w * gain).collect();
        let bias: Vec<f32> = bias.to_f32().iter().map(|b| b * 0.01).collect();
        layers.push((weight, bias, input));
    }
    let Some((_, _, z_dim)) = layers.first() else {
        return Err(layout!("the generator has no mapping network"));
    };
    let z_dim = *z_dim;
    let mut sum = vec![0f64; width.unwrap_or(0)];
    let mut rng = SplitMix(0);
    for _ in 0..SAMPLES {
        let mut x: Vec<f32> = (0..z_dim).map(|_| rng.normal() as f32).collect();
        let scale = (x.iter().map(|v| v * v).sum::<f32>() / z_dim as f32 + 1e-8)
            .sqrt()
            .recip();
        x.iter_mut().for_each(|v| *v *= scale);
        for (weight, bias, input) in &layers {
            x = weight
                .chunks_exact(*input)
                .zip(bias)
                .map(|(row, b)| {
                    let v = dot(row, &x) + b;
                    (if v < 0.0 { 0.2 * v } else { v }) * std::f32::consts::SQRT_2
                })
                .collect();
        }
        sum.iter_mut()
            .zip(&x)
            .for_each(|(s, &v)| *s += f64::from(v));
    }
    let mean: Vec<f32> = sum.iter().map(|s| (s / SAMPLES as f64) as f32).collect();
    Tensor::from_f32(vec![mean.len()], &mean)
}

/// Dot product with eight partial sums, which the compiler keeps in one vector register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// A random number generator: Sebastiano Vigna's splitmix64, and the Box-Muller transform for normal numbers. The field
/// is the state, at first the seed.
pub(crate) struct SplitMix(pub u64);

impl SplitMix {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns the next standard normal number.
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_layer_gives_its_bias() {
        let mut tensors = IndexMap::new();
        tensors.insert(
            "mapping.fc0.weight".into(),
            Tensor::from_f32(vec![2, 3], &[0.0; 6]).unwrap(),
        );
        tensors.insert(
            "mapping.fc0.bias".into(),
            Tensor::from_f32(vec![2], &[100.0, -100.0]).unwrap(),
        );
        let w = estimate(&tensors).unwrap().to_f32();
        let root2 = std::f32::consts::SQRT_2;
        assert!(
            (w[0] - root2).abs() < 1e-5 && (w[1] + 0.2 * root2).abs() < 1e-5,
            "{w:?}"
        );
        tensors.insert(
            "mapping.fc1.weight".into(),
            Tensor::from_f32(vec![2, 3], &[0.0; 6]).unwrap(),
        );
        assert!(estimate(&tensors).is_err());
    }

    #[test]
    fn draws_are_normal() {
        let mut rng = SplitMix(0);
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let var = draws.iter().map(|d| d * d).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (var - 1.0).abs() < 0.05,
            "{mean} {var}"
        );
    }
}
