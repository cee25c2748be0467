//! The results of metrics: into the run's books, and into `metric-<name>.jsonl`.

use std::path::Path;

use serde_json::Value;

use crate::error::Result;
use crate::hooks::MetricOutcome;
use crate::run_dir::GrowingFile;
use crate::training_state::Progress;

/// Takes a result of a snapshot in: the last value of each number, the best one, and the line in the file.
///
/// # Errors
/// `File` when the file cannot be written.
pub(crate) fn take_in(
    dir: &Path,
    snapshot: &str,
    outcome: &MetricOutcome,
    progress: &mut Progress,
) -> Result<()> {
    for (name, value) in &outcome.results {
        let Some(value) = value.as_f64().filter(|v| v.is_finite()) else {
            continue;
        };
        progress.metrics.insert(format!("Metrics/{name}"), value);
        let best = progress.best.get(name);
        let is_better = |best: f64| match outcome.lower_is_better.contains(name) {
            true => value < best,
            false => value > best,
        };
        // A spread is no quality.
        if !name.ends_with("_std") && best.is_none_or(|(best, _)| is_better(*best)) {
            let entry = (value, snapshot.to_owned());
            progress.best.insert(name.clone(), entry);
        }
    }
    let path = dir.join(format!("metric-{}.jsonl", outcome.metric));
    if !has_result(&path, &outcome.line) {
        GrowingFile::open(path)?.line(&outcome.line.to_string())?;
    }
    Ok(())
}

/// Whether a metric file already has a result of the same kind for the same snapshot: a killed run makes it again.
fn has_result(path: &Path, line: &Value) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|old| {
        let old: Value = serde_json::from_str(old).unwrap_or_default();
        old["snapshot_pkl"] == line["snapshot_pkl"] && old["flavour"] == line["flavour"]
    })
}
