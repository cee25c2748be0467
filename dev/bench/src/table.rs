//! Tables of ratios as Markdown, for BENCHMARKS.md.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

/// The result of one case with one number of threads.
#[derive(Clone, Debug)]
pub struct Row {
    group: String,
    goal: f64,
    case: String,
    threads: usize,
    ours_ms: f64,
    peer_ms: f64,
    /// The median, over rounds, of PyTorch's time divided by ours in the same round.
    ratio: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Row {
    /// The medians of rounds, each given as `(ours, PyTorch's)` in milliseconds.
    pub fn from_rounds(
        group: &str,
        goal: f64,
        case: &str,
        threads: usize,
        rounds: &[(f64, f64)],
    ) -> Row {
        Row {
            group: group.into(),
            goal,
            case: case.into(),
            threads,
            ours_ms: median(rounds.iter().map(|r| r.0).collect()),
            peer_ms: median(rounds.iter().map(|r| r.1).collect()),
            ratio: median(rounds.iter().map(|r| r.1 / r.0).collect()),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<34} {} thread(s)  ours {:>9.2} ms  torch {:>9.2} ms  ratio {:.2}",
            self.case, self.threads, self.ours_ms, self.peer_ms, self.ratio
        )
    }
}

/// The results of one run as Markdown.
pub struct Section {
    text: String,
    summary: String,
}

impl Section {
    /// Formats rows and peak memory as Markdown. `memory` holds case, our peak and PyTorch's peak, in MiB; `version` is
    /// that of PyTorch, `rounds` the number behind each median, and `gpu` text that precedes the name of the CPU.
    pub fn new(
        rows: &[Row],
        memory: &[(String, f64, f64)],
        version: &str,
        rounds: usize,
        gpu: &str,
    ) -> Section {
        let mut summary = format!(
            "PyTorch {version} / ours, {gpu}{}, {}. Ratios above 1 mean that ours is faster; median of {rounds} round(s) in turn, both allocators tuned.\n\n\
             | group | threads | ratio (geometric mean) | goal |\n|---|---|---|---|\n",
            machine(),
            today()
        );
        let mut groups: Vec<(&str, usize)> =
            rows.iter().map(|r| (r.group.as_str(), r.threads)).collect();
        groups.dedup();
        for (group, threads) in groups {
            let of_group: Vec<&Row> = rows
                .iter()
                .filter(|r| r.group == group && r.threads == threads)
                .collect();
            let mean =
                (of_group.iter().map(|r| r.ratio.ln()).sum::<f64>() / of_group.len() as f64).exp();
            summary += &format!(
                "| {group} | {threads} | {mean:.2} | {:.1} |\n",
                of_group[0].goal
            );
        }
        for (case, ours, peer) in memory {
            summary += &format!(
                "| peak memory of `{case}` | 1 | {:.2} ({ours:.0} MB against {peer:.0} MB) | 1.0 |\n",
                peer / ours.max(1e-9)
            );
        }
        let mut text = summary.clone();
        text += "\n| case | threads | ours, ms | torch, ms | ratio |\n|---|---|---|---|---|\n";
        for row in rows {
            text += &format!(
                "| `{}` | {} | {:.2} | {:.2} | {:.2} |\n",
                row.case, row.threads, row.ours_ms, row.peer_ms, row.ratio
            );
            if let Some(kimg) = kimg_of(&row.case) {
                text += &format!(
                    "| seconds a kimg of it | {} | {:.2} | {:.2} | |\n",
                    row.threads,
                    row.ours_ms / 1e3 / kimg,
                    row.peer_ms / 1e3 / kimg
                );
            }
        }
        Section { text, summary }
    }

    /// The table with one line per group, without the single cases.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Writes the section between the marks of section `name` in the file.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn write(&self, file: &str, name: &str) -> Result<()> {
        crate::benchmarks::write(file, name, &self.text)
    }
}

/// The thousands of real images that a `cycle` case trains on (16 iterations); `None` for other cases.
fn kimg_of(case: &str) -> Option<f64> {
    let numbers = case.strip_prefix("cycle:")?;
    let batch: f64 = numbers.split(':').nth(3)?.parse().ok()?;
    Some(16.0 * batch / 1e3)
}

/// The model of the CPU and its number of cores.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']));
    format!(
        "{cores} shared cores of {} ({:?})",
        model.unwrap_or("an unknown processor"),
        ops::isa()
    )
}

/// The current date (UTC), as `2026-11-23`.
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    // Converts days to a date of the Gregorian calendar; years are counted from March.
    let days = (seconds / 86400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}
