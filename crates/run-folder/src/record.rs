//! Reads a run folder of this program or of one of NVIDIA's. Missing and damaged files are tolerated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::event_ticks::{self, Lengths};
use crate::log::Log;
use crate::metric_lines::{self, MetricLine};
use crate::names;
use crate::reading::{damage_of, read_lines, read_text};
use crate::snapshots::{Snapshot, name_of, snapshot_files};
use crate::tensorboard::Events;
use crate::ticks::{self, Tick};
use crate::trend::{Curve, WARM_UP_KIMG};

/// The content of a run folder.
pub struct RunRecord {
    /// Path of the folder.
    pub path: PathBuf,
    /// The content of `training_options.json`; null when it is missing or damaged.
    pub options: Value,
    /// The ticks, from the first of these sources that has any: `stats.jsonl`, TensorBoard event files, `log.txt`.
    pub ticks: Vec<Tick>,
    /// Network snapshots, ascending by kimg.
    pub snapshots: Vec<Snapshot>,
    /// Paths of the grids of generated images (`fakes000200.png`) by kimg.
    pub fakes: BTreeMap<u64, PathBuf>,
    /// Metric results: files (`metric-*.jsonl`, `metric-*.txt`) in the order of their names, the lines of a file in
    /// file order.
    pub metrics: Vec<MetricLine>,
    /// The last line of `leaks.jsonl`, which `eval leak` writes; null when there is none.
    pub leak: Value,
    /// Messages about content that was left out, because it is damaged or has no kimg.
    pub warnings: Vec<String>,
}

/// Whether programs that read a run must not overwrite the file of this name. Snapshots are protected separately.
fn is_protected(name: &str) -> bool {
    names::is_of_training(name) || name.starts_with("reals")
}

impl RunRecord {
    /// Reads a run folder, and protects the files of training from being overwritten by this process.
    ///
    /// # Errors
    /// `Unreadable` when the folder cannot be listed; `NoRun` when it has no readable file of a run.
    pub fn open(path: &Path) -> Result<Self> {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .map_err(Error::unreadable(path))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        for name in names.iter().filter(|name| is_protected(name)) {
            files::protect_input(&path.join(name));
        }
        let mut run = Self {
            path: path.to_path_buf(),
            options: Value::Null,
            ticks: Vec::new(),
            snapshots: Vec::new(),
            fakes: BTreeMap::new(),
            metrics: Vec::new(),
            leak: Value::Null,
            warnings: Vec::new(),
        };
        let warnings = &mut run.warnings;
        run.options = read_options(&path.join(names::TRAINING_OPTIONS), warnings);
        run.snapshots = snapshot_files(path)?;
        for snapshot in &run.snapshots {
            files::protect_input(&snapshot.path);
        }
        let stats = path.join(names::STATS);
        let mut lines = read_lines(&stats, warnings);
        run.ticks = ticks::of_stats(&mut lines);
        warnings.extend(damage_of(&stats, &lines));
        if run.ticks.is_empty() {
            let lengths = Lengths {
                total: run.options["total_kimg"].as_f64(),
                last_snapshot: run.snapshots.last().map(|snapshot| snapshot.kimg),
            };
            run.ticks = event_ticks::ticks(&read_events(path, &names, warnings), lengths);
        }
        if run.ticks.is_empty() {
            let path = path.join(names::LOG);
            let log = Log::parse(&files::decode_text(&read_text(&path, warnings)));
            warnings.extend(
                log.damage()
                    .map(|damage| format!("'{}': {damage}", path.display())),
            );
            run.ticks = log.ticks;
        }
        for name in &names {
            if let Some(kimg) = names::fakes_kimg(name) {
                run.fakes.insert(kimg, path.join(name));
            }
            let results = metric_lines::of_run_file(path, name, warnings);
            let path = path.join(name);
            let lost = metric_lines::without_kimg(&results);
            let broken = metric_lines::without_number(&results);
            let problems = lost.into_iter().chain(broken);
            warnings.extend(problems.map(|text| format!("'{}': {text}", path.display())));
            run.metrics.extend(results);
        }
        let leak = path.join(names::LEAKS);
        let mut lines = read_lines(&leak, warnings);
        warnings.extend(damage_of(&leak, &lines));
        run.leak = lines
            .records
            .pop()
            .map_or(Value::Null, |(_, line)| line.into());
        let is_empty = run.ticks.is_empty()
            && run.snapshots.is_empty()
            && run.options.is_null()
            && run.metrics.is_empty();
        if is_empty {
            let damage = run.warnings.iter().map(|warning| format!("; {warning}"));
            return Err(Error::NoRun {
                path: path.to_owned(),
                damage: damage.collect(),
            });
        }
        Ok(run)
    }

