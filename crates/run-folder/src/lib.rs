//! The folder of a training run: every file in it, written and read by one crate.
//!
//! Training holds a [`RunFolder`] (locked) and appends to its [`GrowingFile`]s: the log ([`TickLine`]), `stats.jsonl`
//! ([`Stats`]), TensorBoard's events ([`EventWriter`]) and results of metrics ([`append_result`]). Everybody else reads a
//! [`RunRecord`], also of runs of the reference programs, whose files are damaged or missing in part, or asks
//! [`choose_checkpoint`] for the one snapshot to go on with. [`CollapseMonitor`] watches the scalars of a run, and a [`Curve`] says what a metric
//! over time means.
//!
//! Tensors are absent on purpose: what lies inside snapshots and training states is the business of `networks` and
//! `training`.

mod checkpoint;
mod collapse;
mod disk;
mod error;
mod event_ticks;
mod folder;
mod growing_file;
mod log;
mod metric_lines;
pub mod names;
mod number;
mod reading;
mod record;
mod result_writer;
mod saved_lengths;
mod snapshots;
mod states;
mod stats;
mod tensorboard;
mod ticks;
mod time_span;
mod trend;

pub use checkpoint::{Checkpoint, ChosenCheckpoint, choose_checkpoint, latest_run};
pub use collapse::{Alarm, CollapseMonitor, CollapseOptions, DIVERSITY, TickScalars};
pub use disk::free_bytes;
pub use error::{Error, Result};
pub use folder::{RunFolder, run_dirs};
pub use growing_file::GrowingFile;
pub use log::{Log, TickLine};
pub use metric_lines::{MetricLine, provenance, read_metric_lines};
pub use number::format_number;
pub use record::RunRecord;
pub use result_writer::{append_result, describe_results, lower_is_better};
pub use saved_lengths::{cut_back, file_lengths};
pub use snapshots::{Snapshot, remove_old_snapshots, snapshot_files, snapshot_kimg, snapshot_path};
pub use states::{state_files, state_nimg, state_path};
pub use stats::{Moments, Stats};
pub use tensorboard::{EventWriter, Events, Scalar, events_path};
pub use ticks::Tick;
pub use time_span::{format_time, timestamp};
pub use trend::{Curve, LEAST_SNAPSHOTS, Point, Trend, WARM_UP_KIMG, can_judge};
