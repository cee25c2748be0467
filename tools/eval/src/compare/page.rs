//! Builds the page of a comparison: verdict, table, plots, images, settings.

use std::collections::{BTreeMap, BTreeSet};

use report::Page;
use run_folder::RunRecord;
use serde_json::Value;

use super::plots::Plots;
use super::strip::strip;
use super::table::RunTable;
use crate::verdict::Verdict;

pub fn page(
    runs: &[RunRecord],
    names: &[String],
    result: Option<&str>,
    features: &str,
    verdict: &Verdict,
    table: &RunTable,
    plots: &Plots,
) -> anyhow::Result<String> {
    let mut page = Page::new(&format!("Runs compared: {}", names.join(", ")));
    page.heading("Verdict").text(&verdict.headline);
    page.list(&verdict.details);
    let warnings: Vec<String> = runs.iter().flat_map(|run| run.warnings.clone()).collect();
    if !warnings.is_empty() {
        page.heading("Left out").list(&warnings);
    }
    page.heading("Runs")
        .table(&table.header(), &table.rows, false);
    if let Some(result) = result {
        page.text(&format!("best and last: {result}, features {features}."));
    }
    if !plots.metrics.is_empty() {
        page.heading("Quality over time").plots(&plots.metrics);
    }
    let strips = runs
        .iter()
        .zip(names)
        .enumerate()
        .map(|(color, (run, name))| strip(run, name, color))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if strips.iter().any(|strip| !strip.frames.is_empty()) {
        page.heading("The same latents through time")
            .text("Each run keeps its own fixed latents: a cell shows the same one at every moment. Drag the slider.")
            .slider(&strips, "kimg");
    }
    if !plots.curves.is_empty() {
        page.heading("Training curves").plots(&plots.curves);
    }
    let rows = differences(runs);
    page.heading("Settings that differ");
    if rows.is_empty() {
        page.text("None: the settings are the same.");
    } else {
        let header: Vec<&str> = std::iter::once("setting")
            .chain(names.iter().map(String::as_str))
            .collect();
        page.table(&header, &rows, false);
    }
    Ok(page.finish())
}

/// The settings in which the runs differ: each row has the setting's path of keys, and then its value in each run.
fn differences(runs: &[RunRecord]) -> Vec<Vec<String>> {
    let flat: Vec<BTreeMap<String, String>> = runs
        .iter()
        .map(|run| {
            let mut all = BTreeMap::new();
            flatten("", &run.options, &mut all);
            all
        })
        .collect();
    let keys: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.into_iter()
        .filter(|key| !matches!(key.as_str(), "run_dir"))
        .filter_map(|key| {
            let values: Vec<String> = flat
                .iter()
                .map(|all| all.get(key).cloned().unwrap_or_else(|| "–".into()))
                .collect();
            values
                .iter()
                .any(|value| *value != values[0])
                .then(|| std::iter::once(key.clone()).chain(values).collect())
        })
        .collect()
}

fn flatten(prefix: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&key, value, all);
            }
        }
        Value::Null if prefix.is_empty() => {}
        Value::String(text) => {
            all.insert(prefix.to_owned(), text.clone());
        }
        other => {
            all.insert(prefix.to_owned(), other.to_string());
        }
    }
}