    /// Logs `self.warnings`.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The name of the folder, with symbolic links resolved.
    pub fn name(&self) -> String {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        name_of(&path)
    }

    /// A value of `training_options.json`, by the keys on the path to it; null when it is missing.
    pub fn option(&self, keys: &[&str]) -> &Value {
        keys.iter().fold(&self.options, |value, key| &value[*key])
    }

    /// Length of the warm-up in kimg. Snapshots of the warm-up are not judged by metrics, see
    /// [`WARM_UP_KIMG`](crate::WARM_UP_KIMG).
    pub fn warm_up_kimg(&self) -> f64 {
        warm_up_kimg(&self.options)
    }

    /// The values of a metric result (`fid50k_full`) over training, computed with the feature network `features`.
    pub fn curve(&self, result: &str, features: &str) -> Curve {
        Curve::of(&self.metrics, result, features, self.warm_up_kimg())
    }

    /// Number of the tick at whose end the snapshot of `kimg` was written; estimated as `kimg / 4` where no tick has
    /// that kimg.
    pub fn tick_of(&self, kimg: u64) -> u64 {
        self.ticks
            .iter()
            .find(|tick| tick.kimg.floor() as u64 == kimg)
            .map_or_else(|| (kimg as f64 / 4.0).round() as u64, |tick| tick.tick)
    }

    /// Hours of training until `kimg`, linearly interpolated between ticks; NaN without ticks.
    pub fn hours_at(&self, kimg: f64) -> f64 {
        let after = self.ticks.partition_point(|tick| tick.kimg < kimg);
        match (
            after.checked_sub(1).map(|i| &self.ticks[i]),
            self.ticks.get(after),
        ) {
            (Some(a), Some(b)) if b.kimg > a.kimg => {
                a.hours + (b.hours - a.hours) * (kimg - a.kimg) / (b.kimg - a.kimg)
            }
            (Some(tick), _) | (None, Some(tick)) => tick.hours,
            (None, None) => f64::NAN,
        }
    }

    /// Time since training last modified a file of the run; 0 when it has none.
    pub fn quiet_for(&self) -> Duration {
        let files = std::fs::read_dir(&self.path).into_iter().flatten();
        files
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let is_of_training = names::is_of_training(&entry.file_name().to_string_lossy());
                is_of_training.then(|| entry.metadata().ok()?.modified().ok()?.elapsed().ok())?
            })
            .min()
            .unwrap_or_default()
    }

    /// The longest time that a run in training is expected to go without modifying a file: ten times its longest tick,
    /// at least 15 minutes; an hour when the ticks are not known.
    pub fn patience(&self) -> Duration {
        let longest = self
            .ticks
            .iter()
            .filter_map(|tick| tick.means.get("Timing/sec_per_tick").copied())
            .filter(|secs| secs.is_finite())
            .fold(0.0, f64::max);
        match self.ticks.is_empty() {
            true => Duration::from_secs(3600),
            false => Duration::from_secs_f64((10.0 * longest).clamp(900.0, 1e7)),
        }
    }

    /// Whether training has reached the run's `total_kimg`.
    pub fn has_ended(&self) -> bool {
        let total = self.option(&["total_kimg"]).as_f64();
        let reached = self.ticks.last().map(|tick| tick.kimg);
        matches!((total, reached), (Some(total), Some(reached)) if reached >= total - 1e-6)
    }
}

