//! Inception score (arXiv:1606.03498).

use crate::error::{Error, Result};
use feature_networks::Features;

/// Inception score: `exp(E KL(p(y|x) || p(y)))` of each of `num_splits` consecutive parts of the images. Returns the
/// mean and the population standard deviation (divisor `num_splits`) of these values.
///
/// `probs` is the softmax of the network's logits without their bias, `[n, classes]`.
///
/// # Errors
/// `TooFew` with fewer images than splits.
pub fn inception_score(probs: &Features, num_splits: usize) -> Result<(f64, f64)> {
    let n = probs.len();
    if num_splits == 0 || n < num_splits {
        return Err(Error::TooFew {
            metric: "is".into(),
            needed: format!("{num_splits} images"),
            found: n.to_string(),
        });
    }
    let scores: Vec<f64> = (0..num_splits)
        .map(|i| score(probs, i * n / num_splits, (i + 1) * n / num_splits))
        .collect();
    let mean = scores.iter().sum::<f64>() / num_splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / num_splits as f64;
    Ok((mean, variance.sqrt()))
}

fn score(probs: &Features, from: usize, to: usize) -> f64 {
    let n = (to - from) as f64;
    let mut marginal = vec![0.0f64; probs.dim()];
    for i in from..to {
        for (sum, &p) in marginal.iter_mut().zip(probs.row(i)) {
            *sum += f64::from(p) / n;
        }
    }
    let divergence: f64 = (from..to)
        .flat_map(|i| probs.row(i).iter().zip(&marginal))
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, q)| f64::from(*p) * (f64::from(*p).ln() - q.ln()))
        .sum();
    (divergence / n).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_and_even_answers_score_the_number_of_classes() {
        let mut values = vec![0.0; 40 * 4];
        for i in 0..40 {
            values[i * 4 + i % 4] = 1.0;
        }
        let sure = Features::from_rows(4, values).unwrap();
        let (mean, std) = inception_score(&sure, 10).unwrap();
        assert!((mean - 4.0).abs() < 1e-9 && std < 1e-9, "{mean} {std}");
        let unsure = Features::from_rows(4, vec![0.25; 160]).unwrap();
        assert!((inception_score(&unsure, 10).unwrap().0 - 1.0).abs() < 1e-9);
        assert!(inception_score(&unsure.first(5), 10).is_err());
    }
}
