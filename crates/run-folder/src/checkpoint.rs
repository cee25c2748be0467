//! Chooses one network snapshot of a run, by rules that are common to all programs of this project.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::folder::run_dirs;
use crate::metric_lines::{MetricLine, of_run_file};
use crate::names;
use crate::number::format_number;
use crate::record::{read_options, warm_up_kimg};
use crate::snapshots::{Snapshot, only_network_file, snapshot_files};
use crate::trend::Curve;

/// The snapshot of a run that a user requests: `best`, `newest` or a number of kimg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Checkpoint {
    /// The snapshot with the best metric result; the newest one where there are no results.
    #[default]
    Best,
    /// The snapshot with the largest number of kimg.
    Newest,
    /// The snapshot written after this many thousand real images.
    Kimg(u64),
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            "newest" => Ok(Self::Newest),
            number => number.parse().map(Self::Kimg).map_err(|_| {
                format!("'{text}' is neither best nor newest nor a number of kimg (200)")
            }),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::Newest => f.write_str("newest"),
            Self::Kimg(kimg) => kimg.fmt(f),
        }
    }
}

impl From<Checkpoint> for String {
    fn from(checkpoint: Checkpoint) -> Self {
        checkpoint.to_string()
    }
}

/// A chosen snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenCheckpoint {
    /// Path of the snapshot file.
    pub path: PathBuf,
    /// The reason for the choice, such as `best by fid50k_full: 4.021`.
    pub reason: String,
    /// Messages about damaged option and result files.
    pub warnings: Vec<String>,
}

/// Chooses a snapshot in a run folder that was written by this project or by one of NVIDIA's programs.
///
/// [`Checkpoint::Best`] uses the first metric that has a result for a snapshot that still exists and lies beyond the
/// warm-up ([`crate::WARM_UP_KIMG`]): FID before KID, and both before other metrics. It compares the results of this
/// metric for all such snapshots, but only those that were computed with the same feature network as the metric's last
/// result. Where no metric has such a result, it chooses the newest snapshot. Where no file name has a number of kimg,
/// `Best` and `Newest` choose the only file named `network*`.
///
/// # Errors
/// `Unreadable` when the folder cannot be read; `NoCheckpoint` when it has no such snapshot.
pub fn choose_checkpoint(run_dir: &Path, which: Checkpoint) -> Result<ChosenCheckpoint> {
    let mut warnings = Vec::new();
    let snapshots = snapshot_files(run_dir)?;
    let (path, reason) = match (snapshots.last(), which) {
        (None, Checkpoint::Best | Checkpoint::Newest) => {
            let only = only_network_file(run_dir)?;
            let none = "has no network-snapshot-*.safetensors, .pkl, .pt or .pth: it is not a run folder, or had no time \
                        to write one";
            let only = only.ok_or_else(|| no_checkpoint(run_dir, none.to_owned()))?;
            (only, "the only file of networks".to_owned())
        }
        (_, Checkpoint::Kimg(kimg)) => {
            let found = snapshots.iter().find(|snapshot| snapshot.kimg == kimg);
            let found = found.ok_or_else(|| {
                let existing = describe_kimgs(&snapshots);
                no_checkpoint(
                    run_dir,
                    format!("has no snapshot of kimg {kimg}; {existing}"),
                )
            })?;
            (found.path.clone(), format!("kimg {kimg}, as requested"))
        }
        (Some(newest), Checkpoint::Newest) => (newest.path.clone(), "the newest".to_owned()),
        (Some(newest), Checkpoint::Best) => match best(run_dir, &snapshots, &mut warnings)? {
            Some(best) => best,
            None => {
                let reason = "the newest; there are no results of metrics beyond the warm-up";
                (newest.path.clone(), reason.to_owned())
            }
        },
    };
    Ok(ChosenCheckpoint {
        path,
        reason,
        warnings,
    })
}

/// The run folder with the highest number in `outdir` for which `filter` returns true; `None` where there is none.
///
/// # Errors
/// `File` when `outdir` cannot be read; the errors of `filter`.
pub fn latest_run(
    outdir: &Path,
    filter: impl Fn(&Path) -> Result<bool>,
) -> Result<Option<PathBuf>> {
    for (_, run_dir) in run_dirs(outdir)?.into_iter().rev() {
        if filter(&run_dir)? {
            return Ok(Some(run_dir));
        }
    }
    Ok(None)
}

