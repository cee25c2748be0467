//! Metrics of generated images: FID, KID, precision and recall, density and coverage, inception score, path length.
//!
//! - [`Evaluator`] computes a list of [`Metric`]s in one pass over the generated images ("fakes"). Statistics of the
//!   real images are cached by a hash of their content. A training run and a later evaluation use the same code.
//! - [`FeatureNetwork`] opens those networks of `feature_networks` that a list of metrics needs.
//! - The formulas of the metrics: [`fid`], [`kid`], [`precision_recall`], [`density_coverage`], [`memorization`],
//!   [`inception_score`] on [`feature_networks::Features`], [`path_length`] on the results of [`path_speeds`].
//! - [`diversity`]: a measure of how much images differ, fast enough for every tick of a run.
//!
//! This crate contains no generators: generated images come from a [`FakeSource`]. It prints nothing.

pub mod diversity;
mod error;
mod evaluate;
mod feature_network;
mod feature_stats;
mod fid;
mod image_batches;
mod inception_score;
mod kid;
mod linalg;
mod name;
mod neighbors;
mod path_length;
mod real_stats;

pub use error::{Error, Result};
pub use evaluate::{
    EvaluateOptions, Evaluator, FakeSource, Fakes, MetricResult, OnResult, Progress, SourceError,
    Step,
};
pub use feature_network::{Family, FeatureKind, FeatureNetwork};
pub use feature_stats::{Covariance, FeatureStats, Gaussian};
pub use fid::{FidReference, fid};
pub use image_batches::ImageSet;
pub use inception_score::inception_score;
pub use kid::{KidOptions, kid, squared_mmd};
pub use name::{Kind, Metric, PathOptions, Reals};
pub use neighbors::{
    DensityCoverage, Memorization, Neighbor, PrecisionRecall, Rounding, density_coverage,
    memorization, precision_recall,
};
pub use path_length::{PATH_STEP, path_length, path_speeds};
