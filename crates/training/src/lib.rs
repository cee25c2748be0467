//! Training of StyleGAN2 with adaptive discriminator augmentation (arXiv:2006.06676).
//!
//! A [`Trainer`] is made of a complete [`TrainConfig`] (the crate `train-settings` resolves one from flags and presets), and
//! [`run`] trains it in a run folder. The configuration is printed, saved with the run and accepted back.

mod best_results;
mod config;
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
mod readings;
mod snapshots;
mod tensor_file;
mod tick_line;
mod trainer;
mod training_loop;
mod training_state;

pub use config::{Asked, DatasetConfig, LossConfig, OptimizerConfig, TrainConfig};
pub use draws::{Draws, Noise, RunDraws, SavedDraws, StyleMixing};
pub use ema::{ema_beta, update_average};
pub use error::{Error, Result};
pub use gradients::Gradients;
pub use hooks::{Evaluation, Event, Hooks, MetricOutcome};
pub use learner::{Iteration, IterationInput, Learner, LearnerOptions};
pub use loss::{Losses, Networks, Round};
pub use memory::MemoryEstimate;
pub use optimizer::Adam;
pub use phase::{Phase, Trains};
pub use preset::{Preset, PresetSettings};
pub use preview::write_augment_preview;
pub use readings::{Readings, Report, SentReadings};
pub use trainer::{Start, Trainer};
pub use training_loop::{Outcome, run};
pub use training_state::{Progress, TrainingState};
