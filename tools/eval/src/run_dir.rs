//! The folder of a training run, ours or the reference's: what it holds, read with tolerance for what is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::tfevents;

/// A run as its files tell it.
pub struct RunDir {
    /// The folder.
    pub path: PathBuf,
    /// `training_options.json`; null when there is none.
    pub options: Value,
    /// One record for each tick.
    pub ticks: Vec<Tick>,
    /// Snapshots by their count of kimg.
    pub snapshots: Vec<Snapshot>,
    /// `fakes%06d.png` by kimg.
    pub fakes: BTreeMap<u64, PathBuf>,
    /// Results by file (`metric-*.jsonl`).
    pub metrics: Vec<MetricLine>,
}

/// A line of `stats.jsonl`.
pub struct Tick {
    /// Thousands of images that the discriminator was shown.
    pub kimg: f64,
    /// Hours since the start.
    pub hours: f64,
    /// Number of the tick.
    pub tick: u64,
    /// Mean of each statistic since the tick before.
    pub means: BTreeMap<String, f64>,
}

/// A file of networks.
#[derive(Clone)]
pub struct Snapshot {
    /// From its name.
    pub kimg: u64,
    /// File.
    pub path: PathBuf,
}

impl Snapshot {
    /// File name.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// A line of `metric-*.jsonl`.
pub struct MetricLine {
    /// `fid50k_full`
    pub metric: String,
    /// Thousands of images, from the name of the snapshot.
    pub kimg: Option<u64>,
    /// All of it.
    pub line: Value,
}

impl MetricLine {
    /// What features the numbers are made of; the reference's lines do not say.
    pub fn features(&self) -> &str {
        let of_reference = match self.metric.get(..2) {
            Some("pr" | "pp") => "vgg16",
            _ => "inception-2015-12-05",
        };
        self.line["flavour"]["features"]
            .as_str()
            .unwrap_or(of_reference)
    }

