//! Training of StyleGAN2 with adaptive discriminator augmentation (arXiv:2006.06676).
//!
//! A [`Trainer`] is a run in memory. It is built from a complete [`TrainConfig`] (the crate `train-settings` makes one
//! from flags and presets), a dataset and the networks to [`Start`] from; each [`Trainer::step`] is one iteration.
//! [`run`] trains it in a run folder, with snapshots, logs and training states. A run resumed from a [`TrainingState`]
//! gives bitwise the same result as an uninterrupted one. This crate does not compute metrics: the program around a run
//! does ([`Hooks`]).
//!
//! ```
//! use std::sync::Arc;
//!
//! use candle_core::Device;
//! use dataset::{DatasetOptions, ImageDataset};
//! use train_settings::{DatasetDescription, Overrides, resolve};
//! use training::{Preset, Start, Trainer};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("faces.zip");
//! # test_support::faces::write_faces(&path, 16, false);
//! let dataset = ImageDataset::open(&path, &DatasetOptions::default())?;
//! let description = DatasetDescription {
//!     name: "faces".into(),
//!     path: path.display().to_string(),
//!     resolution: 16,
//!     num_channels: 3,
//!     num_images: dataset.len(),
//!     label_dim: 0,
//!     fingerprint: None,
//! };
//! // `train --cfg tiny32 --batch 4 --cbase 64 --cmax 8`
//! let flags = Overrides {
//!     batch: Some(4),
//!     cbase: Some(64),
//!     cmax: Some(8),
//!     ..Overrides::default()
//! };
//! let config = resolve(Preset::Tiny32, &description, &flags)?;
//! let start = Start::fresh(&config, &Device::Cpu)?;
//! let mut trainer = Trainer::new(&config, Arc::new(dataset), start, &Device::Cpu)?;
//! trainer.step()?;
//! assert_eq!(trainer.learner().cur_nimg, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod best_results;
mod config;
mod deferred_scalars;
mod disk_space;
mod draws;
mod ema;
mod error;
mod gradients;
mod hooks;
mod images;
mod learner;
mod loss;
mod memory;
mod optimizer;
mod options;
mod phase;
mod preset;
mod preview;
mod snapshots;
mod tensor_file;
mod tick_line;
mod trainer;
mod training_loop;
mod training_state;

pub use config::{DatasetConfig, LossConfig, OptimizerConfig, RequestedSettings, TrainConfig};
pub use deferred_scalars::{DeferredScalars, PendingScalars, ScalarSink};
pub use draws::{Draws, Noise, RunDraws, SavedDraws, StyleMixing};
pub use ema::{ema_beta, update_average};
pub use error::{Error, Result};
pub use gradients::Gradients;
pub use hooks::{Evaluation, Event, Hooks, MetricOutcome};
pub use learner::{Iteration, IterationInput, Learner, LearnerOptions};
pub use loss::{LossContext, Losses, MicroBatch, Networks};
pub use memory::MemoryEstimate;
pub use optimizer::Adam;
pub use phase::{Phase, TrainedNetwork};
pub use preset::{Preset, PresetSettings};
pub use preview::write_augment_preview;
pub use trainer::{Start, Trainer};
pub use training_loop::{Outcome, run};
pub use training_state::{Progress, TrainingState};
