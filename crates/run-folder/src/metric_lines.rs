//! Reads metric results from `metric-*.jsonl`, and from `metric-*.txt` of NVIDIA's TensorFlow program.

use std::path::Path;

use files::JsonLines;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::names::{metric_of, metric_of_text};
use crate::number::format_number;
use crate::reading::{damage_of, read_lines, read_text};
use crate::snapshots::snapshot_kimg;

/// A metric result of one snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Thousands of real images seen.
    pub kimg: f64,
    /// The value of the result; NaN or infinite where the metric returned such a value.
    pub value: f64,
    /// Standard error of the value; `None` where it is not known.
    pub std: Option<f64>,
}

/// Returns the part of a line of `metric-*.jsonl` that describes how its numbers were computed: feature network,
/// covariance, numbers of images. Null for lines of NVIDIA's programs. The key is `provenance`, or `flavour` in files
/// of earlier versions of this program.
pub fn provenance(line: &Value) -> &Value {
    line.get("provenance").unwrap_or(&line["flavour"])
}

/// The results of one metric for one snapshot: a line of `metric-*.jsonl`.
#[derive(Clone, Debug)]
pub struct MetricLine {
    /// NVIDIA's name of the metric, such as `fid50k_full`.
    pub metric: String,
    /// Thousands of real images seen, from the name of the snapshot, or else from the field `kimg` of the line; `None`
    /// when both are missing.
    pub kimg: Option<u64>,
    /// The whole line as a JSON object.
    pub line: Value,
}

impl MetricLine {
    /// A result that is not in a file yet; `line` is the object that will be written. `None` when `line` is not a JSON
    /// object.
    pub fn of_result(metric: &str, line: &Value) -> Option<Self> {
        Some(metric_line(metric, line.as_object()?.clone()))
    }

    /// Name of the feature network, from the provenance of the line. Lines of NVIDIA's programs have no provenance;
    /// there the metric determines the network: VGG16 for `pr*` and `ppl*`, Inception for others.
    pub fn features(&self) -> &str {
        let of_reference = match self.metric.get(..2) {
            Some("pr" | "pp") => "vgg16",
            _ => "inception-2015-12-05",
        };
        provenance(&self.line)["features"]
            .as_str()
            .unwrap_or(of_reference)
    }

    /// The result named `result` as a point of a curve; `None` when the line lacks this result or its kimg.
    pub(crate) fn point(&self, result: &str) -> Option<Point> {
        Some(Point {
            kimg: self.kimg? as f64,
            // NaN and infinity are written as null.
            value: self.line["results"]
                .get(result)?
                .as_f64()
                .unwrap_or(f64::NAN),
            std: self.line["std"][result].as_f64(),
        })
    }

    /// The file name of the snapshot; empty where the line has none.
    pub fn snapshot(&self) -> &str {
        self.line["snapshot_pkl"].as_str().unwrap_or("")
    }

    /// The results as text, such as `fid50k_full 12.5`.
    fn results_text(&self) -> String {
        let results = self.line["results"].as_object().into_iter().flatten();
        let numbers: Vec<String> = results
            .map(|(name, value)| {
                format!(
                    "{name} {}",
                    value
                        .as_f64()
                        .map_or_else(|| "null".into(), |v| format_number(v, 4))
                )
            })
            .collect();
        numbers.join(", ")
    }
}

/// All metric results in a run folder. Damaged lines are skipped.
///
/// # Errors
/// `Unreadable` when the folder cannot be read.
pub fn read_metric_lines(run_dir: &Path) -> Result<Vec<MetricLine>> {
    let entries = std::fs::read_dir(run_dir).map_err(Error::unreadable(run_dir))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut warnings = Vec::new();
    Ok(names
        .flat_map(|name| of_run_file(run_dir, &name, &mut warnings))
        .collect())
}

