//! Golden data: results of NVIDIA's implementation, and the comparison with ours for the same inputs.

use std::path::Path;
use std::time::Instant;

use ::ops::device::DeviceName;
use anyhow::{Result, bail};

pub mod ada;
pub mod augment;
mod case;
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
mod weights;

/// The outcome of one golden case.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// The folder of the golden data, for example `ops` or `rng`.
    pub suite: String,
    /// The name of the case within its suite.
    pub case: String,
    /// The largest error that was found.
    pub worst: f64,
    /// The largest error that is allowed.
    pub tolerance: f64,
}

impl CaseResult {
    /// Whether the error is within the tolerance; NaN is not.
    pub fn passed(&self) -> bool {
        self.worst <= self.tolerance
    }
}

/// Collects the results of a run. Each is printed at once, since a run on an emulated GPU takes long.
pub struct Results {
    /// A factor on all tolerances.
    slack: f64,
    n_cases: usize,
    n_missed: usize,
    /// The largest ratio of an error to its tolerance, over all cases with a tolerance above 0.
    largest_share: f64,
}

impl Results {
    fn new(slack: f64) -> Results {
        Results {
            slack,
            n_cases: 0,
            n_missed: 0,
            largest_share: 0.0,
        }
    }

    /// Adds the result of a case and prints it.
    pub fn push(&mut self, mut result: CaseResult) {
        result.tolerance *= self.slack;
        self.n_cases += 1;
        self.n_missed += usize::from(!result.passed());
        if result.tolerance > 0.0 {
            self.largest_share = self.largest_share.max(result.worst / result.tolerance);
        }
        cli::outln!(
            "{:<8} {:<48} worst {:<10.3e} tolerance {:<10.3e} {}",
            result.suite,
            result.case,
            result.worst,
            result.tolerance,
            if result.passed() { "ok" } else { "MISS" }
        );
    }
}

impl Extend<CaseResult> for Results {
    fn extend<I: IntoIterator<Item = CaseResult>>(&mut self, results: I) {
        results.into_iter().for_each(|result| self.push(result));
    }
}

type Suite = fn(&Path, &mut Results) -> Result<()>;

/// All suites with the names of their folders.
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

/// The suites that compute on the chosen device, in f32; all others run on the CPU only.
const ON_DEVICES: [&str; 4] = ["augment", "losses", "networks", "ops"];
/// The factor on tolerances on a GPU, which sums in another order than a CPU.
const SLACK_ON_GPU: f64 = 4.0;

/// Runs the suites that have a folder in `dir` (only those named in `only`, if any), prints a line for each case, and
/// fails when a case exceeds its tolerance. On a GPU only the suites `augment`, `losses`, `networks` and `ops` run,
/// with tolerances that are 4 times as large.
///
/// # Errors
/// When a case fails, its files cannot be read, a suite is unknown, or the device cannot be opened.
pub fn run(dir: &Path, device: DeviceName, only: &[String]) -> Result<()> {
    let on_gpu = device != DeviceName::Cpu;
    let known = |name: &str| SUITES.iter().any(|(suite, _)| *suite == name);
    if let Some(name) = only.iter().find(|name| !known(name)) {
        bail!("no suite is called '{name}'");
    }
    if on_gpu {
        tensors::compute_on(device.open()?)?;
    }
    let mut results = Results::new(if on_gpu { SLACK_ON_GPU } else { 1.0 });
    for (name, suite) in SUITES {
        if on_gpu && !ON_DEVICES.contains(name) {
            continue;
        }
        if !only.is_empty() && !only.iter().any(|only| only == name) {
            continue;
        }
        let folder = dir.join(name);
        if folder.is_dir() {
            let (start, first) = (Instant::now(), results.n_cases);
            suite(&folder, &mut results)?;
            eprintln!(
                "{name}: {} cases in {:.1} s",
                results.n_cases - first,
                start.elapsed().as_secs_f64()
            );
        }
    }
    let Results {
        n_cases, n_missed, ..
    } = results;
    if n_cases == 0 || n_missed > 0 {
        bail!(
            "{n_missed} of {n_cases} golden cases missed in '{}'",
            dir.display()
        );
    }
    cli::outln!(
        "{n_cases} golden cases passed; the largest error is {:.3} of its tolerance",
        results.largest_share
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::ops::device::DeviceName;

    #[test]
    fn the_subset_in_the_tree_passes() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden");
        super::run(Path::new(dir), DeviceName::Cpu, &[]).unwrap();
    }

    #[test]
    fn one_suite_can_be_named() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden");
        let run = |only: &str| super::run(Path::new(dir), DeviceName::Cpu, &[only.to_owned()]);
        run("rng").unwrap();
        assert!(run("op").unwrap_err().to_string().contains("'op'"));
    }

    #[test]
    fn a_folder_without_golden_data_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        assert!(super::run(empty.path(), DeviceName::Cpu, &[]).is_err());
    }
}
