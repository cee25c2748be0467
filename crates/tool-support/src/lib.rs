//! Flags and helpers that `train`, `eval` and `generate` share: [`device`] for `--device`, [`CheckpointArgs`] for the
//! checkpoint of a run folder, [`find_run`] for `latest`, [`DownloadBar`] for downloads.

mod checkpoint;
mod device;
mod download_bar;

pub use checkpoint::{CheckpointArgs, find_checkpoint, find_run};
pub use device::device;
pub use download_bar::DownloadBar;
