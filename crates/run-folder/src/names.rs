//! Names of the files in a run folder. Where NVIDIA's programs write the same file, the name is theirs.

/// File with the settings of a run in NVIDIA's format.
pub const TRAINING_OPTIONS: &str = "training_options.json";
/// File with all settings of a run, in the format of this program (`TrainConfig`).
pub const TRAIN_CONFIG: &str = "train_config.json";
/// File with the log: the lines that training prints, without colors.
pub const LOG: &str = "log.txt";
/// File with number, mean and standard deviation of each reported scalar, as one JSON line for each tick.
pub const STATS: &str = "stats.jsonl";
/// File with the results of `eval leak`, one JSON line for each run of that command.
pub const LEAKS: &str = "leaks.jsonl";
/// PNG with a grid of real images.
pub const REALS: &str = "reals.png";
/// PNG with a grid of images generated before training.
pub const FAKES_INIT: &str = "fakes_init.png";

/// Name of the grid of images generated after `kimg` thousand real images: `fakes000200.png`.
pub fn fakes(kimg: u64) -> String {
    format!("fakes{kimg:06}.png")
}

/// The kimg in the file name of a grid of generated images; `None` for other file names.
pub fn fakes_kimg(name: &str) -> Option<u64> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_image = ["png", "jpg", "webp"].contains(&ending);
    stem.strip_prefix("fakes")?
        .parse()
        .ok()
        .filter(|_| is_image)
}

/// Name of the file with the results of a metric: `metric-fid50k_full.jsonl`.
pub fn metric(metric: &str) -> String {
    format!("metric-{metric}.jsonl")
}

/// The metric in the name of a result file; `None` for other file names.
pub(crate) fn metric_of(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".jsonl")
}

/// The metric in the name of a result file of NVIDIA's TensorFlow program, `metric-fid50k_full.txt`; `None` for other
/// file names.
pub(crate) fn metric_of_text(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".txt")
}

/// Whether a file contains TensorBoard events, by its name.
pub(crate) fn is_events(name: &str) -> bool {
    name.contains("tfevents")
}

/// Whether training appends to the file of this name. A resumed run cuts such a file back to the length that it had
/// when the training state was saved.
pub(crate) fn is_growing(name: &str) -> bool {
    name == LOG || name == STATS || name.contains(".tfevents.")
}

/// Whether training writes the file of this name. `eval` never overwrites such files.
pub(crate) fn is_of_training(name: &str) -> bool {
    [TRAINING_OPTIONS, STATS, LOG].contains(&name)
        || name.starts_with("fakes")
        || name.starts_with("network-snapshot-")
        || is_events(name)
}
