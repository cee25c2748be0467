//! Room for training states, looked at before it is missing.

use std::path::Path;

use run_folder::free_bytes;

use crate::error::{Error, Result};
use crate::trainer::Trainer;

/// Bytes of a training state, without its few texts.
fn state_bytes(trainer: &Trainer) -> u64 {
    let tensors = trainer.tensors();
    let values: usize = tensors.iter().map(|(_, tensor)| tensor.elem_count()).sum();
    values as u64 * 4
}

/// Refuses a run that could not save itself, before it begins.
///
/// # Errors
/// `Setting` with the room that there is and that is needed.
pub(crate) fn check_space(dir: &Path, trainer: &Trainer) -> Result<()> {
    // A state is written beside those that are kept, and snapshots beside it.
    let states = trainer.config().keep_states as u64 + 2;
    let needed = states * state_bytes(trainer);
    match free_bytes(dir) {
        Some(free) if free < needed => Err(Error::setting(
            "outdir",
            format!(
                "'{}' has {} MB left; states and snapshots of this run need at least {} MB",
                dir.display(),
                free >> 20,
                needed >> 20
            ),
        )),
        _ => Ok(()),
    }
}

/// What is to be said when the next state may not fit.
pub(crate) fn nearly_full(dir: &Path, trainer: &Trainer) -> Option<String> {
    let needed = state_bytes(trainer);
    let free = free_bytes(dir).filter(|free| *free < 2 * needed)?;
    Some(format!(
        "the disk is nearly full: {} MB are free, a training state takes {} MB",
        free >> 20,
        needed >> 20
    ))
}
