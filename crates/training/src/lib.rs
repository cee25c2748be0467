//! Training of StyleGAN2 with adaptive discriminator augmentation (arXiv:2006.06676).
//!
//! A run starts from a [`Preset`], a description of the dataset and the flags that were typed; [`TrainConfig::resolve`]
//! makes one complete [`TrainConfig`] of them, which is printed, saved with the run and accepted back.

mod config;
mod error;
mod options;
mod preset;
mod resolve;

pub use config::{DatasetConfig, LossConfig, OptimizerConfig, TrainConfig};
pub use error::{Error, Result};
pub use preset::{Preset, PresetSettings};
pub use resolve::{AugmentMode, DatasetDescription, Overrides};
