//! Writes metric results as lines of `metric-*.jsonl` and as text.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::metric_lines::provenance;
use crate::names;
use crate::number::format_number;
use crate::snapshots::snapshot_kimg;

/// Whether a lower value of the result with this name (`fid50k_full`) is better. Higher values are better for names
/// that do not begin with one of the prefixes below, and for names that end with `_distance_ratio`.
pub fn lower_is_better(result: &str) -> bool {
    ["fid", "kid", "ppl", "mem"]
        .iter()
        .any(|start| result.starts_with(start))
        && !result.ends_with("_distance_ratio")
}

/// Whether `value` is better than `other` for the result with the name `result`.
pub fn is_better(result: &str, value: f64, other: f64) -> bool {
    match lower_is_better(result) {
        true => value < other,
        false => value > other,
    }
}

/// Appends a result to the file of its metric, unless the file already has a line for the same snapshot with the same
/// provenance (feature network, image counts, ...). Such a line exists when a killed run evaluates a snapshot again, or
/// when `eval run` has evaluated it.
///
/// # Errors
/// `File` when the file cannot be written.
pub fn append_result(run_dir: &Path, metric: &str, line: &Value) -> Result<()> {
    let path = run_dir.join(names::metric(metric));
    let is_same = |old: &Map<String, Value>| {
        let old_provenance = old.get("provenance").or_else(|| old.get("flavour"));
        old.get("snapshot_pkl") == line.get("snapshot_pkl")
            && old_provenance.unwrap_or(&Value::Null) == provenance(line)
    };
    files::append_json_line(&path, line, &is_same).map_err(Error::file(&path))?;
    Ok(())
}

/// The results of a metric as text, each with the best value of the run so far: `fid1k_full 4.02 (best 1.92 at kimg
/// 1)`. `best` maps the name of a result to its best value and the name of the snapshot with that value.
pub fn describe_results(
    results: &Map<String, Value>,
    best: &BTreeMap<String, (f64, String)>,
) -> String {
    let numbers = results.iter().map(|(name, value)| {
        let Some(value) = value.as_f64() else {
            return format!("{name} none");
        };
        let number = format!("{name} {}", format_number(value, 4));
        match best.get(name) {
            // This includes values that equal the best value of an earlier snapshot.
            Some((best, _)) if *best == value => format!("{number} (best so far)"),
            Some((best, snapshot)) => {
                let kimg =
                    snapshot_kimg(snapshot).map_or_else(String::new, |k| format!(" at kimg {k}"));
                format!("{number} (best {}{kimg})", format_number(*best, 4))
            }
            None => number,
        }
    });
    numbers.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use files::JsonLines;

    use super::*;
    use crate::metric_lines::of_file;

    #[test]
    fn a_result_is_appended_once() {
        let dir = tempfile::tempdir().unwrap();
        let line = |value: f64, key: &str, features: &str| {
            serde_json::json!({
                "results": {"fid1k_full": value},
                "snapshot_pkl": "network-snapshot-000001.safetensors",
                key: {"features": features},
            })
        };
        // The first line is in the format of an earlier version.
        for (value, key, features) in [
            (4.0, "flavour", "a"),
            (4.5, "provenance", "a"),
            (5.0, "provenance", "b"),
        ] {
            append_result(dir.path(), "fid1k_full", &line(value, key, features)).unwrap();
        }
        let mut lines = JsonLines::read(&dir.path().join("metric-fid1k_full.jsonl")).unwrap();
        let found = of_file("fid1k_full", &mut lines);
        let values = found
            .iter()
            .map(|line| line.line["results"]["fid1k_full"].as_f64());
        assert_eq!(values.collect::<Vec<_>>(), [Some(4.0), Some(5.0)]);
    }

    #[test]
    fn a_result_is_described_with_the_best_of_the_run() {
        let results = |value: f64| Map::from_iter([("fid1k_full".to_owned(), value.into())]);
        let snapshot = "network-snapshot-000001.safetensors".to_owned();
        let best = BTreeMap::from([("fid1k_full".to_owned(), (1.92, snapshot))]);
        let text = |value| describe_results(&results(value), &best);
        assert_eq!(text(4.0213), "fid1k_full 4.021 (best 1.92 at kimg 1)");
        assert_eq!(text(1.92), "fid1k_full 1.92 (best so far)");
        assert_eq!(text(f64::NAN), "fid1k_full none");
        let text = describe_results(&results(4.0), &BTreeMap::new());
        assert_eq!(text, "fid1k_full 4");
    }
}
