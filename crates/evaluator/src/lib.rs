//! The evaluator of metrics as `train` and `eval` open it, so that a metric inside a run and the same metric later are the
//! same computation.
//!
//! [`EvaluatorSettings::open`] finds the weights of the feature networks and places them on a device; [`Bars`] shows an
//! evaluation. The metrics themselves are in the crate `metrics`.

mod bars;
mod settings;

pub use bars::Bars;
pub use settings::{EvaluatorSettings, cache_folder};