    /// The name of the snapshot.
    pub fn snapshot(&self) -> &str {
        self.line["snapshot_pkl"].as_str().unwrap_or("")
    }
}

impl RunDir {
    /// Reads a folder.
    ///
    /// # Errors
    /// When it is no folder, or holds nothing of a run.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .with_context(|| format!("cannot read the run '{}'", path.display()))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let options = match std::fs::read_to_string(path.join("training_options.json")) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!(
                    "'{}' is damaged",
                    path.join("training_options.json").display()
                )
            })?,
            Err(_) => Value::Null,
        };
        for name in ["training_options.json", "stats.jsonl", "log.txt"] {
            files::protect_input(&path.join(name));
        }
        let mut run = Self {
            path: path.to_path_buf(),
            options,
            ticks: Vec::new(),
            snapshots: Vec::new(),
            fakes: BTreeMap::new(),
            metrics: Vec::new(),
        };
        run.ticks = read_lines(&path.join("stats.jsonl"), tick);
        if run.ticks.is_empty() {
            run.ticks = ticks_of_events(path, &names);
        }
        if run.ticks.is_empty() {
            let log = std::fs::read(path.join("log.txt")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            run.ticks = log.lines().filter_map(tick_of_log).collect();
        }
        for name in &names {
            let number = |prefix: &str, suffix: &str| -> Option<u64> {
                name.strip_prefix(prefix)?
                    .strip_suffix(suffix)?
                    .parse()
                    .ok()
            };
            for suffix in [".safetensors", ".pkl"] {
                if let Some(kimg) = number("network-snapshot-", suffix) {
                    let path = path.join(name);
                    files::protect_input(&path);
                    run.snapshots.push(Snapshot { kimg, path });
                }
            }
            for suffix in [".png", ".jpg", ".webp"] {
                if let Some(kimg) = number("fakes", suffix) {
                    run.fakes.insert(kimg, path.join(name));
                }
            }
            if name.starts_with("metric-") && name.ends_with(".jsonl") {
                run.metrics
                    .extend(read_lines(&path.join(name), metric_line));
            }
        }
        run.snapshots.sort_by_key(|snapshot| snapshot.kimg);
        run.snapshots.dedup_by_key(|snapshot| snapshot.kimg);
        ensure!(
            !run.ticks.is_empty()
                || !run.snapshots.is_empty()
                || !run.options.is_null()
                || !run.metrics.is_empty(),
            "'{}' is no folder of a run: there is no training_options.json, no stats.jsonl, no log.txt, no \
             metric-*.jsonl and no network-snapshot-*",
            path.display()
        );
        Ok(run)
    }

    /// The last part of the path.
    pub fn name(&self) -> String {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        name_of(&path)
    }

    /// An entry of `training_options.json`, by its path of keys.
    pub fn option(&self, keys: &[&str]) -> &Value {
        keys.iter().fold(&self.options, |value, key| &value[*key])
    }

    /// Number of the tick at which a snapshot was written: of the record with its kimg, else by 4 kimg a tick.
    pub fn tick_of(&self, kimg: u64) -> u64 {
        self.ticks
            .iter()
            .find(|tick| tick.kimg.floor() as u64 == kimg)
            .map_or_else(|| (kimg as f64 / 4.0).round() as u64, |tick| tick.tick)
    }

    /// Hours at which a moment of training was reached, between the ticks around it.
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

    /// How long nothing was written by training.
    pub fn quiet_for(&self) -> Duration {
        let of_training = |name: &str| {
            name.starts_with("network-snapshot-")
                || name.starts_with("fakes")
                || name.contains("tfevents")
                || matches!(name, "stats.jsonl" | "log.txt" | "training_options.json")
        };
        let files = std::fs::read_dir(&self.path).into_iter().flatten();
        files
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let is_of_training = of_training(&entry.file_name().to_string_lossy());
                is_of_training.then(|| entry.metadata().ok()?.modified().ok()?.elapsed().ok())?
            })
            .min()
            .unwrap_or_default()
    }

    /// A live run writes at least once in this time: ten of its longest ticks.
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

    /// Whether training has reached its goal.
    pub fn has_ended(&self) -> bool {
        let total = self.option(&["total_kimg"]).as_f64();
        let reached = self.ticks.last().map(|tick| tick.kimg);
        matches!((total, reached), (Some(total), Some(reached)) if reached >= total - 1e-6)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The records of a file, line by line; those that are none are passed over, and told of. The last line of a file that is
/// being written may be cut off.
fn read_lines<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let records: Vec<Option<T>> = lines.iter().map(|line| parse(line)).collect();
    let n_whole = records.len() - usize::from(!text.ends_with('\n') && !records.is_empty());
    let n_bad = records[..n_whole].iter().filter(|r| r.is_none()).count();
    if n_bad > 0 {
        tracing::warn!(
            "'{}': {n_bad} of {} lines are no records and are left out",
            path.display(),
            lines.len()
        );
    }
    records.into_iter().flatten().collect()
}

/// Python writes bare NaN and Infinity, which are no JSON.
fn parse(line: &str) -> Option<Value> {
    let value = serde_json::from_str(line).or_else(|_| {
        let plain = line
            .replace("-Infinity", "null")
            .replace("Infinity", "null")
            .replace("NaN", "null");
        serde_json::from_str(&plain)
    });
    value.ok().filter(Value::is_object)
}

fn tick(line: &str) -> Option<Tick> {
    let value = parse(line)?;
    let means: BTreeMap<String, f64> = value
        .as_object()?
        .iter()
        .filter_map(|(name, stat)| {
            let mean = match stat {
                Value::Object(stat) => stat.get("mean")?.as_f64().unwrap_or(f64::NAN),
                // A plain number, as other programs write.
                other => other.as_f64()?,
            };
            Some((name.clone(), mean))
        })
        .collect();
    let get = |name: &str| means.get(name).copied();
    let kimg = get("Progress/kimg")?;
    let hours = get("Timing/total_hours").or_else(|| Some(get("Timing/total_sec")? / 3600.0));
    Some(Tick {
        kimg,
        hours: hours.unwrap_or(f64::NAN),
        tick: get("Progress/tick").unwrap_or(kimg / 4.0).max(0.0) as u64,
        means,
    })
}

