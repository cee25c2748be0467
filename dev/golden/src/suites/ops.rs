//! Golden suite `ops`: results, gradients and second-order gradients of every op.
//!
//! The second order is computed as in training, from the directional derivative of `<out, grad_out>` along `v`, which
//! is `S = sum over inputs of <grad, v>`. The golden `gg.NAME` is the gradient of `S` with respect to the input `NAME`,
//! our backward pass over the tangent; `gg.grad_out` is the gradient with respect to `grad_out`, our tangent.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::Var;
use ops::{
    Activation, BiasActOptions, Dual, Filter, ModulatedConv2dOptions, ResampleOptions,
    UpFirDn2dOptions,
};
use serde_json::Value;

use super::files::json_files;
use super::tensors::{Tensors, flag, mixed_error, number_or, numbers_in, relative_error};
use super::{CaseResult, Results};

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    ops::second_order::self_check()?;
    for (path, root) in json_files(dir)? {
        let Some(cases) = root.get("cases").and_then(Value::as_object) else {
            continue;
        };
        let Some(tensors) = Tensors::beside(&path)? else {
            continue;
        };
        let tolerances = root
            .get("tolerance")
            .and_then(Value::as_str)
            .map(numbers_in)
            .unwrap_or_default();
        let first = tolerances.first().copied().unwrap_or(1e-5);
        let second = tolerances.last().copied().unwrap_or(5e-5);
        let file = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        for (name, case) in cases {
            let errors = check(name, case, &tensors)
                .with_context(|| format!("{}: {name}", path.display()))?;
            for (what, worst, tolerance) in [
                ("", errors.first, first),
                (" second order", errors.second, second),
            ] {
                results.push(CaseResult {
                    suite: "ops".into(),
                    case: format!("{file}.{name}{what}"),
                    worst,
                    tolerance,
                });
            }
        }
    }
    Ok(())
}

struct Errors {
    first: f64,
    second: f64,
}

fn check(name: &str, case: &Value, tensors: &Tensors) -> Result<Errors> {
    let inputs = tensors
        .names_after(&format!("{name}.in."))
        .into_iter()
        .map(str::to_string)
        .collect::<Vec<_>>();
    let vars = inputs
        .iter()
        .map(|input| {
            Ok(Var::from_tensor(
                tensors.need(&format!("{name}.in.{input}"))?,
            )?)
        })
        .collect::<Result<Vec<_>>>()?;
    let grad_out = tensors.need(&format!("{name}.grad_out"))?;
    let mut errors = Errors {
        first: 0.0,
        second: 0.0,
    };

    let plain: Vec<Dual> = vars.iter().map(|var| var.as_tensor().into()).collect();
    let out = apply(case, &inputs, &plain, tensors)?.primal;
    errors.first = mixed_error(out.tensor(), tensors.need(&format!("{name}.out"))?)?;
    let grads = out.backward_from(grad_out)?;
    for (input, var) in inputs.iter().zip(&vars) {
        if let Some(want) = tensors.get(&format!("{name}.grad.{input}")) {
            let got = grads
                .get(var)
                .cloned()
                .map_or_else(|| var.zeros_like(), Ok)?;
            errors.first = errors.first.max(mixed_error(&got, want)?);
        }
    }

    let moving = inputs
        .iter()
        .zip(&vars)
        .map(|(input, var)| Dual {
            primal: var.as_tensor().into(),
            tangent: tensors.get(&format!("{name}.v.{input}")).map(Into::into),
        })
        .collect::<Vec<_>>();
    let tangent = apply(case, &inputs, &moving, tensors)?.tangent_or_zeros()?;
    if let Some(want) = tensors.get(&format!("{name}.gg.grad_out")) {
        errors.second = errors.second.max(relative_error(tangent.tensor(), want)?);
    }
    let grads = tangent.backward_from(grad_out)?;
    let zero = case
        .get("zero_gg")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for (input, var) in inputs.iter().zip(&vars) {
        let got = grads
            .get(var)
            .cloned()
            .map_or_else(|| var.zeros_like(), Ok)?;
        match tensors.get(&format!("{name}.gg.{input}")) {
            Some(want) => errors.second = errors.second.max(relative_error(&got, want)?),
            None if zero.iter().any(|z| z == input.as_str()) => {
                errors.second = errors.second.max(relative_error(&got, &got.zeros_like()?)?);
            }
            None => {}
        }
    }
    Ok(errors)
}

