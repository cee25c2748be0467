//! The folder of a training run: this crate reads and writes every file in it.
//!
//! Training holds a locked [`RunFolder`] and appends to the files in it: the log ([`TickLine`]), `stats.jsonl`
//! ([`Stats`]), TensorBoard events ([`EventWriter`]) and metric results ([`append_result`]). Other programs read all of
//! it as a [`RunRecord`], also from runs of NVIDIA's programs and from runs with damaged or missing files.
//! [`choose_checkpoint`] selects one snapshot of a run, [`CollapseMonitor`] detects collapse from the scalars of a run,
//! and a [`Curve`] shows whether a metric still improves.
//!
//! This crate does not read or write tensors: the contents of snapshots belong to `networks`, those of training states
//! to `training`.
//!
//! ```
//! use run_folder::{Checkpoint, RunFolder, RunRecord, append_result, choose_checkpoint, snapshot_path};
//!
//! # let dir = tempfile::tempdir()?;
//! # let outdir = dir.path();
//! let run = RunFolder::create(outdir, "faces-auto1")?;
//! assert!(run.path().ends_with("00000-faces-auto1"));
//! for (kimg, fid) in [(200, 12.5), (400, 14.0)] {
//!     let snapshot = snapshot_path(run.path(), kimg);
//!     std::fs::write(&snapshot, "")?;
//!     let line = serde_json::json!({
//!         "results": {"fid50k_full": fid},
//!         "metric": "fid50k_full",
//!         "snapshot_pkl": snapshot.file_name().unwrap().to_str(),
//!     });
//!     append_result(run.path(), "fid50k_full", &line)?;
//! }
//! let record = RunRecord::open(run.path())?;
//! assert_eq!((record.snapshots.len(), record.metrics.len()), (2, 2));
//! let best = choose_checkpoint(run.path(), Checkpoint::Best)?;
//! assert_eq!(best.path, snapshot_path(run.path(), 200));
//! assert_eq!(best.reason, "best by fid50k_full: 12.5");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use metric_lines::{MetricLine, Point, provenance, read_metric_lines};
pub use number::format_number;
pub use record::RunRecord;
pub use result_writer::{append_result, describe_results, is_better, lower_is_better};
pub use saved_lengths::{cut_back, file_lengths};
pub use snapshots::{Snapshot, remove_old_snapshots, snapshot_files, snapshot_kimg, snapshot_path};
pub use states::{state_files, state_nimg, state_path};
pub use stats::{Moments, Stats};
pub use tensorboard::{EventWriter, Events, Scalar, events_path};
pub use ticks::Tick;
pub use time_span::{format_time, timestamp};
pub use trend::{Curve, LEAST_SNAPSHOTS, Trend, WARM_UP_KIMG, can_judge};
