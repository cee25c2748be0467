//! Names of the files in a run folder, as in the reference.

/// The settings in the form of the reference.
pub const TRAINING_OPTIONS: &str = "training_options.json";
/// All settings of a run of this program.
pub const TRAIN_CONFIG: &str = "train_config.json";
/// The log: the lines that training prints.
pub const LOG: &str = "log.txt";
/// Number, mean and standard deviation of all scalars, one line for each tick.
pub const STATS: &str = "stats.jsonl";
/// Results of `eval leak`, one line for each.
pub const LEAKS: &str = "leaks.jsonl";
/// The grid of real images.
pub const REALS: &str = "reals.png";
/// The grid of generated images before training.
pub const FAKES_INIT: &str = "fakes_init.png";

/// The grid of generated images at a number of kimg: `fakes000200.png`.
pub fn fakes(kimg: u64) -> String {
    format!("fakes{kimg:06}.png")
}

/// The kimg in the name of a grid of generated images; `None` for other names.
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

/// The metric of a file of results, from its name.
pub(crate) fn metric_of(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".jsonl")
}

/// The metric of a file of results of the TensorFlow reference: `metric-fid50k_full.txt`.
pub(crate) fn metric_of_text(name: &str) -> Option<&str> {
    name.strip_prefix("metric-")?.strip_suffix(".txt")
}

/// Whether a file has TensorBoard events.
pub(crate) fn is_events(name: &str) -> bool {
    name.contains("tfevents")
}

/// Whether training appends to a file. A resumed run writes the lines after its training state again.
pub(crate) fn is_growing(name: &str) -> bool {
    name == LOG || name == STATS || name.contains(".tfevents.")
}

/// Whether training writes a file. `eval` never overwrites these.
pub(crate) fn is_of_training(name: &str) -> bool {
    [TRAINING_OPTIONS, STATS, LOG].contains(&name)
        || name.starts_with("fakes")
        || name.starts_with("network-snapshot-")
        || is_events(name)
}
