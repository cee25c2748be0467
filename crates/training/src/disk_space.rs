//! Disk space for training states, checked before it runs out.

use std::path::Path;

use run_folder::free_bytes;

use crate::error::{Error, Result};
use crate::trainer::Trainer;

/// Bytes of a training state, without its metadata.
fn state_bytes(trainer: &Trainer) -> u64 {
    let tensors = trainer.tensors();
    let values: usize = tensors.iter().map(|(_, tensor)| tensor.elem_count()).sum();
    values as u64 * 4
}

/// Refuses a run whose states and snapshots do not fit on the disk, before it begins.
///
/// # Errors
/// `Setting` with the free and the needed space.
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

/// A warning when the next state may not fit on the disk.
pub(crate) fn nearly_full(dir: &Path, trainer: &Trainer) -> Option<String> {
    let needed = state_bytes(trainer);
    let free = free_bytes(dir).filter(|free| *free < 2 * needed)?;
    Some(format!(
        "the disk is nearly full: {} MB are free, a training state takes {} MB",
        free >> 20,
        needed >> 20
    ))
}