/// From TensorBoard's files, where there is no `stats.jsonl`.
fn ticks_of_events(path: &Path, names: &[String]) -> Vec<Tick> {
    let mut all = Vec::new();
    for name in names.iter().filter(|name| name.contains("tfevents")) {
        if let Ok(bytes) = std::fs::read(path.join(name)) {
            all.extend(tfevents::scalars(&bytes));
        }
    }
    tfevents::by_step(&all)
        .into_iter()
        .map(|(step, (seconds, means))| {
            let kimg = means.get("Progress/kimg").copied().unwrap_or(step as f64);
            let hours = means.get("Timing/total_hours").copied();
            Tick {
                kimg,
                hours: hours.unwrap_or(seconds / 3600.0),
                tick: means
                    .get("Progress/tick")
                    .map_or((kimg / 4.0).round(), |t| *t) as u64,
                means,
            }
        })
        .collect()
}

/// From a status line: `tick 3  kimg 12.1  time 1m 02s  sec/tick 4.0  ...  augment 0.012`.
fn tick_of_log(line: &str) -> Option<Tick> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| -> Option<f64> {
        let at = words.iter().position(|word| *word == key)?;
        words.get(at + 1)?.parse().ok()
    };
    let (tick, kimg) = (after("tick")?, after("kimg")?);
    let from = words.iter().position(|word| *word == "time")?;
    let seconds: f64 = words[from + 1..]
        .iter()
        .map_while(|word| {
            let (digits, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
            let scale = match unit {
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
            Some(digits.parse::<f64>().ok()? * scale)
        })
        .sum();
    let means = after("augment").map(|p| ("Progress/augment".to_owned(), p));
    Some(Tick {
        kimg,
        hours: seconds / 3600.0,
        tick: tick as u64,
        means: means.into_iter().collect(),
    })
}

fn metric_line(line: &str) -> Option<MetricLine> {
    let line = parse(line)?;
    let snapshot = line["snapshot_pkl"].as_str().unwrap_or("");
    let digits: String = snapshot
        .rsplit(['/', '\\'])
        .next()?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Some(MetricLine {
        metric: line["metric"].as_str()?.to_owned(),
        kimg: digits.parse().ok(),
        line,
    })
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
        let run = RunDir::open(folder.path()).unwrap();
        assert_eq!(run.ticks.len(), 1);
        assert!(run.ticks[0].means["Loss/D/reg"].is_nan());
        assert_eq!((run.ticks[0].tick, run.tick_of(4)), (1, 1));
        assert_eq!(run.metrics[0].kimg, Some(4));
        assert_eq!(run.metrics[0].features(), "inception-2015-12-05");
        assert_eq!(run.snapshots[0].name(), "network-snapshot-000004.pkl");
        assert!(!run.has_ended());
        let line = "tick 601   kimg 2423.3   time 18h 36m 40s  sec/tick 108.1   sec/kimg 26.81   maintenance 254.8  cpumem 1.09   gpumem 3.13   augment 0.441";
        let tick = tick_of_log(line).unwrap();
        assert_eq!(
            (tick.tick, tick.kimg, tick.means["Progress/augment"]),
            (601, 2423.3, 0.441)
        );
        assert!((tick.hours - 18.6111).abs() < 1e-3);
        assert!(run.quiet_for() < Duration::from_secs(600));
        assert_eq!(run.patience(), Duration::from_secs(900));
        let empty = tempfile::tempdir().unwrap();
        assert!(RunDir::open(empty.path()).is_err());
        // Results alone are something to compare.
        std::fs::copy(
            folder.path().join("metric-fid50k_full.jsonl"),
            empty.path().join("metric-fid50k_full.jsonl"),
        )
        .unwrap();
        // Bytes that are no text, and lines that are no records.
        std::fs::write(empty.path().join("stats.jsonl"), b"\xff\xfe\n{\"a\": 1}\n").unwrap();
        let run = RunDir::open(empty.path()).unwrap();
        assert_eq!((run.metrics.len(), run.ticks.len()), (1, 0));
    }
}