/// The metric results in the file `name` of a run folder; damage is added to `warnings`. Empty when `name` is not the
/// name of a result file.
pub(crate) fn of_run_file(
    run_dir: &Path,
    name: &str,
    warnings: &mut Vec<String>,
) -> Vec<MetricLine> {
    let path = run_dir.join(name);
    let mut results = Vec::new();
    if let Some(metric) = metric_of(name) {
        let mut lines = read_lines(&path, warnings);
        results = of_file(metric, &mut lines);
        warnings.extend(damage_of(&path, &lines));
    } else if let Some(metric) = metric_of_text(name) {
        let text = read_text(&path, warnings);
        let (found, n_damaged) = of_text(metric, &files::decode_text(&text));
        results = found;
        if n_damaged > 0 {
            warnings.push(format!(
                "'{}': {n_damaged} lines hold no result and are left out",
                path.display()
            ));
        }
    }
    results
}

/// The results in the lines of `metric-<metric>.jsonl`. Objects without results are marked as damaged lines.
pub(crate) fn of_file(metric: &str, lines: &mut JsonLines) -> Vec<MetricLine> {
    let records = std::mem::take(&mut lines.records);
    let mut found = Vec::new();
    for (number, record) in records {
        match has_results(&record) {
            true => found.push(metric_line(metric, record)),
            false => lines.reject(number),
        }
    }
    found
}

fn has_results(record: &Map<String, Value>) -> bool {
    // The names of results become names of plots. A metric has a handful of results, with names of about 30 characters.
    const MOST: usize = 100;
    const LONGEST: usize = 100;
    let results = record.get("results").and_then(Value::as_object);
    results.is_some_and(|results| {
        (1..=MOST).contains(&results.len()) && results.keys().all(|name| name.len() <= LONGEST)
    })
}

/// Makes a [`MetricLine`] of a JSON object from the file of `metric`.
pub(crate) fn metric_line(metric: &str, record: Map<String, Value>) -> MetricLine {
    let line = Value::from(record);
    let of_name = line["snapshot_pkl"].as_str().and_then(snapshot_kimg);
    let own = line["kimg"].as_f64().filter(|kimg| *kimg >= 0.0);
    MetricLine {
        metric: line["metric"].as_str().unwrap_or(metric).to_owned(),
        kimg: of_name.or(own.map(|kimg| kimg as u64)),
        line,
    }
}

/// Parses `metric-<metric>.txt` of NVIDIA's TensorFlow program. Returns the results and the number of damaged lines
/// (without a result, or with zero bytes). A line is `network-snapshot-000200   time 5m 13s   fid50k_full 12.34`, and
/// more names with numbers can follow.
pub(crate) fn of_text(metric: &str, text: &str) -> (Vec<MetricLine>, usize) {
    let (mut found, mut n_damaged) = (Vec::new(), 0);
    let text = files::without_escapes(text);
    for (_, line) in files::text_lines(&text) {
        // Zero bytes are left by power failures.
        let has_zeros = line.contains('\0');
        let line = line.trim_matches('\0');
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = words.windows(2).filter_map(|pair| {
            let value = pair[1].parse::<f64>().ok()?;
            pair[0]
                .starts_with(metric)
                .then(|| (pair[0].to_owned(), value.into()))
        });
        let results: Map<String, Value> = numbers.collect();
        // The TensorFlow program cuts off the beginning of long names.
        let snapshot = words.first().and_then(|word| {
            let at = word.find("network-snapshot-")?;
            Some(Value::from(&word[at..]))
        });
        n_damaged += usize::from(has_zeros || results.is_empty());
        if results.is_empty() {
            continue;
        }
        let record = Map::from_iter([
            ("results".to_owned(), results.into()),
            (
                "snapshot_pkl".to_owned(),
                snapshot.unwrap_or(words[0].into()),
            ),
        ]);
        found.push(metric_line(metric, record));
    }
    (found, n_damaged)
}

