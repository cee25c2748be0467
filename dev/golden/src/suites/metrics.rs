//! Golden suite `metrics`: FID, KID, precision and recall, and inception score of stored features.
//!
//! The JSON field `expected` holds the cases, and the safetensors file their features (`<case>.real`, `.gen`,
//! `.kid_idx_*`, `is.probs`).

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use feature_networks::Features;
use metrics::{Covariance, FeatureStats, Rounding};
use serde_json::Value;

use super::files::{json_files, numbers};
use super::tensors::Tensors;
use super::{CaseResult, Results};

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let Some(expected) = root.get("expected").and_then(Value::as_object) else {
            continue;
        };
        let tensors = Tensors::beside(&path)?.context("no safetensors file beside it")?;
        for (name, expected) in expected {
            let cases = if name == "is" {
                scores(&tensors, expected)
            } else {
                distances(&tensors, name, expected)
            };
            let cases = cases.with_context(|| format!("'{}': case '{name}'", path.display()))?;
            results.extend(
                cases
                    .into_iter()
                    .map(|(what, worst, tolerance)| CaseResult {
                        suite: "metrics".to_owned(),
                        case: format!("{name}.{what}"),
                        worst,
                        tolerance,
                    }),
            );
        }
    }
    Ok(())
}

type Cases = Vec<(String, f64, f64)>;

fn features(tensor: &Tensor) -> Result<Features> {
    let (_, dim) = tensor.dims2()?;
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(Features::from_rows(dim, values)?)
}

fn scores(tensors: &Tensors, expected: &Value) -> Result<Cases> {
    let probs = features(tensors.need("is.probs")?)?;
    let softmax = feature_networks::inception::softmax(&features(tensors.need("is.logits")?)?);
    let mut cases = Vec::new();
    for (name, want) in expected.as_object().context("no scores")? {
        let splits = name.trim_start_matches("splits").parse()?;
        let want = numbers(want)?;
        for (source, probs) in [("probs", &probs), ("logits", &softmax)] {
            let (mean, std) = metrics::inception_score(probs, splits)?;
            let worst = (mean - want[0]).abs().max((std - want[1]).abs());
            cases.push((format!("{name}.{source}"), worst, 1e-5));
        }
    }
    Ok(cases)
}

fn distances(tensors: &Tensors, name: &str, expected: &Value) -> Result<Cases> {
    let number = |key: &str| {
        let number = expected[key].as_f64();
        number.with_context(|| format!("no number '{key}'"))
    };
    let get = |part: &str| tensors.need(&format!("{name}.{part}"));
    let (real, fake) = (features(get("real")?)?, features(get("gen")?)?);
    let mut cases = Cases::new();
    let mut add = |what: &str, worst: f64, tolerance: f64| {
        cases.push((what.to_owned(), worst, tolerance));
    };

    // FID. With a singular covariance, the general matrix square root of NVIDIA's code has large rounding errors.
    let gaussian = |f: &Features| FeatureStats::of(f)?.gaussian(Covariance::Population);
    let (of_real, of_fake) = (gaussian(&real)?, gaussian(&fake)?);
    let fid = metrics::fid(&of_real, &of_fake)?;
    let is_singular = real.len().min(fake.len()) <= real.dim();
    let want = number("fid")?;
    let tolerance = if is_singular { 1e-3 } else { 1e-6 * want };
    add("fid", (fid - want).abs(), tolerance);
    let fid_self = metrics::fid(&of_real, &of_real)?;
    add(
        "fid_self",
        (fid_self - number("fid_self")?).abs(),
        1e-9 * of_real.trace(),
    );
    for (i, mean) in numbers(&expected["mean_real_first4"])?
        .into_iter()
        .enumerate()
    {
        add(&format!("mean_{i}"), (of_real.mean()[i] - mean).abs(), 1e-9);
    }
    let (trace, entry) = (number("cov_real_trace")?, number("cov_real_0_1")?);
    add("cov_trace", (of_real.trace() - trace).abs(), 1e-9 * trace);
    add("cov_0_1", (of_real.covariance(0, 1) - entry).abs(), 1e-9);

    // KID, relative to the value or to 1, the size of its f32 terms, whichever is larger.
    let m = number("kid_all_m")? as usize;
    let kid = metrics::squared_mmd(&real.first(m), &fake.first(m))?;
    let want = number("kid_prefix_m")?;
    add("kid_prefix", (kid - want).abs(), 1e-5 * want.abs().max(1.0));
    let subsets =
        |part: &str| -> Result<Vec<Vec<i64>>> { Ok(get(part)?.to_dtype(DType::I64)?.to_vec2()?) };
    let (of_real, of_fake) = (subsets("kid_idx_real")?, subsets("kid_idx_gen")?);
    let mut sum = 0.0;
    for (r, f) in of_real.iter().zip(&of_fake) {
        let rows = |indices: &[i64]| indices.iter().map(|&i| i as usize).collect::<Vec<_>>();
        sum += metrics::squared_mmd(&real.pick(&rows(r)), &fake.pick(&rows(f)))?;
    }
    let want = number("kid_given_subsets")?;
    let kid = sum / of_real.len() as f64;
    add(
        "kid_subsets",
        (kid - want).abs(),
        1e-5 * want.abs().max(1.0),
    );

    // Precision and recall are exact, except that NVIDIA's code divides in f32.
    for (key, rounding) in [("pr_k3_f32", Rounding::None), ("pr_k3_f16", Rounding::Half)] {
        let got = metrics::precision_recall(&real, &fake, 3, rounding)?;
        for (part, got) in [("precision", got.precision), ("recall", got.recall)] {
            let want = expected[key][part]
                .as_f64()
                .context("no precision or recall")?;
            add(&format!("{key}.{part}"), (got - want).abs(), 1e-6);
        }
    }
    Ok(cases)
}
