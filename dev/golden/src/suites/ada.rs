//! Golden suite `ada`: traces of the controller of the augmentation probability p.
//!
//! A file holds `traces`. Each row of a trace is an iteration with the signs that were reported. Rows in which the
//! controller updates p also have `mean_sign`, `adjust` and `p`.

use std::path::Path;

use anyhow::{Context, Result};
use augment::{AdaController, AdaOptions};
use serde_json::Value;

use super::files::{json_files, numbers};
use super::{CaseResult, Results};

/// Runs every trace of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let Some(traces) = root.get("traces").and_then(Value::as_array) else {
            continue;
        };
        let tolerance = match &root["tolerance"] {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        let tolerance = tolerance.with_context(|| format!("'{}': no tolerance", path.display()))?;
        for trace in traces {
            let name = trace["name"].as_str().context("a trace without a name")?;
            let worst =
                follow(trace).with_context(|| format!("'{}': trace '{name}'", path.display()))?;
            results.push(CaseResult {
                suite: "ada".to_owned(),
                case: name.to_owned(),
                worst,
                tolerance,
            });
        }
    }
    Ok(())
}

/// The largest absolute error along a trace; infinite when the controller updates p in other iterations.
fn follow(trace: &Value) -> Result<f64> {
    let number = |value: &Value, key: &str| {
        let number = value[key].as_f64();
        number.with_context(|| format!("no number '{key}'"))
    };
    let options = AdaOptions {
        target: number(trace, "ada_target")?,
        interval: number(trace, "ada_interval")? as u64,
        kimg: number(trace, "ada_kimg")?,
        batch: number(trace, "batch_size")? as usize,
        max_p: None,
    };
    let mut controller = AdaController::new(options, number(trace, "p_init")?)?;
    let mut worst: f64 = 0.0;
    for row in trace["rows"].as_array().context("no rows")? {
        for signs in row["signs"].as_array().context("no signs")? {
            controller.report(numbers(signs)?.into_iter().map(|sign| sign as f32));
        }
        let batch_idx = number(row, "batch_idx")? as u64;
        match (controller.step(batch_idx), row.get("p")) {
            (Some(update), Some(_)) => {
                for (got, key) in [
                    (update.mean_sign, "mean_sign"),
                    (update.adjust, "adjust"),
                    (update.p, "p"),
                ] {
                    worst = worst.max((got - number(row, key)?).abs());
                }
            }
            (None, None) => {}
            _ => worst = f64::INFINITY,
        }
    }
    Ok(worst)
}
