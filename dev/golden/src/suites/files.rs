//! Reads the JSON files of golden data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// All JSON files directly in `dir`, parsed, with their paths and sorted by name.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn json_files(dir: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read '{}'", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read(&path)
                .with_context(|| format!("cannot read '{}'", path.display()))?;
            let root = serde_json::from_slice(&text)
                .with_context(|| format!("'{}' is no JSON", path.display()))?;
            Ok((path, root))
        })
        .collect()
}

/// The numbers of a JSON array, or a single number as a list of one.
///
/// # Errors
/// When the value contains anything but numbers.
pub fn numbers(value: &Value) -> Result<Vec<f64>> {
    let number = |v: &Value| v.as_f64().with_context(|| format!("{v} is no number"));
    match value {
        Value::Array(values) => values.iter().map(number).collect(),
        one => Ok(vec![number(one)?]),
    }
}
