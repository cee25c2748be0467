//! Writes the network snapshots of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use networks::Snapshot;
use run_folder::snapshot_path;
use serde_json::json;

use crate::error::Result;
use crate::trainer::Trainer;

/// Writes the current networks (`G`, `D`, `G_ema`) as a snapshot into the run folder. Returns its path.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(dir: &Path, trainer: &Trainer) -> Result<PathBuf> {
    let learner = trainer.learner();
    let kimg = learner.cur_nimg / 1000;
    let path = snapshot_path(dir, kimg);
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
