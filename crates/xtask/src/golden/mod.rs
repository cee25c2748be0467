//! Golden data: numbers that the reference implementation gave, and what we make of the same inputs.

use std::path::Path;

use ::ops::device::DeviceName;
use anyhow::{Result, bail};

pub mod ada;
pub mod augment;
pub mod dataset;
pub mod detect;
pub mod files;
mod images;
pub mod inception;
pub mod losses;
pub mod metrics;
pub mod networks;
pub mod ops;
pub mod pickle;
pub mod rng;
pub mod tensors;
mod train_configs;

/// The outcome of one golden case.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// Folder of the golden data (`ops`, `rng`).
    pub suite: String,
    /// Name within the suite.
    pub case: String,
    /// Largest error found.
    pub worst: f64,
    /// Largest error allowed.
    pub tolerance: f64,
}

impl CaseResult {
    /// Whether the error is within the tolerance; NaN is not.
    pub fn passed(&self) -> bool {
        self.worst <= self.tolerance
    }
}

type Suite = fn(&Path) -> Result<Vec<CaseResult>>;

/// Every suite by the name of its folder.
const SUITES: &[(&str, Suite)] = &[
    ("ada", ada::run),
    ("augment", augment::run),
    ("dataset", dataset::run),
    ("detect", detect::run),
    ("inception", inception::run),
    ("metrics", metrics::run),
    ("losses", losses::run),
    ("networks", networks::run),
    ("ops", ops::run),
    ("pickle", pickle::run),
    ("rng", rng::run),
];

/// The suites whose cases are computed on the chosen device, in f32; all others know only the CPU.
const ON_DEVICES: [&str; 4] = ["augment", "losses", "networks", "ops"];
/// Cards add in another order: their errors may be as many times those allowed on a CPU.
const SLACK_ON_CARDS: f64 = 4.0;

/// Runs every suite found below `dir`, prints a table, and fails when a case misses its tolerance. On a card only the
/// suites of tensors run, with tolerances that are 4 times as wide.
///
/// # Errors
/// When a case misses, its files cannot be read, or there is no such device.
pub fn run(dir: &Path, device: DeviceName) -> Result<()> {
    let on_card = device != DeviceName::Cpu;
    if on_card {
        tensors::compute_on(device.open()?)?;
    }
    let mut results = Vec::new();
    for (name, suite) in SUITES {
        if on_card && !ON_DEVICES.contains(name) {
            continue;
        }
        let folder = dir.join(name);
        if folder.is_dir() {
            results.extend(suite(&folder)?);
        }
    }
    if on_card {
        for result in &mut results {
            result.tolerance *= SLACK_ON_CARDS;
        }
    }
    let mut n_missed = 0;
    for result in &results {
        n_missed += usize::from(!result.passed());
        cli::outln!(
            "{:<8} {:<48} worst {:<10.3e} tolerance {:<10.3e} {}",
            result.suite,
            result.case,
            result.worst,
            result.tolerance,
            if result.passed() { "ok" } else { "MISS" }
        );
    }
    if results.is_empty() || n_missed > 0 {
        bail!(
            "{n_missed} of {} golden cases missed in '{}'",
            results.len(),
            dir.display()
        );
    }
    cli::outln!("{} golden cases passed", results.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::ops::device::DeviceName;

    #[test]
    fn the_subset_in_the_tree_passes() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden");
        super::run(Path::new(dir), DeviceName::Cpu).unwrap();
    }

    #[test]
    fn a_folder_without_golden_data_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        assert!(super::run(empty.path(), DeviceName::Cpu).is_err());
    }
}
