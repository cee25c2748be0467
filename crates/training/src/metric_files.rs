//! The results of metrics: into the run's books, and into `metric-<name>.jsonl`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::hooks::MetricOutcome;
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
    // A killed run makes a result again, and `eval run` may have made it meanwhile.
    let is_same = |old: &Map<String, Value>| {
        let same = |key: &str| old.get(key) == outcome.line.get(key);
        same("snapshot_pkl") && same("flavour")
    };
    files::append_json_line(&path, &outcome.line, &is_same).map_err(Error::file(&path))?;
    Ok(())
}
