//! Metrics of generated images: FID, KID, precision and recall, density and coverage, inception score, path length.
//!
//! - [`Evaluator`]: all metrics of a [`Metric`] list in one pass over the fakes, against real images whose statistics
//!   are cached under their content hash. A training run and a later evaluation call the same function.
//! - [`FeatureNetwork`] chooses the networks of `feature_networks` that a list of metrics needs, and their weights.
//! - The formulas alone: [`fid`], [`kid`], [`precision_recall`], [`density_coverage`], [`memorization`],
//!   [`inception_score`] on [`feature_networks::Features`], [`path_length`] on the speeds of [`path_speeds`].
//! - [`diversity`]: a cheap measure of how much images differ, for every tick of a run.
//!
//! This crate knows no generators: fakes come from a [`FakeSource`]. Nothing is printed.

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
