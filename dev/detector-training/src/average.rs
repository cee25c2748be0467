//! The weighted mean of the weights of two models.
//!
//! When one model was trained further from the other, their weights are near enough to be averaged, and the mean is
//! often better than both (Wortsman et al. 2022, "Model soups").

use std::path::Path;

use anyhow::{Context, Result, ensure};
use half::f16;
use safetensors::{Dtype, SafeTensors};

use crate::network::serialized;

/// Writes `(1 - share) * first + share * second` to `out`, for two files of exported weights.
///
/// Both files must have f16 tensors of the same names and shapes.
pub fn run(first: &Path, second: &Path, share: f64, out: &Path) -> Result<()> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (first_bytes, second_bytes) = (read(first)?, read(second)?);
    let mean = mean(&first_bytes, &second_bytes, share)
        .with_context(|| format!("no mean of {} and {}", first.display(), second.display()))?;
    files::write_bytes(out, &mean).with_context(|| format!("cannot write {}", out.display()))
}

fn mean(first: &[u8], second: &[u8], share: f64) -> Result<Vec<u8>> {
    files::check_safetensors(first).context("the first")?;
    files::check_safetensors(second).context("the second")?;
    let (first, second) = (
        SafeTensors::deserialize(first)?,
        SafeTensors::deserialize(second)?,
    );
    ensure!(
        first.len() == second.len(),
        "one has {} tensors, the other {}",
        first.len(),
        second.len()
    );
    let mut packed = Vec::new();
    for (name, a) in first.iter() {
        let b = second.tensor(name)?;
        ensure!(
            a.dtype() == Dtype::F16 && b.dtype() == Dtype::F16 && a.shape() == b.shape(),
            "{name} is not f16 of one shape in both"
        );
        let bytes = halves(a.data())
            .zip(halves(b.data()))
            .flat_map(|(a, b)| {
                f16::from_f32((1.0 - share) as f32 * a + share as f32 * b).to_le_bytes()
            })
            .collect();
        packed.push((name.to_string(), a.shape().to_vec(), bytes));
    }
    serialized(&packed, Dtype::F16)
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .chunks_exact(2)
        .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, values: &[f32]) -> Vec<u8> {
        let bytes = values
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        serialized(&[(name.to_string(), vec![values.len()], bytes)], Dtype::F16).unwrap()
    }

    #[test]
    fn the_share_is_that_of_the_second_file() {
        let (a, b) = (file("w", &[0.0, 8.0]), file("w", &[4.0, -8.0]));
        assert_eq!(mean(&a, &b, 0.25).unwrap(), file("w", &[1.0, 4.0]));
        assert_eq!(mean(&a, &b, 0.0).unwrap(), a);
        assert_eq!(mean(&a, &b, 1.0).unwrap(), b);
    }

    #[test]
    fn files_of_other_networks_have_no_mean() {
        let a = file("w", &[0.0, 8.0]);
        for other in [file("v", &[0.0, 8.0]), file("w", &[0.0]), vec![1, 2, 3]] {
            assert!(mean(&a, &other, 0.5).is_err());
        }
    }
}