/// Length of the warm-up in kimg, from `training_options.json`: 0 for a run that starts from trained networks.
pub(crate) fn warm_up_kimg(options: &Value) -> f64 {
    match options["resume_pkl"].is_null() {
        true => WARM_UP_KIMG,
        false => 0.0,
    }
}

/// Reads `training_options.json`; null when it is missing or damaged, the latter with a warning.
pub(crate) fn read_options(path: &Path, warnings: &mut Vec<String>) -> Value {
    const MAX_BYTES: u64 = 16 << 20;
    let options = match files::read_input(path, MAX_BYTES) {
        Ok(bytes) => files::parse_json(&files::decode_text(&bytes)).map_err(|e| e.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Value::Null,
        Err(error) => Err(error.to_string()),
    };
    options.unwrap_or_else(|error| {
        warnings.push(format!(
            "'{}' is damaged ({error}): the settings of this run are not known",
            path.display()
        ));
        Value::Null
    })
}

/// Largest number of bytes read from an event file, which can also contain images.
const MAX_EVENTS: u64 = 4 << 30;

/// Reads all TensorBoard event files among `names`.
fn read_events(path: &Path, names: &[String], warnings: &mut Vec<String>) -> Vec<Events> {
    let mut files = Vec::new();
    for name in names.iter().filter(|name| names::is_events(name)) {
        let path = path.join(name);
        let read = files::read_input(&path, MAX_EVENTS).map(|bytes| Events::parse(&bytes));
        let damage = match &read {
            Ok(events) => events.damage(),
            Err(error) => Some(format!("cannot be read: {error}")),
        };
        warnings.extend(damage.map(|damage| format!("'{}': {damage}", path.display())));
        files.extend(read.ok());
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_reference_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "training_options.json",
            r#"{"total_kimg": 8, "batch_size": 64}"#,
        );
        write(
            "stats.jsonl",
            "{\"Progress/kimg\": {\"num\": 1, \"mean\": 4.032, \"std\": 0.0}, \"Progress/tick\": {\"num\": 1, \"mean\": 1.0, \"std\": 0.0}, \"Timing/total_hours\": {\"num\": 1, \"mean\": 0.5, \"std\": 0.0}, \"Loss/D/reg\": {\"num\": 0, \"mean\": NaN, \"std\": NaN}, \"timestamp\": 1600000000.0}\n{\"Progress/kimg\": {\"num",
        );
        write("network-snapshot-000004.pkl", "");
        write("fakes000004.png", "");
        write(
            "metric-fid50k_full.jsonl",
            "{\"results\": {\"fid50k_full\": 12.5}, \"metric\": \"fid50k_full\", \"snapshot_pkl\": \"network-snapshot-000004.pkl\"}\n",
        );
        let run = RunRecord::open(folder.path()).unwrap();
        assert_eq!(run.ticks.len(), 1);
        assert!(run.ticks[0].means["Loss/D/reg"].is_nan());
        assert_eq!((run.ticks[0].tick, run.tick_of(4)), (1, 1));
        assert_eq!(run.metrics[0].kimg, Some(4));
        assert_eq!(run.metrics[0].features(), "inception-2015-12-05");
        assert_eq!(run.snapshots[0].name(), "network-snapshot-000004.pkl");
        assert!(!run.has_ended());
        assert!(run.quiet_for() < Duration::from_secs(600));
        assert_eq!(run.patience(), Duration::from_secs(900));
        let empty = tempfile::tempdir().unwrap();
        assert!(RunRecord::open(empty.path()).is_err());
        // A folder with metric results alone is a run.
        std::fs::copy(
            folder.path().join("metric-fid50k_full.jsonl"),
            empty.path().join("metric-fid50k_full.jsonl"),
        )
        .unwrap();
        // Lines that are not UTF-8, and JSON that is not a record.
        std::fs::write(empty.path().join("stats.jsonl"), b"\xff\xfe\n{\"a\": 1}\n").unwrap();
        let run = RunRecord::open(empty.path()).unwrap();
        assert_eq!((run.metrics.len(), run.ticks.len()), (1, 0));
    }
}
