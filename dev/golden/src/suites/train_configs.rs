//! Compares resolved training options with those of NVIDIA's training program.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use train_settings::{DatasetDescription, Overrides};
use training::{Preset, TrainConfig};

use super::case::Case;

/// Compares presets (`configs`), calls with flags (`flag_variants`), the formulas of `auto`, and defaults.
///
/// # Errors
/// When the file has an unexpected structure.
pub(super) fn run(root: &Value) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, case) in section(root, "configs") {
        let preset = name.split('_').next().unwrap_or_default();
        cases.push(Case::exact(name, options(preset, case)?));
    }
    for (name, case) in section(root, "flag_variants") {
        let preset = case["call"]["cfg"].as_str().unwrap_or("auto");
        cases.push(Case::exact(name, options(preset, case)?));
    }
    let mut wrong = 0;
    for (name, expected) in section(root, "auto_formula_table") {
        wrong += formula(name, expected)?;
    }
    cases.push(Case::exact("auto_formula_table", wrong));
    cases.push(Case::exact("defaults", defaults(root)?));
    Ok(cases)
}

fn section<'a>(root: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    root.get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// Resolves a preset for a dataset with these properties, without flags.
///
/// # Errors
/// When there is no such preset, or the settings do not fit the dataset.
pub(super) fn resolve(
    preset: &str,
    resolution: usize,
    num_channels: usize,
    label_dim: usize,
) -> Result<TrainConfig> {
    let dataset = DatasetDescription {
        name: format!("r{resolution}"),
        path: String::new(),
        resolution,
        num_channels,
        num_images: 1,
        label_dim,
        fingerprint: None,
    };
    let flags = Overrides {
        cond: Some(label_dim > 0),
        ..Default::default()
    };
    Ok(train_settings::resolve(preset.parse()?, &dataset, &flags)?)
}

/// The number of settings that differ from those of one recorded call.
fn options(preset: &str, case: &Value) -> Result<usize> {
    let args = &case["args"];
    let images = &args["training_set_kwargs"];
    let path = images["path"].as_str().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let max_size = images["max_size"].as_u64().context("no max_size")? as usize;
    let dataset = DatasetDescription {
        name: name.trim_end_matches(".zip").to_owned(),
        path: path.to_owned(),
        resolution: images["resolution"].as_u64().context("no resolution")? as usize,
        num_channels: 3,
        // The options have a random seed only where not all images are used.
        num_images: max_size + usize::from(images.get("random_seed").is_some()),
        label_dim: usize::from(images["use_labels"] == true),
        fingerprint: None,
    };
    // The flags of the call, under our names.
    let mut flags = Map::new();
    for (name, value) in section(case, "call") {
        let value = match (name.as_str(), value) {
            ("metrics", Value::String(list)) => list.split(',').collect(),
            _ => value.clone(),
        };
        match name.as_str() {
            "cfg" | "data" => {}
            "resume" => _ = flags.insert("init-from".to_owned(), value),
            _ => _ = flags.insert(name.replace('_', "-"), value),
        }
    }
    flags
        .entry("gpus")
        .or_insert_with(|| args["num_gpus"].clone());
    let flags: Overrides = serde_json::from_value(flags.into())?;
    let preset: Preset = preset.parse()?;
    let config = train_settings::resolve(preset, &dataset, &flags)?;
    let mut wrong = differences("args", &config.training_options(), args);
    if let Some(desc) = case["desc"].as_str() {
        wrong += differences("desc", &config.desc.as_str().into(), &desc.into());
    }
    Ok(wrong)
}

/// The number of differences in one row of the table of `auto`, named for example `res256_gpus4`.
fn formula(name: &str, expected: &Value) -> Result<usize> {
    let (resolution, gpus) = name
        .strip_prefix("res")
        .and_then(|text| text.split_once("_gpus"))
        .with_context(|| format!("'{name}' names no resolution and GPUs"))?;
    let row = Preset::Auto.settings(resolution.parse()?, gpus.parse()?);
    let ours = json!({
        "mb": row.batch_size, "batch_gpu": row.batch_gpu, "mbstd": row.mbstd_group_size,
        "channel_base": row.channel_base, "lrate": row.learning_rate, "gamma": row.r1_gamma,
        "ema_kimg": row.ema_kimg, "ema_rampup": row.ema_rampup, "map": row.mapping_layers,
    });
    Ok(differences(name, &ours, expected))
}

/// The number of defaults that differ. Our `stylegan2` preset has the defaults of NVIDIA's training loop and loss.
fn defaults(root: &Value) -> Result<usize> {
    let config = resolve("stylegan2", 1024, 3, 0)?;
    let (loop_defaults, loss_defaults) = (
        json!({
            "ema_kimg": config.ema_kimg, "ema_rampup": config.ema_rampup,
            "G_reg_interval": config.g_reg_interval, "D_reg_interval": config.d_reg_interval,
            "augment_p": config.augment_p, "ada_interval": config.ada_interval, "ada_kimg": config.ada_kimg,
            "total_kimg": config.total_kimg, "kimg_per_tick": config.kimg_per_tick,
            "image_snapshot_ticks": config.image_snapshot_ticks,
            "network_snapshot_ticks": config.network_snapshot_ticks,
            // NVIDIA's loop by itself uses no adaptive augmentation; its command line does.
            "ada_target": null,
        }),
        json!(config.loss),
    );
    let mut wrong = 0;
    for (key, ours) in [
        ("training_loop_defaults", loop_defaults),
        ("loss_defaults", loss_defaults),
    ] {
        if let Some(expected) = root.get(key) {
            wrong += differences(key, &ours, expected);
        }
    }
    Ok(wrong)
}

/// The number of values that differ; prints each. Numbers are compared by value: `10` equals `10.0`.
fn differences(path: &str, ours: &Value, expected: &Value) -> usize {
    match (ours, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.iter()
                .map(|key| match (a.get(*key), b.get(*key)) {
                    (Some(a), Some(b)) => differences(&format!("{path}.{key}"), a, b),
                    (a, _) => {
                        let fault = if a.is_some() { "too much" } else { "missing" };
                        eprintln!("networks: {path}.{key} is {fault}");
                        1
                    }
                })
                .sum()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(a, b)| differences(path, a, b)).sum()
        }
        (a, b) if a == b || (a.is_number() && a.as_f64() == b.as_f64()) => 0,
        (a, b) => {
            eprintln!("networks: {path} is {a} instead of {b}");
            1
        }
    }
}