fn no_checkpoint(run_dir: &Path, reason: String) -> Error {
    Error::NoCheckpoint {
        path: run_dir.to_owned(),
        reason,
    }
}

/// The kimg numbers of the existing snapshots, as text for an error message.
fn describe_kimgs(snapshots: &[Snapshot]) -> String {
    const SHOWN: usize = 20;
    let numbers: Vec<String> = snapshots.iter().map(|s| s.kimg.to_string()).collect();
    match &numbers[..] {
        [] => "there is none".to_owned(),
        few if few.len() <= SHOWN => format!("there are {}", few.join(", ")),
        [first, .., last] => format!("there are {} from {first} to {last}", numbers.len()),
        [one] => format!("there is {one}"),
    }
}

/// The best snapshot and the reason for the choice, by the first metric (FID, then KID, then others by name) that has a
/// result for an existing snapshot beyond the warm-up.
fn best(
    run_dir: &Path,
    snapshots: &[Snapshot],
    warnings: &mut Vec<String>,
) -> Result<Option<(PathBuf, String)>> {
    let warm_up = warm_up_kimg(&read_options(
        &run_dir.join(names::TRAINING_OPTIONS),
        warnings,
    ));
    let entries = std::fs::read_dir(run_dir).map_err(Error::unreadable(run_dir))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<Vec<MetricLine>> = names
        .map(|name| of_run_file(run_dir, &name, warnings))
        .filter(|lines| !lines.is_empty())
        .collect();
    files.sort_by_key(|lines| {
        let metric = lines[0].metric.clone();
        let rank = ["fid", "kid"].iter().position(|m| metric.starts_with(m));
        (rank.unwrap_or(usize::MAX), metric)
    });
    Ok(files.iter().find_map(|lines| {
        let (snapshot, value) = best_of(lines, snapshots, warm_up)?;
        let reason = format!("best by {}: {}", lines[0].metric, format_number(value, 4));
        Some((snapshot.path.clone(), reason))
    }))
}

/// The existing snapshot beyond the warm-up with the best result of one metric, and that result. `lines` are all
/// results of the metric; only those of the same feature network as the last line are compared.
fn best_of<'a>(
    lines: &[MetricLine],
    snapshots: &'a [Snapshot],
    warm_up: f64,
) -> Option<(&'a Snapshot, f64)> {
    let last = lines.last()?;
    let (result, _) = last.line["results"].as_object()?.iter().next()?;
    let of_snapshot = |line: &MetricLine| {
        let is_of_line = |snapshot: &&Snapshot| stem(&snapshot.name()) == stem(line.snapshot());
        snapshots.iter().find(is_of_line)
    };
    let existing = lines.iter().filter(|line| of_snapshot(line).is_some());
    let existing: Vec<MetricLine> = existing.cloned().collect();
    let curve = Curve::of(&existing, result, last.features(), warm_up);
    let best = curve.best()?;
    let is_best = |line: &&MetricLine| line.kimg.is_some_and(|kimg| kimg as f64 == best.kimg);
    let snapshot = existing.iter().find(is_best).and_then(of_snapshot)?;
    Some((snapshot, best.value))
}

