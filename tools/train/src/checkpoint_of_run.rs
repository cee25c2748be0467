//! The checkpoint of a run that another run starts from: the best by a metric, else the newest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use files::JsonLines;
use metrics::Metric;
use serde_json::Value;

/// Chooses a checkpoint of a run folder, ours or the reference's. Also says why that one.
pub fn choose(run_dir: &Path) -> Result<(PathBuf, String)> {
    let failed = || format!("cannot read the run '{}'", run_dir.display());
    let files = interop::snapshot_files(run_dir).with_context(failed)?;
    let snapshots: Vec<String> = files
        .iter()
        .filter_map(|file| Some(file.path.file_name()?.to_str()?.to_owned()))
        .collect();
    let newest = snapshots.last().with_context(|| {
        format!(
            "'{}' has no network-snapshot-*: it is no folder of a run, or had no time to write one",
            run_dir.display()
        )
    })?;
    let names = std::fs::read_dir(run_dir).with_context(failed)?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut results: Vec<(String, Vec<Value>)> = Vec::new();
    for name in names {
        let metric = name.strip_prefix("metric-");
        if let Some(metric) = metric.and_then(|name| name.strip_suffix(".jsonl")) {
            let path = run_dir.join(&name);
            let lines = JsonLines::read(&path)
                .with_context(|| format!("cannot read '{}'", path.display()))?;
            if let Some(damage) = lines.damage() {
                tracing::warn!("'{}': {damage}", path.display());
            }
            let lines = lines.records.into_iter().map(|(_, line)| line.into());
            results.push((metric.to_owned(), lines.collect()));
        }
    }
    // FID is what networks are chosen by, then KID, then whatever was measured.
    results.sort_by_key(|(metric, _)| {
        let rank = ["fid", "kid"].iter().position(|m| metric.starts_with(m));
        (rank.unwrap_or(usize::MAX), metric.clone())
    });
    for (metric, lines) in &results {
        if let Some((name, value)) = best(lines, &snapshots) {
            return Ok((run_dir.join(name), format!("best by {metric}: {value:.4}")));
        }
    }
    Ok((
        run_dir.join(newest),
        "the newest; none was measured".to_owned(),
    ))
}

/// The best of the snapshots that are there, by numbers made like the last one.
fn best<'a>(lines: &'a [Value], snapshots: &[String]) -> Option<(&'a str, f64)> {
    let features = |line: &Value| line["flavour"]["features"].clone();
    let last = lines.last()?;
    let (number, _) = last["results"].as_object()?.iter().next()?;
    let found = lines.iter().filter(|line| features(line) == features(last));
    let found = found.filter_map(|line| {
        // Lines of `eval` and of the reference name the file alone, those of other programs its path.
        let name = line["snapshot_pkl"].as_str()?.rsplit(['/', '\\']).next()?;
        let is_there = snapshots.iter().any(|known| known == name);
        Some((name, line["results"][number].as_f64()?)).filter(|_| is_there)
    });
    let sign = if Metric::lower_is_better(number) {
        1.0
    } else {
        -1.0
    };
    found.min_by(|(_, a), (_, b)| (sign * a).total_cmp(&(sign * b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_that_is_there_wins_and_the_newest_without_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let chosen = || {
            let (path, why) = choose(dir.path()).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, why)
        };
        assert!(choose(dir.path()).is_err());
        for kimg in [1, 2, 3] {
            write(&format!("network-snapshot-00000{kimg}.safetensors"), "");
        }
        let (name, why) = chosen();
        assert_eq!(name, "network-snapshot-000003.safetensors");
        assert!(why.contains("newest"), "{why}");
        let line = |metric: &str, kimg: usize, value: f64, features: &str| {
            serde_json::json!({
                "results": {metric: value},
                "snapshot_pkl": format!("network-snapshot-00000{kimg}.safetensors"),
                "flavour": {"features": features},
            })
            .to_string()
        };
        // More is better; a better snapshot was removed.
        let lines = [(1, 0.5), (2, 0.2), (9, 0.9)].map(|(k, v)| line("is5k_mean", k, v, "a"));
        write("metric-is5k.jsonl", &lines.join("\n"));
        assert_eq!(chosen().0, "network-snapshot-000001.safetensors");
        // FID goes first; numbers of other features do not count.
        let lines = [(3, 1.0, "other"), (1, 9.0, "a"), (2, 7.0, "a")];
        let lines = lines.map(|(k, v, f)| line("fid5k_full", k, v, f));
        write("metric-fid5k_full.jsonl", &lines.join("\n"));
        let (name, why) = chosen();
        assert_eq!(name, "network-snapshot-000002.safetensors");
        assert_eq!(why, "best by fid5k_full: 7.0000");
    }
}
