//! Resolves how often a run writes files, and how many it keeps.

use training::{Error, PresetSettings, Result};

use super::within;
use crate::overrides::Overrides;

/// Largest allowed interval in ticks; a larger number is probably a typing error.
const LARGEST_INTERVAL: usize = 1 << 20;
/// Largest allowed number of images in a preview grid.
const LARGEST_GRID: usize = 4096;

/// Intervals in ticks and numbers of files; the fields become those of [`training::TrainConfig`].
pub(super) struct Outputs {
    pub network_snapshot_ticks: usize,
    pub image_snapshot_ticks: usize,
    pub state_ticks: usize,
    pub keep_states: usize,
    pub metrics_ticks: usize,
    pub keep_snapshots: Option<usize>,
    pub preview_grid: Option<[usize; 2]>,
}

/// Determines the intervals between files and the numbers of files to keep, from flags and preset.
///
/// # Errors
/// `Setting`, with the name of the invalid flag.
pub(super) fn outputs(settings: &PresetSettings, flags: &Overrides) -> Result<Outputs> {
    let ticks = |name, given: Option<usize>, default: usize| {
        within(name, given, default, 1..=LARGEST_INTERVAL)
    };
    let snap = ticks("snap", flags.snap, settings.snapshot_ticks)?;
    let grid = flags.grid.or(settings.preview_grid);
    let is_too_large =
        |[columns, rows]: [usize; 2]| columns == 0 || rows == 0 || columns > LARGEST_GRID / rows;
    if grid.is_some_and(is_too_large) {
        let reason = "needs a column and a row, and at most 4096 images";
        return Err(Error::setting("grid", reason));
    }
    Ok(Outputs {
        network_snapshot_ticks: snap,
        image_snapshot_ticks: ticks("image-snap", flags.image_snap, snap)?,
        state_ticks: ticks("state-every", flags.state_every, 4)?,
        keep_states: ticks("keep-states", flags.keep_states, 2)?,
        metrics_ticks: ticks("metrics-every", flags.metrics_every, snap)?,
        keep_snapshots: match flags.keep {
            Some(keep) => Some(ticks("keep", Some(keep), 1)?),
            None => None,
        },
        preview_grid: grid,
    })
}
