//! `eval compare`: compares runs on one HTML page.

pub mod labels;
mod page;
mod plots;
mod strip;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use report::{Plot, YAxis};
use run_folder::RunRecord;
use serde_json::json;
use tool_support::find_run;

use crate::args::CompareArgs;
use crate::verdict::verdict;
use page::page;
use plots::Plots;
use table::RunTable;

pub fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let runs = args
        .runs
        .iter()
        .map(|path| Ok(RunRecord::open(&find_run(path)?)?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    runs.iter().for_each(RunRecord::warn);
    let warnings: Vec<&String> = runs.iter().flat_map(|run| &run.warnings).collect();
    let labels = labels::labels(&runs);
    let names: Vec<String> = labels.iter().map(|label| label.name.clone()).collect();
    let (result, features) = main_result(&runs);
    let verdict = verdict(&runs, &labels, result.as_deref(), &features);
    let y_axis = match args.log {
        true => YAxis::Log,
        false => YAxis::FromZero,
    };
    let plots = Plots::new(&runs, &names, y_axis);
    let folder = args.plots.clone().unwrap_or_else(|| beside(&args.out));
    let all_plots = || plots.metrics.iter().chain(&plots.curves);
    args.overwrite.check(&args.out)?;
    for plot in all_plots() {
        for ending in ["png", "csv"] {
            args.overwrite.check(&plot_path(&folder, plot, ending))?;
        }
    }
    let table = RunTable::new(&runs, &labels, result.as_deref(), &features);
    let tables = [
        (folder.join("runs.csv"), table.to_csv()),
        (folder.join("runs.md"), table.to_markdown()),
    ];
    for (path, _) in &tables {
        args.overwrite.check(path)?;
    }
    let page = page(
        &runs,
        &names,
        result.as_deref(),
        &features,
        &verdict,
        &table,
        &plots,
    )?;
    files::write_bytes(&args.out, page.as_bytes())?;
    for plot in all_plots() {
        files::write_bytes(plot_path(&folder, plot, "png"), &plot.to_png())?;
        files::write_bytes(plot_path(&folder, plot, "csv"), plot.to_csv().as_bytes())?;
    }
    for (path, text) in tables {
        files::write_bytes(path, text.as_bytes())?;
    }
    let report = json!({
        "page": args.out.to_string_lossy(),
        "plots": folder.to_string_lossy(),
        "headline": verdict.headline,
        "verdict": verdict.details,
        "warnings": warnings,
    });
    cli::report(&report, |_| {
        format!(
            "{}\n\n{}\n\npage   {}\nplots  {} (PNG and CSV; the table of runs as CSV and Markdown)",
            verdict.headline,
            verdict.details.join("\n"),
            args.out.display(),
            folder.display()
        )
    });
    Ok(())
}

/// The path of an output file for a plot, named by the plot's title and x axis.
fn plot_path(folder: &Path, plot: &Plot, ending: &str) -> PathBuf {
    let name: String = format!("{} by {}", plot.title, plot.x_label)
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() || c == '-' {
            true => c,
            false => '_',
        })
        .collect();
    folder.join(format!("{name}.{ending}"))
}

/// The default folder for the plots of a page: `compare-plots` for `compare.html`.
fn beside(out: &Path) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}-plots"))
}

/// The metric result by which runs are judged, and its feature network: the one that most runs have; among these a FID,
/// then a KID, then the one with the most values.
fn main_result(runs: &[RunRecord]) -> (Option<String>, String) {
    let mut counts: BTreeMap<(String, String), (BTreeSet<usize>, usize)> = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        for line in run.metrics.iter().filter(|line| line.kimg.is_some()) {
            for result in line.line["results"].as_object().into_iter().flatten() {
                let key = (result.0.clone(), line.features().to_owned());
                let entry = counts.entry(key).or_default();
                entry.0.insert(i);
                entry.1 += 1;
            }
        }
    }
    let top = counts
        .into_iter()
        .max_by_key(|((name, _), (runs, points))| {
            (
                runs.len(),
                name.starts_with("fid"),
                name.starts_with("kid"),
                *points,
            )
        });
    match top {
        Some(((result, features), _)) => (Some(result), features),
        None => (None, "inception-2015-12-05".to_owned()),
    }
}
