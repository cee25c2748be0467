//! Names of the files of a run. Those of the reference are kept.

/// The settings in the form of the official program.
pub const TRAINING_OPTIONS: &str = "training_options.json";
/// All settings of a run of this program.
pub const TRAIN_CONFIG: &str = "train_config.json";
/// The log: what training prints.
pub const LOG: &str = "log.txt";
/// Moments of all scalars, one line a tick.
pub const STATS: &str = "stats.jsonl";
/// Answers of `eval leak`, one line each.
pub const LEAKS: &str = "leaks.jsonl";
/// A grid of training images.
pub const REALS: &str = "reals.png";
/// A grid of images of the first networks.
pub const FAKES_INIT: &str = "fakes_init.png";

/// The grid of generated images at a number of kimg: `fakes000200.png`.
pub fn fakes(kimg: u64) -> String {
    format!("fakes{kimg:06}.png")
}

/// The kimg of a grid of generated images; `None` for other names.
pub fn fakes_kimg(name: &str) -> Option<u64> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_image = ["png", "jpg", "webp"].contains(&ending);
    stem.strip_prefix("fakes")?
        .parse()
        .ok()
        .filter(|_| is_image)
}

/// The file with the results of a metric: `metric-fid50k_full.jsonl`.
pub fn metric(metric: &str) -> String {
    format!("metric-{metric}.jsonl")
}

/// The metric whose results a file holds.
pub(crate) fn metric_of(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".jsonl")
}

/// The metric whose results a file of the TensorFlow reference holds: `metric-fid50k_full.txt`.
pub(crate) fn metric_of_text(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".txt")
}

/// Whether a file holds TensorBoard's events.
pub(crate) fn is_events(name: &str) -> bool {
    name.contains("tfevents")
}

/// Whether a file grows while the run goes on: its lines after a saved state are written again by a resumed run.
pub(crate) fn is_growing(name: &str) -> bool {
    name == LOG || name == STATS || name.contains(".tfevents.")
}

/// Whether training writes a file, as opposed to `eval`, which never overwrites it.
pub(crate) fn is_of_training(name: &str) -> bool {
    [TRAINING_OPTIONS, STATS, LOG].contains(&name)
        || name.starts_with("fakes")
        || name.starts_with("network-snapshot-")
        || is_events(name)
}
