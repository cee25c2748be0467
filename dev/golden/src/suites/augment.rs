//! Golden suite `augment`: the augmentation pipe at fixed percentiles, with recorded random numbers, and its
//! statistics.
//!
//! A file has one of three forms. Cases with `percentile` hold output and input gradient at one percentile; cases with
//! `rng_calls` hold the same for recorded random numbers; a file with `stats` holds moments of the drawn parameters.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use augment::{
    AugPipe, AugmentParams, AugmentPipe, Augmentation, BatchShape, Distribution, Draw, Recorded,
    Replay, Transform,
};
use candle_core::{Tensor, Var};
use ops::Dual;
use rng::RandomState;
use serde_json::Value;

use super::files::{json_files, numbers};
use super::tensors::device;
use super::{CaseResult, Results};

/// The absolute tolerance of images without geometric transforms.
const TOLERANCE: f64 = 1e-5;
/// The absolute tolerance of images with geometric transforms, which resample pixels.
const WARP_TOLERANCE: f64 = 1e-4;
/// The absolute tolerance of the entries of `theta`, the matrix of the affine grid.
const THETA_TOLERANCE: f64 = 2e-6;
/// The tolerance of a statistic, in standard errors.
const STANDARD_ERRORS: f64 = 5.0;

/// The name, largest error and tolerance of a comparison.
type Outcome = (String, f64, f64);
type Tensors = HashMap<String, Tensor>;

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let of_file = || -> Result<Vec<Outcome>> {
            if root.get("stats").is_some() {
                return statistics(&root);
            }
            let Some(cases) = root.get("cases").and_then(Value::as_object) else {
                return Ok(Vec::new());
            };
            let tensors =
                candle_core::safetensors::load(path.with_extension("safetensors"), device())?;
            let mut of_cases = Vec::new();
            for (name, case) in cases {
                let result = one_case(name, case, &tensors);
                of_cases.extend(result.with_context(|| format!("case '{name}'"))?);
            }
            Ok(of_cases)
        };
        let of_file = of_file().with_context(|| format!("'{}'", path.display()))?;
        results.extend(
            of_file
                .into_iter()
                .map(|(case, worst, tolerance)| CaseResult {
                    suite: "augment".to_owned(),
                    case: format!("{stem}/{case}"),
                    worst,
                    tolerance,
                }),
        );
    }
    Ok(())
}

fn one_case(name: &str, case: &Value, tensors: &Tensors) -> Result<Vec<Outcome>> {
    let tensor = |name: &str| {
        let tensor = tensors.get(name);
        tensor.with_context(|| format!("tensor '{name}' is missing"))
    };
    let images = tensor("images")?;
    let shape = BatchShape::of(images)?;
    let (pipe, params) = if let Some(percentile) = case.get("percentile") {
        let percentile = percentile.as_f64().context("no percentile")?;
        let pipe = settings(&case["kwargs"])?;
        let noise = match tensors.get(&format!("{name}.noise_unit")) {
            Some(noise) => vec![(Distribution::Normal, values(noise)?)],
            None => Vec::new(),
        };
        let mut replay = Replay::new(&noise);
        let params = pipe.at_percentile(&mut replay, percentile, shape)?;
        ensure!(replay.is_finished(), "the noise was not drawn");
        (pipe, params)
    } else {
        let draws = recorded(name, case, tensors)?;
        let pipe = settings(&case["multipliers"])?;
        let mut replay = Replay::new(&draws);
        let params = pipe.draw(&mut replay, case["p"].as_f64().context("no p")?, shape)?;
        ensure!(replay.is_finished(), "fewer numbers were drawn");
        (pipe, params)
    };
    let (mut results, augmentation) = compare(name, &pipe, params, images, tensors)?;
    if let Some(expected) = case.get("theta0_2x3")
        && is_margin_of(&case["reflect_pads"], &augmentation)?
    {
        results.push(theta_error(name, expected, &augmentation)?);
    }
    Ok(results)
}

