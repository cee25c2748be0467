//! Training states on disk: everything that a run needs to resume with results that are the same to the bit.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dataset::ImageDataset;
use run_folder::{state_files, state_nimg, state_path};
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::tensor_file::{self, TensorFile};
use crate::trainer::{Trainer, TrainerState};

/// Metadata key for the state of the trainer (without tensors) and the progress, as JSON.
const STATE: &str = "kaogan.training_state";
/// Largest number of bytes of a header that are read; the safetensors format allows no longer header.
const LARGEST_HEADER: u64 = 100_000_000;
/// Metadata key for the configuration, as JSON.
const CONFIG: &str = "kaogan.train_config";

/// Counters, times and metric results of a run, as recorded in a training state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Number of the current tick, from 0.
    pub tick: u64,
    /// Real images seen when the current tick began.
    pub tick_start_nimg: u64,
    /// Seconds already spent on the steps of the current tick when the state was saved.
    #[serde(default)]
    pub tick_elapsed_sec: f64,
    /// Seconds that the run has taken so far, summed over its sessions (executions of the program).
    pub elapsed_sec: f64,
    /// Lengths in bytes of the files to which a run appends (log, statistics, events, metrics), by file name.
    pub file_lengths: BTreeMap<String, u64>,
    /// The latest value of each metric result, by the name of its TensorBoard scalar (`Metrics/fid50k_full`).
    pub metrics: BTreeMap<String, f64>,
    /// The best value of each metric result and the file name of its snapshot, by the name of the result
    /// (`fid50k_full`).
    pub best: BTreeMap<String, (f64, String)>,
    /// File name of the snapshot whose evaluation was interrupted because the run was asked to stop.
    #[serde(default, rename = "unmeasured")]
    pub pending_evaluation: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    trainer: TrainerState,
    progress: Progress,
}

/// A training state that was read from a file.
pub struct TrainingState {
    /// Path of the file.
    pub path: PathBuf,
    /// The configuration of the run.
    pub config: TrainConfig,
    /// Counters, times and metric results.
    pub progress: Progress,
    trainer: TrainerState,
    tensors: BTreeMap<String, Tensor>,
}

impl TrainingState {
    /// Reads a state and checks that it is complete.
    ///
    /// # Errors
    /// `File` when it cannot be read; `State` when it is damaged or not a training state.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let file = TensorFile::read(path, device)?;
        let text = |key: &str| {
            let text = file.metadata.get(key);
            text.ok_or_else(|| Error::state(format!("'{}' has no '{key}'", path.display())))
        };
        let damaged = |e: serde_json::Error| Error::state(format!("'{}': {e}", path.display()));
        let saved: Saved = serde_json::from_str(text(STATE)?).map_err(damaged)?;
        let config = TrainConfig::from_json(text(CONFIG)?).map_err(damaged)?;
        Ok(Self {
            path: path.to_owned(),
            config,
            progress: saved.progress,
            trainer: saved.trainer,
            tensors: file.tensors,
        })
    }

    /// Whether the header of a file is that of a training state; the rest of the file may still be damaged. `false` for
    /// a file that cannot be read.
    pub fn is_in(path: &Path) -> bool {
        // The header of a safetensors file is its length in 8 bytes, then JSON.
        let read = || {
            let mut file = files::open_input(path)?;
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let mut header = Vec::new();
            let length = u64::from_le_bytes(length).min(LARGEST_HEADER);
            file.take(length).read_to_end(&mut header)?;
            std::io::Result::Ok(header)
        };
        let mark = STATE.as_bytes();
        read().is_ok_and(|header| header.windows(mark.len()).any(|text| text == mark))
    }

    /// Reads the newest undamaged training state of a run. Calls `on_damaged` with the error of each newer state; all
    /// of these are damaged.
    ///
    /// # Errors
    /// `State` when the run has no undamaged state; `File` when a state cannot be read, which may be temporary.
    pub fn latest(
        run_dir: &Path,
        device: &Device,
        mut on_damaged: impl FnMut(&Error),
    ) -> Result<Self> {
        for path in state_files(run_dir)?.into_iter().rev() {
            match Self::read(&path, device) {
                Ok(state) => return Ok(state),
                Err(error @ Error::File { .. }) => return Err(error),
                Err(error) => on_damaged(&error),
            }
        }
        Err(Error::state(format!(
            "no undamaged training-state file in '{}'",
            run_dir.display()
        )))
    }

    /// Rebuilds the run in this state, and returns it with its progress, both for [`run`](crate::run). `config` is the
    /// configuration of the state, or one in which only settings that may change on resume differ.
    ///
    /// # Errors
    /// When `dataset` or `config` does not fit the state.
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

/// Writes a state into the run folder and removes the oldest states beyond `keep_states`. Returns its path.
///
/// # Errors
/// `File` when it cannot be written; no older state is removed then.
pub(crate) fn write(run_dir: &Path, trainer: &mut Trainer, progress: &Progress) -> Result<PathBuf> {
    let path = state_path(run_dir, trainer.learner().cur_nimg);
    let saved = Saved {
        trainer: trainer.state()?,
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
    tensor_file::write(&path, &metadata, &trainer.tensors())?;
    let files = state_files(run_dir)?;
    // States at more images were written before the run was resumed from an older state. They do not belong to the
    // resumed run.
    let is_newer = |other: &&PathBuf| state_nimg(other) > state_nimg(&path);
    let newer = files.iter().filter(is_newer);
    let older = files
        .iter()
        .rev()
        .filter(|other| !is_newer(other))
        .skip(trainer.config().keep_states.max(1));
    for stale in newer.chain(older) {
        std::fs::remove_file(stale).map_err(Error::file(stale))?;
    }
    Ok(path)
}
