//! Golden suite `pickle`: checkpoints of other programs, whose weights must be read exactly.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use interop::{Checkpoint, Format};

use super::weights::Weights;
use super::{CaseResult, Results};

/// Reads every file in `dir` that is accompanied by `<name>_weights.safetensors`, and compares all tensors bit by bit.
///
/// Checkpoints are compared as read, and after writing and reading them in each format that can be written. Tensors of
/// other files are compared by name. `worst` is the number of tensors that differ, infinite if a file cannot be read.
///
/// # Errors
/// When `dir` or its golden weights cannot be read, or there is nothing to compare.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("{}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|e| e == "pkl" || e == "pt" || e == "pth")
    });
    files.sort();
    let mut found = false;
    for path in files {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let weights = path.with_file_name(format!("{stem}_weights.safetensors"));
        if !weights.exists() {
            continue;
        }
        let expected: Weights = interop::read_tensors(&weights)?
            .tensors
            .into_iter()
            .collect();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut of_file = Vec::new();
        if let Err(error) = file(&path, &stem, &name, expected, &mut of_file) {
            eprintln!("pickle: {error:#}");
            of_file = vec![result(name, f64::INFINITY)];
        }
        found = true;
        results.extend(of_file);
    }
    if !found {
        bail!(
            "{}: no checkpoint with <name>_weights.safetensors beside it",
            dir.display()
        );
    }
    Ok(())
}

fn result(case: String, worst: f64) -> CaseResult {
    CaseResult {
        suite: "pickle".into(),
        case,
        worst,
        tolerance: 0.0,
    }
}

fn file(
    path: &Path,
    stem: &str,
    name: &str,
    mut expected: Weights,
    out: &mut Vec<CaseResult>,
) -> Result<()> {
    if !expected.keys().any(|name| key_of(name).is_some()) {
        // The tensors of a state dict, under their names in the file.
        let held = interop::read_tensors(path)?.tensors;
        let wrong = expected
            .iter()
            .filter(|(name, tensor)| held.get(*name) != Some(tensor))
            .count();
        out.push(result(name.to_owned(), wrong as f64));
        return Ok(());
    }
    out.extend(super::images::compare(path, name, &expected)?);
    expected.retain(|name, _| key_of(name).is_some());
    let checkpoint = interop::read_checkpoint(path)?;
    out.push(result(name.to_owned(), differing(&checkpoint, &expected)));
    out.push(result(
        format!("{name}: settings"),
        settings(&checkpoint, path, stem)?,
    ));
    for (format, label) in [
        (Format::SafeTensors, "safetensors"),
        (Format::OfficialPkl, "pkl"),
        (Format::Rosinality, "pt"),
    ] {
        match interop::checkpoint_bytes(format, &checkpoint) {
            Ok(bytes) => {
                let again = interop::read_checkpoint_bytes(&bytes, label)?;
                let mut expected = expected.clone();
                if format == Format::Rosinality {
                    // Rosinality's files do not contain the augmentation pipe.
                    expected.retain(|name, _| !name.starts_with("augment_pipe."));
                }
                out.push(result(
                    format!("{name} -> {label}"),
                    differing(&again, &expected),
                ));
            }
            // That format cannot represent every network.
            Err(interop::Error::Unsupported(_)) if format == Format::Rosinality => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The network that a stored tensor belongs to; `None` for inputs and outputs of the networks.
fn key_of(name: &str) -> Option<&str> {
    name.split_once('.')
        .map(|(key, _)| key)
        .filter(|key| ["G", "D", "G_ema", "augment_pipe"].contains(key))
}

/// The number of tensors that are missing, unexpected, or not equal bit by bit.
fn differing(checkpoint: &Checkpoint, expected: &Weights) -> f64 {
    let mut left = expected.clone();
    let mut count = 0;
    let pipe = checkpoint
        .augment_pipe
        .iter()
        .flat_map(|pipe| &pipe.buffers);
    let tensors = checkpoint
        .networks()
        .flat_map(|(key, network)| {
            network
                .tensors()
                .map(move |(name, tensor)| (format!("{key}.{name}"), tensor))
        })
        .chain(pipe.map(|(name, tensor)| (format!("augment_pipe.{name}"), tensor)));
    for (name, tensor) in tensors {
        match left.remove(&name) {
            Some(wanted) if wanted == *tensor => {}
            // Filters follow from the settings, so a listing may omit them.
            None if name.ends_with("resample_filter") => {}
            _ => {
                eprintln!("pickle: {name} differs");
                count += 1;
            }
        }
    }
    for name in left.keys() {
        eprintln!("pickle: {name} was not read");
    }
    (count + left.len()) as f64
}

/// The number of constructor arguments in `<name>_weights.json` that differ from those of the network that was read.
fn settings(checkpoint: &Checkpoint, path: &Path, stem: &str) -> Result<f64> {
    let json = path.with_file_name(format!("{stem}_weights.json"));
    let Ok(text) = std::fs::read_to_string(&json) else {
        return Ok(0.0);
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{}", json.display()))?;
    let mut count = 0;
    for (key, network) in checkpoint.networks() {
        let Some(kwargs) = json.pointer(&format!("/init_kwargs/{key}")) else {
            continue;
        };
        let config = serde_json::to_value(&network.config)?;
        count += disagreements(kwargs, &config, key);
    }
    Ok(count as f64)
}

/// The number of arguments in `kwargs` (numbers, texts and flags) that differ from the setting of the same name.
fn disagreements(kwargs: &serde_json::Value, config: &serde_json::Value, path: &str) -> usize {
    let Some(map) = kwargs.as_object() else {
        return 0;
    };
    let mut count = 0;
    for (name, stated) in map {
        let at = format!("{path}.{name}");
        count += match (name.as_str(), stated.is_object()) {
            ("mapping_kwargs", _) => disagreements(stated, &config["mapping"], &at),
            ("epilogue_kwargs", _) => stated.as_object().map_or(0, |epilogue| {
                epilogue
                    .iter()
                    .filter(|(name, value)| {
                        let ours = if *name == "activation" {
                            "epilogue_activation"
                        } else {
                            name
                        };
                        !same(value, &config[ours])
                    })
                    .inspect(|(name, _)| eprintln!("pickle: {at}.{name} differs"))
                    .count()
            }),
            (_, true) => disagreements(stated, config, &at),
            _ if same(stated, &config[name]) => 0,
            _ => {
                eprintln!("pickle: {at} is {stated}, read as {}", config[name]);
                1
            }
        };
    }
    count
}

fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64())
}
