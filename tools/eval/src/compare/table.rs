//! The table of runs, for the page and as CSV and Markdown.

use std::time::Duration;

use files::mark::MARKDOWN_START;
use report::short;
use run_folder::{Curve, RunRecord, format_time};

use super::labels::RunLabel;

/// A table with one row for each run.
pub struct RunTable {
    pub rows: Vec<Vec<String>>,
}

/// Column headings. In CSV the first one is `series` instead: a first column `series` and a last column `error` mark a
/// file as a table of this project ([`files::mark`]).
const HEADER: [&str; 11] = [
    "run",
    "kimg",
    "time",
    "images",
    "p at the end",
    "sign of reals",
    "copies",
    "last",
    "at kimg",
    "best",
    "error",
];

impl RunTable {
    /// Makes the table. `result` is the metric result in the columns `last` and `best`, computed with the feature
    /// network `features`.
    pub fn new(
        runs: &[RunRecord],
        labels: &[RunLabel],
        result: Option<&str>,
        features: &str,
    ) -> Self {
        let rows = runs.iter().zip(labels);
        let rows = rows.map(|(run, label)| row(run, &label.name, result, features));
        Self {
            rows: rows.collect(),
        }
    }

    pub fn header(&self) -> [&'static str; 11] {
        HEADER
    }

    pub fn to_csv(&self) -> String {
        let quote = |cell: &str| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_owned(),
        };
        let line =
            |cells: &mut dyn Iterator<Item = &str>| cells.map(quote).collect::<Vec<_>>().join(",");
        let header = std::iter::once("series").chain(HEADER.into_iter().skip(1));
        let mut text = line(&mut { header }) + "\n";
        for row in &self.rows {
            text += &line(&mut row.iter().map(String::as_str));
            text.push('\n');
        }
        text
    }

    pub fn to_markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = MARKDOWN_START.to_owned() + &line(&mut HEADER.into_iter());
        text += &format!("|{}\n", " --- |".repeat(HEADER.len()));
        for row in &self.rows {
            text += &line(&mut row.iter().map(String::as_str));
        }
        text
    }
}

fn row(run: &RunRecord, name: &str, result: Option<&str>, features: &str) -> Vec<String> {
    let dash = || "–".to_owned();
    let last = run.ticks.last();
    let mean = |key: &str| last.and_then(|tick| tick.means.get(key).copied());
    let curve = result.map_or_else(Curve::default, |result| run.curve(result, features));
    let best = curve.best();
    let n_images = run.option(&["training_set_kwargs", "max_size"]);
    let time = last
        .filter(|tick| tick.hours.is_finite())
        .map(|tick| format_time(Duration::from_secs_f64(3600.0 * tick.hours.clamp(0.0, 1e9))));
    vec![
        name.to_owned(),
        last.map_or_else(dash, |tick| short(tick.kimg)),
        time.unwrap_or_else(dash),
        n_images.as_u64().map_or_else(dash, |n| n.to_string()),
        mean("Progress/augment").map_or_else(dash, short),
        mean("Loss/signs/real").map_or_else(dash, short),
        copies(run).map_or_else(dash, short),
        curve
            .points
            .last()
            .map_or_else(dash, |point| short(point.value)),
        best.map_or_else(dash, |point| short(point.kimg)),
        best.map_or_else(dash, |point| short(point.value)),
        best.and_then(|point| point.std).map_or_else(dash, short),
    ]
}

/// The fraction of generated images that copy training images (metric `mem`), at the last snapshot with this result.
fn copies(run: &RunRecord) -> Option<f64> {
    let lines = run.metrics.iter().filter(|line| line.kimg.is_some());
    let shares = lines.filter_map(|line| {
        let results = line.line["results"].as_object()?;
        let mut shares = results
            .iter()
            .filter(|(name, _)| name.starts_with("mem") && name.ends_with("_share"));
        Some((line.kimg, shares.next()?.1.as_f64()?))
    });
    shares.max_by_key(|(kimg, _)| *kimg).map(|(_, share)| share)
}