/// A message that lists the results without kimg; `None` when every result has a kimg.
pub(crate) fn without_kimg(lines: &[MetricLine]) -> Option<String> {
    const SHOWN: usize = 3;
    let lost: Vec<&MetricLine> = lines.iter().filter(|line| line.kimg.is_none()).collect();
    if lost.is_empty() {
        return None;
    }
    let shown = lost.iter().take(SHOWN).map(|line| {
        let snapshot = match line.snapshot() {
            "" => "snapshot_pkl is null".to_owned(),
            name => format!("snapshot_pkl is '{name}'"),
        };
        format!("{} ({snapshot})", line.results_text())
    });
    let mut shown: Vec<String> = shown.collect();
    if let more @ 1.. = lost.len().saturating_sub(SHOWN) {
        shown.push(format!("{more} more"));
    }
    Some(format!(
        "{} of {} results have no kimg and are not plotted: {}",
        lost.len(),
        lines.len(),
        shown.join("; ")
    ))
}

/// A message that lists the results that have a kimg but cannot be plotted, because they are NaN, infinite or null;
/// `None` when there are no such results.
pub(crate) fn without_number(lines: &[MetricLine]) -> Option<String> {
    const SHOWN: usize = 3;
    let broken = lines.iter().filter(|line| line.kimg.is_some());
    let broken = broken.flat_map(|line| {
        let results = line.line["results"].as_object().into_iter().flatten();
        let broken = results.filter(|(_, value)| !value.as_f64().is_some_and(f64::is_finite));
        broken.map(move |(name, _)| match line.snapshot() {
            "" => format!("{name} at kimg {}", line.kimg.unwrap_or_default()),
            snapshot => format!("{name} of '{snapshot}'"),
        })
    });
    let mut shown: Vec<String> = broken.collect();
    let n = shown.len();
    if let more @ 1.. = n.saturating_sub(SHOWN) {
        shown.truncate(SHOWN);
        shown.push(format!("{more} more"));
    }
    (n > 0).then(|| {
        format!(
            "{n} results are NaN or infinite and are missing in the plots: {}",
            shown.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_unlike_those_of_any_metric_are_damage() {
        let wide: Vec<String> = (0..101).map(|i| format!("\"fid{i}\": 1")).collect();
        let text = format!(
            "{{\"results\": {{\"fid50k_full\": 1}}}}\n{{\"results\": {{\"{}\": 1}}}}\n{{\"results\": {{{}}}}}\n",
            "m".repeat(300),
            wide.join(", ")
        );
        let mut lines = JsonLines::parse(text.as_bytes());
        assert_eq!(of_file("fid50k_full", &mut lines).len(), 1);
        assert_eq!(lines.damaged, [2, 3]);
    }

    fn lines(text: &str) -> (Vec<MetricLine>, JsonLines) {
        let mut lines = JsonLines::parse(text.as_bytes());
        (of_file("fid50k_full", &mut lines), lines)
    }

    #[test]
    fn kimg_is_that_of_the_snapshot_or_of_the_line() {
        for (rest, want) in [
            (
                "\"snapshot_pkl\": \"network-snapshot-000200.pkl\"",
                Some(200),
            ),
            (
                "\"snapshot_pkl\": \"../x2/network-snapshot-000004.pkl\"",
                Some(4),
            ),
            ("\"snapshot_pkl\": null, \"kimg\": 12", Some(12)),
            ("\"kimg\": 12.096", Some(12)),
            ("\"snapshot_pkl\": null", None),
            ("\"snapshot_pkl\": \"ffhq512.pkl\"", None),
            ("\"snapshot_pkl\": 7", None),
        ] {
            let (found, read) = lines(&format!(
                "{{\"results\": {{\"fid50k_full\": 12.5}}, {rest}}}\n"
            ));
            assert_eq!(found[0].kimg, want, "{rest}");
            assert_eq!(found[0].metric, "fid50k_full");
            assert_eq!(read.damage(), None);
            assert_eq!(without_kimg(&found).is_some(), want.is_none());
        }
    }

    #[test]
    fn results_without_kimg_are_listed() {
        let line = "{\"results\": {\"fid50k_full\": 12.5}, \"metric\": \"fid50k_full\", \"snapshot_pkl\": null}\n";
        let nan = "{\"results\": {\"fid50k_full\": NaN}, \"snapshot_pkl\": \"best.pkl\"}\n";
        let (found, _) = lines(&format!("{line}{nan}{line}{line}{line}"));
        let text = without_kimg(&found).unwrap();
        assert!(text.starts_with("5 of 5 results"), "{text}");
        assert!(
            text.contains("fid50k_full 12.5") && text.contains("snapshot_pkl is null"),
            "{text}"
        );
        assert!(
            text.contains("'best.pkl'") && text.ends_with("2 more"),
            "{text}"
        );
    }

    #[test]
    fn results_that_are_not_finite_are_listed() {
        let line = |value: &str, kimg: u64| {
            format!(
                "{{\"results\": {{\"fid50k_full\": {value}}}, \"snapshot_pkl\": \"network-snapshot-{kimg:06}.pkl\"}}\n"
            )
        };
        let text = [
            line("12.5", 0),
            line("NaN", 200),
            line("null", 400),
            line("31.25", 600),
        ];
        let (found, _) = lines(&text.concat());
        let text = without_number(&found).unwrap();
        assert!(
            text.starts_with("2 results are NaN")
                && text.contains("fid50k_full of 'network-snapshot-000200.pkl'")
                && text.contains("network-snapshot-000400.pkl"),
            "{text}"
        );
        let many: String = (0..6).map(|i| line("Infinity", 100 * i)).collect();
        let text = without_number(&lines(&many).0).unwrap();
        assert!(
            text.starts_with("6 results") && text.ends_with("3 more"),
            "{text}"
        );
        assert_eq!(without_number(&lines(&line("12.5", 0)).0), None);
        let (found, _) = lines("{\"results\": {\"fid50k_full\": NaN}, \"kimg\": 8}\n");
        assert!(
            without_number(&found)
                .unwrap()
                .ends_with("fid50k_full at kimg 8")
        );
    }

    #[test]
    fn zeros_and_colors_in_text_are_not_results() {
        let text = "\0\0\0\n\0\0network-snapshot-000000 time 5m fid50k_full 344.5\n\x1b[32mnetwork-snapshot-000200 time 5m fid50k_full 12.5\x1b[0m\n";
        let (found, n_damaged) = of_text("fid50k_full", text);
        let kimgs: Vec<Option<u64>> = found.iter().map(|line| line.kimg).collect();
        assert_eq!((kimgs, n_damaged), (vec![Some(0), Some(200)], 2));
    }

    #[test]
    fn lines_of_the_tensorflow_reference_are_results() {
        let text = concat!(
            "network-snapshot-000000        time 5m 13s       fid50k_full 344.2345\n",
            "...ada-network-snapshot-000200  time 1h 05m 13s   fid50k_full 12.5\n",
            "network-snapshot-000400        time 5m\n",
        );
        let (found, n_damaged) = of_text("fid50k_full", text);
        let points: Vec<(Option<u64>, f64)> = found
            .iter()
            .map(|line| {
                (
                    line.kimg,
                    line.line["results"]["fid50k_full"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(points, [(Some(0), 344.2345), (Some(200), 12.5)]);
        assert_eq!(
            (n_damaged, found[0].features()),
            (1, "inception-2015-12-05")
        );
        let line =
            "network-snapshot-000200 time 9s pr50k3_full_precision 0.61 pr50k3_full_recall nan";
        let (found, _) = of_text("pr50k3_full", line);
        assert_eq!(found[0].line["results"]["pr50k3_full_precision"], 0.61);
        assert!(found[0].line["results"]["pr50k3_full_recall"].is_null());
    }

    #[test]
    fn objects_without_results_are_damaged_lines() {
        let (found, read) =
            lines("{\"results\": {}}\n{\"metric\": \"fid50k_full\"}\n{\"results\": 3}\n");
        assert!(found.is_empty());
        assert_eq!(read.damaged, [1, 2, 3]);
    }
}
