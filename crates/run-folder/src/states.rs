//! Finds training states by their file names: `training-state-000004000.safetensors`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const PREFIX: &str = "training-state-";
const SUFFIX: &str = ".safetensors";

/// The path of the training state that is saved after `nimg` real images.
pub fn state_path(run_dir: &Path, nimg: u64) -> PathBuf {
    run_dir.join(format!("{PREFIX}{nimg:09}{SUFFIX}"))
}

/// The number of real images in the file name of a training state; `None` for other file names.
pub fn state_nimg(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    number.parse().ok()
}

/// The training states in a folder, ascending by the number of images.
///
/// # Errors
/// `File` when the folder cannot be read.
pub fn state_files(run_dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(run_dir).map_err(Error::file(run_dir))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file(run_dir))?;
        if let Some(nimg) = state_nimg(&entry.path()) {
            paths.push((nimg, entry.path()));
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(|(_, path)| path).collect())
}