/// Applies the op of a case, which is recognized by its arguments.
fn apply(case: &Value, names: &[String], inputs: &[Dual], tensors: &Tensors) -> Result<Dual> {
    let input = |name: &str| names.iter().position(|n| n == name).map(|i| &inputs[i]);
    let need = |name: &str| input(name).with_context(|| format!("no input '{name}'"));
    let filter = |key: &str| -> Result<Option<Filter>> {
        match case.get(key).and_then(Value::as_str) {
            None | Some("none") => Ok(None),
            Some(name) => Ok(Some(Filter::from_tensor(
                tensors.need(&format!("filter.{name}"))?,
            )?)),
        }
    };
    if case.get("act").is_some() {
        let options = BiasActOptions {
            activation: case["act"]
                .as_str()
                .unwrap_or_default()
                .parse::<Activation>()
                .map_err(anyhow::Error::msg)?,
            alpha: case.get("alpha").and_then(Value::as_f64),
            gain: case.get("gain").and_then(Value::as_f64),
            clamp: case.get("clamp").and_then(Value::as_f64),
            dim: number_or(case, "dim", 1.0) as usize,
        };
        return Ok(need("x")?.bias_act(input("b"), &options)?);
    }
    let op = case.get("op").and_then(Value::as_str);
    let up = pair(case, "up", if op == Some("upsample2d") { 2 } else { 1 })?;
    let down = pair(case, "down", if op == Some("downsample2d") { 2 } else { 1 })?;
    let padding = padding(case)?;
    let flip_filter = flag(case, "flip_filter");
    let gain = number_or(case, "gain", 1.0);
    if case.get("demodulate").is_some() {
        let filter = filter("filter")?;
        let options = ModulatedConv2dOptions {
            up: up[0],
            down: down[0],
            padding,
            filter: filter.as_ref(),
            demodulate: flag(case, "demodulate"),
            flip_weight: flag(case, "flip_weight"),
        };
        return Ok(need("x")?.modulated_conv2d(
            need("weight")?,
            need("styles")?,
            input("noise"),
            &options,
        )?);
    }
    if case.get("ks").is_some() {
        let options = ResampleOptions {
            up: up[0],
            down: down[0],
            padding,
            groups: number_or(case, "groups", 1.0) as usize,
            flip_weight: flag(case, "flip_weight"),
            flip_filter,
            gain,
        };
        return Ok(need("x")?.conv2d_resample(need("w")?, filter("f")?.as_ref(), &options)?);
    }
    let filter = filter("filter")?.unwrap_or(Filter::identity());
    let x = need("x")?;
    Ok(match op {
        Some("upfirdn2d") => x.upfirdn2d(
            &filter,
            &UpFirDn2dOptions {
                up,
                down,
                padding,
                flip_filter,
                gain,
            },
        )?,
        Some(op) => {
            let mut options = match op {
                "filter2d" => UpFirDn2dOptions::filtering(&filter, padding),
                "upsample2d" => UpFirDn2dOptions::upsampling(&filter, up, padding),
                "downsample2d" => UpFirDn2dOptions::downsampling(&filter, down, padding),
                other => bail!("no op is called {other:?}"),
            };
            options.flip_filter = flip_filter;
            options.gain *= gain;
            x.upfirdn2d(&filter, &options)?
        }
        None => bail!("the case names no op"),
    })
}

fn integers(case: &Value, key: &str) -> Result<Vec<isize>> {
    match case.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .iter()
            .map(|v| {
                v.as_i64()
                    .map(|v| v as isize)
                    .with_context(|| format!("{key}: {v}"))
            })
            .collect(),
        Some(value) => Ok(vec![
            value.as_i64().with_context(|| format!("{key}: {value}"))? as isize,
        ]),
    }
}

/// The value of a factor for both axes, `[x, y]`: given as one number or two; `default` if it is missing.
fn pair(case: &Value, key: &str, default: usize) -> Result<[usize; 2]> {
    Ok(match integers(case, key)?.as_slice() {
        [] => [default; 2],
        &[both] => [both as usize; 2],
        &[x, y] => [x as usize, y as usize],
        other => bail!("{key}: {other:?}"),
    })
}

/// The padding `[left, right, top, bottom]`: given as one number, `[x, y]` or all four.
fn padding(case: &Value) -> Result<[isize; 4]> {
    Ok(match integers(case, "padding")?.as_slice() {
        [] => [0; 4],
        &[all] => [all; 4],
        &[x, y] => [x, x, y, y],
        &[left, right, top, bottom] => [left, right, top, bottom],
        other => bail!("padding: {other:?}"),
    })
}
