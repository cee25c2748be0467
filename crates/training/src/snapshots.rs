//! The network snapshots of a run: written, and removed when they are old and no metric found them best.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use networks::Snapshot;
use serde_json::json;

use crate::error::{Error, Result};
use crate::trainer::Trainer;

const PREFIX: &str = "network-snapshot-";
const SUFFIX: &str = ".safetensors";

/// Writes the networks as they are now.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(dir: &Path, trainer: &Trainer) -> Result<PathBuf> {
    let learner = trainer.learner();
    let kimg = learner.cur_nimg / 1000;
    let path = dir.join(format!("{PREFIX}{kimg:06}{SUFFIX}"));
    let options = trainer.config().training_options();
    let progress = json!({"nimg": learner.cur_nimg, "augment_p": trainer.p()});
    let mut metadata = BTreeMap::from([
        (
            "kaogan.training_set_kwargs".to_owned(),
            options["training_set_kwargs"].to_string(),
        ),
        ("kaogan.progress".to_owned(), progress.to_string()),
    ]);
    if let Some(augment) = options.get("augment_kwargs") {
        metadata.insert("kaogan.augment_kwargs".to_owned(), augment.to_string());
    }
    let snapshot = Snapshot {
        g: Some(learner.networks.g.detached()?),
        d: Some(learner.networks.d.detached()?),
        g_ema: Some(learner.g_ema.detached()?),
        metadata,
    };
    snapshot.save(&path)?;
    Ok(path)
}

/// Keeps the newest `keep` and those in `best`. What is newer than `current` is left from before a resume.
///
/// # Errors
/// `File` when the folder cannot be read, or a file not be removed.
pub(crate) fn remove_old<'a>(
    dir: &Path,
    keep: usize,
    current: &str,
    best: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::file(dir))? {
        let entry = entry.map_err(Error::file(dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) && name.as_str() <= current {
            names.push(name);
        }
    }
    names.sort();
    names.reverse();
    for name in names.iter().skip(keep.max(1)) {
        if !best.clone().any(|best| best == name) {
            let path = dir.join(name);
            std::fs::remove_file(&path).map_err(Error::file(&path))?;
        }
    }
    Ok(())
}
