//! Tensors of golden files: reading them, comparing them, and parsing tolerances.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;

static DEVICE: OnceLock<Device> = OnceLock::new();

/// The device on which the suites of tensors compute: the CPU, unless [`compute_on`] was called first.
pub fn device() -> &'static Device {
    DEVICE.get_or_init(|| Device::Cpu)
}

/// Chooses the device on which the suites of tensors compute.
///
/// # Errors
/// When a device was chosen or used already.
pub fn compute_on(device: Device) -> Result<()> {
    let set = DEVICE.set(device);
    set.map_err(|_| anyhow::anyhow!("golden data were computed already, on another device"))
}

/// The tensors of a golden file, from the safetensors file with the name of the JSON file.
pub struct Tensors(HashMap<String, Tensor>);

impl Tensors {
    /// Reads `<name>.safetensors` for `<name>.json`; `None` if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn beside(json: &Path) -> Result<Option<Tensors>> {
        let path = json.with_extension("safetensors");
        if !path.exists() {
            return Ok(None);
        }
        let tensors = candle_core::safetensors::load(&path, device())
            .with_context(|| format!("cannot read '{}'", path.display()))?;
        Ok(Some(Tensors(tensors)))
    }

    /// The tensor with this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The tensor with this name.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn need(&self, name: &str) -> Result<&Tensor> {
        self.get(name)
            .with_context(|| format!("no tensor '{name}'"))
    }

    /// The names that start with `prefix`, without the prefix, sorted.
    pub fn names_after<'a>(&'a self, prefix: &'a str) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .0
            .keys()
            .filter_map(|name| name.strip_prefix(prefix))
            .collect();
        names.sort_unstable();
        names
    }
}

/// The largest error `|got - want| / (max|want| + |want|)` over all elements; infinite if `got` is not finite.
///
/// # Errors
/// When shapes differ.
pub fn mixed_error(got: &Tensor, want: &Tensor) -> Result<f64> {
    error(got, want, true)
}

/// The largest error `|got - want| / max|want|` over all elements; infinite if `got` is not finite.
///
/// # Errors
/// When shapes differ.
pub fn relative_error(got: &Tensor, want: &Tensor) -> Result<f64> {
    error(got, want, false)
}

fn error(got: &Tensor, want: &Tensor, mixed: bool) -> Result<f64> {
    ensure!(
        got.dims() == want.dims(),
        "shape {:?} where {:?} is wanted",
        got.shape(),
        want.shape()
    );
    let values = |t: &Tensor| -> Result<Vec<f64>> {
        {
            let t = t.to_device(&Device::Cpu)?;
            Ok(t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
        }
    };
    let (got, want) = (values(got)?, values(want)?);
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let mut worst = 0.0f64;
    for (g, w) in got.iter().zip(&want) {
        if !g.is_finite() {
            return Ok(f64::INFINITY);
        }
        let scale = if mixed { largest + w.abs() } else { largest };
        let difference = (g - w).abs();
        // If all golden values are zero, the error is absolute: only rounding may remain.
        worst = worst.max(if scale > 0.0 {
            difference / scale
        } else {
            difference
        });
    }
    Ok(worst)
}

/// The numbers in the text of a tolerance (such as `1e-5` or `0.05`), in order.
pub fn numbers_in(text: &str) -> Vec<f64> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|word| word.trim_end_matches(['.', '-', '+']).parse().ok())
        .collect()
}

/// The number in a JSON field, or `default` if there is none.
pub fn number_or(value: &Value, key: &str, default: f64) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or(default)
}

/// The flag in a JSON field, or `false` if there is none.
pub fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}
