//! Settings of the program `train`, and the one way from them to a complete [`TrainConfig`](training::TrainConfig).
//!
//! A setting is a field of [`Overrides`]: its flag, its help and its key in a settings file. [`resolve`] lays the overrides over
//! a preset for a new run, [`resumed_with`] over the configuration of a run that goes on. A new setting is added in two places:
//! its field in `overrides.rs`, and what it does to the configuration in `resolve` (and `resumed.rs`, if it may change while a
//! run goes on).

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