/// The pipe of a case: a list of transforms, or a map of strengths and of ranges that differ from the defaults.
fn settings(value: &Value) -> Result<AugmentPipe> {
    let mut transforms = AugPipe::default();
    let mut ranges = serde_json::Map::new();
    match value {
        Value::Array(names) => {
            for name in names {
                let name = name.as_str().context("a transform without a name")?;
                transforms = transforms.with(transform(name)?, 1.0)?;
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                match transform(name) {
                    Ok(transform) => {
                        let strength = value.as_f64().context("a strength is no number")?;
                        transforms = transforms.with(transform, strength)?;
                    }
                    Err(_) => {
                        ranges.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        other => bail!("{other} are no transforms"),
    }
    let ranges = serde_json::from_value(ranges.into())?;
    Ok(AugmentPipe { transforms, ranges })
}

fn transform(name: &str) -> Result<Transform> {
    let transform = Transform::ALL.into_iter().find(|t| t.name() == name);
    transform.with_context(|| format!("'{name}' is no transform"))
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// The recorded random numbers, in the order of the calls.
fn recorded(name: &str, case: &Value, tensors: &Tensors) -> Result<Vec<Recorded>> {
    let calls = case["rng_calls"].as_array().context("no rng_calls")?;
    let call = |(i, call): (usize, &Value)| {
        let kind = call[0].as_str().context("a call without a name")?;
        let distribution = match kind {
            "rand" => Distribution::Uniform,
            "randn" => Distribution::Normal,
            other => bail!("unknown call '{other}'"),
        };
        let key = format!("{name}.rng{i:02}.{kind}");
        let drawn = tensors
            .get(&key)
            .with_context(|| format!("'{key}' is missing"))?;
        Ok((distribution, values(drawn)?))
    };
    calls.iter().enumerate().map(call).collect()
}

/// Compares output and input gradient with the recorded ones.
fn compare(
    name: &str,
    pipe: &AugmentPipe,
    params: AugmentParams,
    images: &Tensor,
    tensors: &Tensors,
) -> Result<(Vec<Outcome>, Augmentation)> {
    let augmentation = Augmentation::new(params)?;
    let tensor = |key: String| {
        let tensor = tensors.get(&key);
        tensor.with_context(|| format!("tensor '{key}' is missing"))
    };
    let x = Var::from_tensor(images)?;
    let y = augmentation.apply(&Dual::from(x.as_tensor()))?.primal;
    let grads = y.backward_from(tensor("grad_out".to_owned())?)?;
    let gradient = grads.get(&x).context("no gradient reaches the images")?;

    let is_filter = pipe.transforms.strength(Transform::ImgFilter) > 0.0;
    let mut results = Vec::new();
    for (what, got) in [("out", y.tensor()), ("grad_in", gradient)] {
        let expected = tensor(format!("{name}.{what}"))?;
        ensure!(got.dims() == expected.dims(), "{what} is {:?}", got.dims());
        let expected = values(expected)?;
        let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let worst = worst(values(got)?.iter().copied(), expected.iter().copied());
        // Images after the image filter are compared relative to their largest value.
        let scale = if is_filter {
            f64::from(largest).max(1.0)
        } else {
            1.0
        };
        let tolerance = if augmentation.margin().is_some() {
            WARP_TOLERANCE
        } else {
            TOLERANCE
        };
        results.push((format!("{name}.{what}"), worst / scale, tolerance));
    }
    Ok((results, augmentation))
}

/// The largest absolute difference; a NaN gives infinity.
fn worst(a: impl Iterator<Item = f32>, b: impl Iterator<Item = f32>) -> f64 {
    a.zip(b)
        .map(|(a, b)| f64::from(a - b).abs())
        .fold(
            0.0,
            |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) },
        )
}

/// Whether the margin is the recorded one. Rounding may make ours one pixel larger, which changes `theta` but no image.
fn is_margin_of(pads: &Value, augmentation: &Augmentation) -> Result<bool> {
    let first = pads.get(0).context("no reflect_pads")?;
    let margin = augmentation.margin().context("a grid, but no geometry")?;
    Ok(numbers(first)? == margin.map(|side| side as f64))
}

/// The largest error of `theta` for the first image.
fn theta_error(name: &str, expected: &Value, augmentation: &Augmentation) -> Result<Outcome> {
    let rows = expected.as_array().context("theta is no matrix")?;
    let expected: Vec<Vec<f64>> = rows.iter().map(numbers).collect::<Result<_>>()?;
    let name = format!("{name}.theta");
    // We skip the warp where NVIDIA's map is the identity, up to a scale for the margin: its other entries must be 0.
    let Some(theta) = augmentation.theta(0) else {
        let off = expected[0][1].abs()
            + expected[1][0].abs()
            + expected[0][2].abs()
            + expected[1][2].abs();
        return Ok((name, off, THETA_TOLERANCE));
    };
    let got = theta.as_flattened().iter().copied();
    let error = worst(got, expected.iter().flatten().map(|v| *v as f32));
    Ok((name, error, THETA_TOLERANCE))
}

/// Moments of drawn parameters compared with NVIDIA's, in standard errors of the difference.
fn statistics(root: &Value) -> Result<Vec<Outcome>> {
    let n = root["n"].as_u64().context("no n")? as usize;
    let p = root["p"].as_f64().context("no p")?;
    let stats = root["stats"].as_object().context("no stats")?;
    let shape = BatchShape {
        batch: n,
        channels: 3,
        height: 2,
        width: 2,
    };
    let mut results = Vec::new();
    for (name, entries) in stats {
        let transform = transform(name)?;
        let pipe = AugmentPipe::from(AugPipe::default().with(transform, 1.0)?);
        let params = pipe.draw(&mut RandomState::new(0), p, shape)?;
        let entries = entries.as_array().context("no list of statistics")?;
        let draws: Vec<&Draw> = params.of(transform).collect();
        ensure!(
            draws.len() == entries.len(),
            "'{name}' draws {} parameters, not {}",
            draws.len(),
            entries.len()
        );
        for (i, (draw, entry)) in draws.into_iter().zip(entries).enumerate() {
            let errors = standard_errors(draw, entry).with_context(|| format!("'{name}'"))?;
            results.push((format!("{name}.{i}"), errors, STANDARD_ERRORS));
        }
    }
    Ok(results)
}

/// The largest difference of all statistics of one parameter, in standard errors.
fn standard_errors(draw: &Draw, expected: &Value) -> Result<f64> {
    let n = draw.gates.len() as f64;
    let identity = match draw.transform {
        Transform::Scale
        | Transform::Aniso
        | Transform::Contrast
        | Transform::Saturation
        | Transform::ImgFilter => 1.0,
        _ => 0.0,
    };
    let open = |image: &usize| draw.gates[*image];
    let images: Vec<usize> = (0..draw.gates.len()).filter(open).collect();
    let changed = images
        .iter()
        .filter(|&&image| draw.of(image).iter().any(|v| *v != identity));
    let number = |key: &str| expected[key].as_f64().with_context(|| format!("no {key}"));
    let mut worst: f64 = 0.0;

    // The fraction of images with an open gate, and with a changed parameter.
    for (key, count) in [
        ("gate_fraction", images.len()),
        ("changed_fraction", changed.count()),
    ] {
        let fraction = count as f64 / n;
        let error = (2.0 * fraction * (1.0 - fraction) / n).sqrt();
        worst = worst.max(ratio(fraction - number(key)?, error));
    }

    // Moments over the images with an open gate.
    for component in 0..draw.components {
        let sample: Vec<f64> = images
            .iter()
            .map(|&image| f64::from(draw.of(image)[component]))
            .collect();
        let at = |key: &str| -> Result<Option<f64>> {
            if expected[key].is_null() {
                return Ok(None);
            }
            let numbers = numbers(&expected[key])?;
            let value = numbers.get(component).copied();
            Ok(Some(value.with_context(|| format!("{key} is too short"))?))
        };
        let moments = Moments::of(&sample);
        if let Some(mean) = at("mean_when_gated")? {
            worst = worst.max(ratio(moments.mean - mean, moments.mean_error));
        }
        if let Some(std) = at("std_when_gated")? {
            worst = worst.max(ratio(moments.std - std, moments.std_error));
        }
        if let Some(std) = at("log2_std_when_gated")? {
            let logs: Vec<f64> = sample.iter().map(|v| v.log2()).collect();
            let moments = Moments::of(&logs);
            worst = worst.max(ratio(moments.std - std, moments.std_error));
        }
    }

    // For two samples of the same distribution, k values of one are beyond the extreme of the other with probability
    // 2^-k.
    let (low, high) = (number("min")?, number("max")?);
    for beyond in [|v: f64, low: f64, _: f64| v < low, |v, _, high| v > high] {
        let values = images.iter().flat_map(|&image| draw.of(image));
        let count = values
            .filter(|v| beyond(f64::from(**v), low - 1e-6, high + 1e-6))
            .count();
        let as_likely = (1.0 + 2.0 * count as f64 * std::f64::consts::LN_2).sqrt() - 1.0;
        worst = worst.max(as_likely);
    }
    Ok(worst)
}

/// A difference in standard errors; 0 below 1e-6, so that constants can be compared.
fn ratio(difference: f64, error: f64) -> f64 {
    if difference.abs() < 1e-6 {
        0.0
    } else {
        difference.abs() / error
    }
}

/// Mean and standard deviation of a sample, with the standard errors of their difference to those of an equal sample.
struct Moments {
    mean: f64,
    std: f64,
    mean_error: f64,
    std_error: f64,
}

impl Moments {
    fn of(sample: &[f64]) -> Self {
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        let central = |power| sample.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
        let (variance, fourth) = (central(2), central(4));
        let std = variance.sqrt();
        Moments {
            mean,
            std,
            mean_error: std * (2.0 / n).sqrt(),
            std_error: ((fourth - variance * variance).max(0.0) / (2.0 * n)).sqrt() / std,
        }
    }
}
