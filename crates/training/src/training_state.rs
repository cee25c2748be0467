//! Training states on disk: everything that a run needs to go on as if nothing had happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dataset::ImageDataset;
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::tensor_file::{self, TensorFile};
use crate::trainer::{Trainer, TrainerState};

const PREFIX: &str = "training-state-";
const SUFFIX: &str = ".safetensors";
/// Metadata key of the state.
const STATE: &str = "kaogan.training_state";
/// Metadata key of the settings.
const CONFIG: &str = "kaogan.train_config";
/// How many states are kept: the last one, and one to fall back on.
const KEPT: usize = 2;

/// Where a run's clock and files stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Number of the current tick.
    pub tick: u64,
    /// Images seen when it began.
    pub tick_start_nimg: u64,
    /// Seconds of training so far, over all sittings.
    pub elapsed_sec: f64,
    /// Lengths in bytes of the files that grow.
    pub file_lengths: BTreeMap<String, u64>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// The best value of each metric and the snapshot that has it.
    pub best: BTreeMap<String, (f64, String)>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    trainer: TrainerState,
    progress: Progress,
}

/// A state as it lies in a file.
pub struct TrainingState {
    /// Where it was read.
    pub path: PathBuf,
    /// The settings of the run.
    pub config: TrainConfig,
    /// Where clock and files stood.
    pub progress: Progress,
    trainer: TrainerState,
    tensors: BTreeMap<String, Tensor>,
}

impl TrainingState {
    /// Reads a state and checks that it is whole.
    ///
    /// # Errors
    /// `File` or `State`.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let file = TensorFile::read(path, device)?;
        let text = |key: &str| {
            let text = file.metadata.get(key);
            text.ok_or_else(|| Error::state(format!("'{}' has no '{key}'", path.display())))
        };
        let damaged = |e: serde_json::Error| Error::state(format!("'{}': {e}", path.display()));
        let saved: Saved = serde_json::from_str(text(STATE)?).map_err(damaged)?;
        let config = serde_json::from_str(text(CONFIG)?).map_err(damaged)?;
        Ok(Self {
            path: path.to_owned(),
            config,
            progress: saved.progress,
            trainer: saved.trainer,
            tensors: file.tensors,
        })
    }

    /// The newest whole state of a run. `torn` hears of each newer one that is damaged.
    ///
    /// # Errors
    /// `State` when the run has no whole state.
    pub fn latest(run_dir: &Path, device: &Device, mut torn: impl FnMut(&Error)) -> Result<Self> {
        for path in state_files(run_dir)?.into_iter().rev() {
            match Self::read(&path, device) {
                Ok(state) => return Ok(state),
                Err(error) => torn(&error),
            }
        }
        Err(Error::state(format!(
            "no whole training-state file in '{}'",
            run_dir.display()
        )))
    }

    /// The run that goes on from here, with the settings given (those of the state, or with another length).
    ///
    /// # Errors
    /// When dataset or settings do not fit.
    pub fn resume(
        self,
        config: &TrainConfig,
        dataset: Arc<ImageDataset>,
        device: &Device,
    ) -> Result<(Trainer, Progress)> {
        let tensors = self.tensors;
        let trainer = Trainer::restore(
            config,
            dataset,
            self.trainer,
            |name| tensors.get(name).cloned(),
            device,
        )?;
        Ok((trainer, self.progress))
    }
}

/// Writes a state into the run's folder and removes those that are too old. Returns its path.
///
/// # Errors
/// `File` when it cannot be written; the older states stay then.
pub(crate) fn write(run_dir: &Path, trainer: &Trainer, progress: &Progress) -> Result<PathBuf> {
    let (state, tensors) = trainer.save();
    let name = format!("{PREFIX}{:09}{SUFFIX}", trainer.learner().cur_nimg);
    let path = run_dir.join(name);
    let saved = Saved {
        trainer: state,
        progress: progress.clone(),
    };
    let json = |e: serde_json::Error| Error::state(e.to_string());
    let metadata = BTreeMap::from([
        (
            STATE.to_owned(),
            serde_json::to_string(&saved).map_err(json)?,
        ),
        (
            CONFIG.to_owned(),
            serde_json::to_string(trainer.config()).map_err(json)?,
        ),
    ]);
    tensor_file::write(&path, &metadata, &tensors)?;
    let files = state_files(run_dir)?;
    // States of a later time are left from before a resume; this one is now the truth.
    let newer = files.iter().filter(|other| **other > path);
    let older = files
        .iter()
        .rev()
        .filter(|other| **other <= path)
        .skip(KEPT);
    for stale in newer.chain(older) {
        std::fs::remove_file(stale).map_err(Error::file(stale))?;
    }
    Ok(path)
}

/// The states in a folder, oldest first.
///
/// # Errors
/// `File` when the folder cannot be read.
pub fn state_files(run_dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(run_dir).map_err(Error::file(run_dir))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file(run_dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
