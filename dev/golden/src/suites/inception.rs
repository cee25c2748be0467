//! Golden suite `inception`: features of the FID network with seeded weights.
//!
//! The safetensors file holds the images `images64_u8` and, for each image size, `r<size>.<tap>`, `.logits`,
//! `.logits_unbiased` and `.softmax_unbiased`. Images of other sizes are computed by the formula in the JSON file.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use feature_networks::Features;
use feature_networks::inception::{Inception, InceptionOptions, SeededWeights, Tap, softmax};

use super::files::json_files;
use super::tensors::{Tensors, relative_error};
use super::{CaseResult, Results};

/// The number of images per batch; it must not affect the results.
const BATCH: usize = 3;

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        if root.get("image_formula").is_none() {
            continue;
        }
        let tensors = Tensors::beside(&path)?.context("no safetensors file beside it")?;
        let formula = SeededWeights {
            seed: None,
            normalization: true,
        };
        for (tap, name) in [
            (Tap::F64, "64"),
            (Tap::F192, "192"),
            (Tap::F768, "768"),
            (Tap::F2048, "2048"),
        ] {
            let options = InceptionOptions { tap, side: 299 };
            let network = Inception::seeded(formula, options)?;
            for resolution in [64, 299, 512] {
                let prefix = format!("r{resolution}");
                let Some(want) = tensors.get(&format!("{prefix}.{name}")) else {
                    continue;
                };
                // Earlier taps are checked with few images, as the last tap depends on all of them.
                let n = if tap == Tap::F2048 {
                    want.dim(0)?
                } else {
                    want.dim(0)?.min(2)
                };
                let images = images(&tensors, resolution, n)?;
                let (features, logits) = extract(&network, &images)?;
                let mut check = |what: &str, got: &Tensor| -> Result<()> {
                    if let Some(want) = tensors.get(&format!("{prefix}.{what}")) {
                        results.push(CaseResult {
                            suite: "inception".to_owned(),
                            case: format!("{prefix}.{what}"),
                            worst: relative_error(got, &want.narrow(0, 0, n)?)?,
                            tolerance: 1e-4,
                        });
                    }
                    Ok(())
                };
                check(name, &tensor(&features)?)?;
                if let Some(logits) = logits {
                    let unbiased = tensor(&logits)?;
                    let bias = Tensor::new(network.classifier_bias(), &Device::Cpu)?;
                    check("logits_unbiased", &unbiased)?;
                    check("logits", &unbiased.broadcast_add(&bias)?)?;
                    check("softmax_unbiased", &tensor(&softmax(&logits))?)?;
                }
            }
        }
    }
    Ok(())
}

fn extract(network: &Inception, images: &Tensor) -> Result<(Features, Option<Features>)> {
    let n = images.dim(0)?;
    let mut all: Option<(Features, Option<Features>)> = None;
    for start in (0..n).step_by(BATCH) {
        let batch = images.narrow(0, start, BATCH.min(n - start))?;
        let output = network.extract(&batch)?;
        match &mut all {
            None => all = Some((output.features, output.logits_unbiased)),
            Some((features, logits)) => {
                features.append(&output.features)?;
                if let (Some(logits), Some(more)) = (logits, output.logits_unbiased) {
                    logits.append(&more)?;
                }
            }
        }
    }
    all.context("no images")
}

fn tensor(features: &Features) -> Result<Tensor> {
    let shape = (features.len(), features.dim());
    Ok(Tensor::from_slice(features.values(), shape, &Device::Cpu)?)
}

/// The first `n` images of a size: the stored ones, or those that the formula gives.
fn images(tensors: &Tensors, resolution: usize, n: usize) -> Result<Tensor> {
    if let Some(stored) = tensors.get(&format!("images{resolution}_u8")) {
        return Ok(stored.narrow(0, 0, n)?);
    }
    let block = (resolution / 16).max(1);
    let mut values = Vec::with_capacity(n * 3 * resolution * resolution);
    for i in 0..n {
        for c in 0..3 {
            for y in 0..resolution {
                for x in 0..resolution {
                    let seed = (i * 3 + c) * 65_536 + (y / block) * 256 + x / block;
                    let noise =
                        (mix64((seed as u64).wrapping_add(0x9E37_79B9_7F4A_7C15)) >> 56) as usize;
                    let gradient =
                        ((x * (i + 1) * 256) / resolution + (y * (c + 1) * 256) / resolution) % 256;
                    let is_even = (x * 8 / resolution + y * 8 / resolution).is_multiple_of(2);
                    values.push(match i % 4 {
                        0 => noise,
                        1 => gradient,
                        2 => (noise + gradient) / 2,
                        _ if is_even => noise / 2,
                        _ => 255 - gradient / 2,
                    } as u8);
                }
            }
        }
    }
    Ok(Tensor::from_vec(
        values,
        (n, 3, resolution, resolution),
        &Device::Cpu,
    )?)
}

fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