/// The file name of a snapshot without folders and extension, to compare names of different programs: a result file of
/// another program can name a snapshot with its folders or, from NVIDIA's TensorFlow program, without its extension.
fn stem(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(run_dir: &Path, which: Checkpoint) -> (String, String) {
        let chosen = choose_checkpoint(run_dir, which).unwrap();
        let name = chosen.path.file_name().unwrap().to_string_lossy();
        (name.into_owned(), chosen.reason)
    }

    #[test]
    fn the_best_existing_snapshot_is_chosen_or_the_newest_without_results() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let best = || chosen(dir.path(), Checkpoint::Best);
        assert!(choose_checkpoint(dir.path(), Checkpoint::Best).is_err());
        for kimg in [10, 20, 30] {
            write(&format!("network-snapshot-0000{kimg}.safetensors"), "");
        }
        let (name, why) = best();
        assert_eq!(name, "network-snapshot-000030.safetensors");
        assert!(why.contains("newest"), "{why}");
        let line = |metric: &str, kimg: usize, value: f64, features: &str| {
            serde_json::json!({
                "results": {metric: value},
                "snapshot_pkl": format!("network-snapshot-0000{kimg}.safetensors"),
                "provenance": {"features": features},
            })
            .to_string()
        };
        // Higher is better. The snapshot with the best result was removed.
        let lines = [(10, 0.5), (20, 0.2), (90, 0.9)].map(|(k, v)| line("is5k_mean", k, v, "a"));
        write("metric-is5k.jsonl", &lines.join("\n"));
        assert_eq!(best().0, "network-snapshot-000010.safetensors");
        // FID goes before other metrics; results of another feature network do not count.
        let lines = [(30, 1.0, "other"), (10, 9.0, "a"), (20, 7.0, "a")];
        let lines = lines.map(|(k, v, f)| line("fid5k_full", k, v, f));
        write("metric-fid5k_full.jsonl", &lines.join("\n"));
        let (name, why) = best();
        assert_eq!(name, "network-snapshot-000020.safetensors");
        assert_eq!(why, "best by fid5k_full: 7");
        // Results have no effect when `newest` is requested.
        let (name, why) = chosen(dir.path(), Checkpoint::Newest);
        assert_eq!(
            (name.as_str(), why.as_str()),
            ("network-snapshot-000030.safetensors", "the newest")
        );
        let (name, _) = chosen(dir.path(), Checkpoint::Kimg(10));
        assert_eq!(name, "network-snapshot-000010.safetensors");
        let error = choose_checkpoint(dir.path(), Checkpoint::Kimg(4)).unwrap_err();
        assert!(
            error.to_string().ends_with("there are 10, 20, 30"),
            "{error}"
        );
    }

    #[test]
    fn a_snapshot_of_the_warm_up_is_never_the_best() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let mut lines = String::new();
        for (kimg, fid) in [(1, 1.9), (2, 6.1), (12, 3.0), (14, 4.0)] {
            let snapshot = format!("network-snapshot-{kimg:06}.safetensors");
            write(&snapshot, "");
            let line =
                serde_json::json!({"results": {"fid5k_full": fid}, "snapshot_pkl": snapshot});
            lines += &format!("{line}\n");
        }
        write("metric-fid5k_full.jsonl", &lines);
        let best = || chosen(dir.path(), Checkpoint::Best).0;
        assert_eq!(best(), "network-snapshot-000012.safetensors");
        // A run that starts from trained networks has no warm-up.
        write("training_options.json", r#"{"resume_pkl": "ffhq.pkl"}"#);
        assert_eq!(best(), "network-snapshot-000001.safetensors");
    }

    #[test]
    fn runs_of_the_tensorflow_reference_are_chosen_from_too() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("network-final.pkl", "");
        let (name, why) = chosen(dir.path(), Checkpoint::Best);
        assert_eq!(
            (name.as_str(), why.as_str()),
            ("network-final.pkl", "the only file of networks")
        );
        for kimg in [0, 200, 400] {
            write(&format!("network-snapshot-{kimg:06}.pkl"), "");
        }
        let text = "network-snapshot-000200 time 9s fid50k_full 12.5\nnetwork-snapshot-000400 time 9s fid50k_full 13\n";
        write("metric-fid50k_full.txt", text);
        assert_eq!(
            chosen(dir.path(), Checkpoint::Best).0,
            "network-snapshot-000200.pkl"
        );
    }

    #[test]
    fn choices_are_parsed_as_they_are_written() {
        for which in [Checkpoint::Best, Checkpoint::Newest, Checkpoint::Kimg(200)] {
            assert_eq!(which.to_string().parse(), Ok(which));
        }
        assert!("last".parse::<Checkpoint>().is_err());
    }

    #[test]
    fn the_latest_run_has_the_highest_number() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["00000-a", "00002-b", "00010-c"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let latest =
            |wanted: &str| latest_run(dir.path(), |run| Ok(!run.ends_with(wanted))).unwrap();
        assert!(latest("none").unwrap().ends_with("00010-c"));
        assert!(latest("00010-c").unwrap().ends_with("00002-b"));
        assert_eq!(latest_run(dir.path(), |_| Ok(false)).unwrap(), None);
    }
}
