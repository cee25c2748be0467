//! Opens the evaluator of metrics for `train` and `eval`, so that both compute a metric in the same way.
//!
//! [`EvaluatorSettings::open`] loads the feature networks and moves them to a device; [`Bars`] shows the progress of an
//! evaluation. The metrics are in the crate `metrics`.
//!
//! ```no_run
//! use candle_core::Device;
//! use dataset::{DatasetOptions, ImageDataset};
//! use evaluator::EvaluatorSettings;
//! use metrics::{FeatureKind, ImageSet, Metric};
//!
//! let reals = ImageDataset::open("faces64.zip", &DatasetOptions::default())?;
//! let metrics = ["fid50k_full".parse::<Metric>()?];
//! let settings = EvaluatorSettings::new(FeatureKind::Inception, None);
//! let evaluator = settings.open(&Device::Cpu, &metrics, ImageSet::Dataset(reals))?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod bars;
mod settings;

pub use bars::Bars;
pub use settings::{EvaluatorSettings, cache_folder};
