//! Finds the results of earlier runs, which are left out of the inputs.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;

/// Finds the files of earlier runs among the items of a folder. A journal with a manifest beside it marks a run; the
/// result contains the names of both, and of the run's zip, report and recipe.
pub(super) fn earlier_results(items: &[fs::DirEntry]) -> HashSet<OsString> {
    let names: HashSet<OsString> = items.iter().map(fs::DirEntry::file_name).collect();
    let mut results = HashSet::new();
    for item in items {
        let path = item.path();
        let is_journal = path.extension().is_some_and(|e| e == "journal")
            && path.join("records.jsonl").is_file();
        let Some(stem) = path.file_stem().filter(|_| is_journal) else {
            continue;
        };
        let with = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            name
        };
        if names.contains(&with(".manifest.jsonl")) {
            tracing::warn!(
                "'{}' and what lies beside it are left out: the result of an earlier run",
                path.with_extension("zip").display()
            );
            results.extend(
                [
                    ".zip",
                    ".manifest.jsonl",
                    ".report.html",
                    ".recipe.toml",
                    ".journal",
                ]
                .map(with),
            );
        }
    }
    results
}
