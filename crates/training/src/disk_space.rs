//! Checks that the disk has room for the training states of a run.

use std::path::Path;

use run_folder::free_bytes;

use crate::error::{Error, Result};
use crate::trainer::Trainer;

/// Size of a training state in bytes, without its metadata.
fn state_bytes(trainer: &Trainer) -> u64 {
    let tensors = trainer.tensors();
    let values: usize = tensors.iter().map(|(_, tensor)| tensor.elem_count()).sum();
    values as u64 * 4
}

/// Fails when the disk of `dir` has too little free space for the training states and snapshots of the run.
///
/// # Errors
/// `Setting` with the free and the needed space in MB.
pub(crate) fn check_space(dir: &Path, trainer: &Trainer) -> Result<()> {
    // Space for `keep_states` states, for one more, because the next state is written before the oldest is removed, and
    // for the snapshots, which are allotted the size of one state.
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

/// A warning text when the free space is less than twice the size of a training state, otherwise `None`.
pub(crate) fn nearly_full(dir: &Path, trainer: &Trainer) -> Option<String> {
    let needed = state_bytes(trainer);
    let free = free_bytes(dir).filter(|free| *free < 2 * needed)?;
    Some(format!(
        "the disk is nearly full: {} MB are free, a training state takes {} MB",
        free >> 20,
        needed >> 20
    ))
}
