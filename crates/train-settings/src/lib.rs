//! Turns the settings that a user gives to the program `train` into a complete [`TrainConfig`](training::TrainConfig).
//!
//! A setting is a field of [`Overrides`], which defines its flag, its help text and its key in a settings file.
//! [`resolve`] applies these overrides to a preset, for a new run; [`resumed_with`] applies them to the configuration
//! of a run that is resumed. To add a setting, add a field in `overrides.rs` and its effect on the configuration in
//! `resolve` (and in `resumed.rs`, if it may change when a run is resumed).
//!
//! ```
//! use train_settings::{DatasetDescription, Overrides, resolve};
//! use training::Preset;
//!
//! let dataset = DatasetDescription {
//!     name: "faces".into(),
//!     path: "faces.zip".into(),
//!     resolution: 64,
//!     num_channels: 3,
//!     num_images: 5000,
//!     label_dim: 0,
//!     fingerprint: None,
//! };
//! // `train --cfg tiny64 --mirror --gamma 0.5`
//! let flags = Overrides {
//!     mirror: Some(true),
//!     gamma: Some(0.5),
//!     ..Overrides::default()
//! };
//! let config = resolve(Preset::Tiny64, &dataset, &flags)?;
//! assert_eq!(config.desc, "faces-mirror-tiny64-gamma0.5");
//! assert_eq!((config.loss.r1_gamma, config.batch_size), (0.5, 16));
//! # Ok::<(), training::Error>(())
//! ```

mod augment_mode;
mod overrides;
mod resolve;
mod resumed;
mod run_name;
mod values;

pub use augment_mode::AugmentMode;
pub use overrides::Overrides;
pub use resolve::{DatasetDescription, resolve};
pub use resumed::{may_change, resumed_with};
pub use values::parse_grid;
