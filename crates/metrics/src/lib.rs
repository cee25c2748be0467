//! What images of a generator are worth, as the field measures it.
//!
//! - [`Evaluator`]: all metrics of a [`Metric`] list in one pass over the fakes, against real images whose statistics
//!   are kept under their content hash. A training run and a later evaluation call the same function.
//! - [`inception`]: the FID network; [`vgg`]: that of precision and recall and of path lengths; [`FeatureNetwork`]
//!   chooses their weights, [`convert_weights`] brings them into the cache.
//! - The formulas alone: [`fid`], [`kid`], [`precision_recall`], [`density_coverage`], [`memorization`],
//!   [`inception_score`] on [`Features`], [`path_length`] on the speeds of [`path_speeds`].
//! - [`leak`]: does a generator make what only augmentation makes? Named by category.
//! - [`diversity`]: how much images differ, at every tick of a run.
//!
//! Generators are not known here: fakes come from a [`FakeSource`]. No printing.

pub mod diversity;
mod error;
mod evaluate;
mod face_network;
mod feature_network;
mod feature_stats;
mod features;
mod fid;
mod formula;
mod image_batches;
pub mod inception;
mod inception_score;
mod kid;
pub mod leak;
mod linalg;
mod name;
mod neighbours;
mod network_input;
mod path_length;
mod place;
mod pool;
mod real_stats;
pub mod vgg;
mod weight_files;

pub use error::{Error, Result};
pub use evaluate::{
    EvaluateOptions, Evaluator, FakeSource, Fakes, MetricResult, OnResult, Progress, SourceError,
    Step, cache_folder,
};
pub use feature_network::{Family, FeatureKind, FeatureNetwork};
pub use feature_stats::{Covariance, FeatureStats, Gaussian};
pub use features::Features;
pub use fid::{FidReference, fid};
pub use image_batches::ImageSet;
pub use inception_score::inception_score;
pub use kid::{KidOptions, kid, squared_mmd};
pub use name::{Kind, Metric, PathOptions, Reals};
pub use neighbours::{
    DensityCoverage, Memorization, Neighbour, PrecisionRecall, Rounding, density_coverage,
    memorization, precision_recall,
};
pub use path_length::{PATH_STEP, path_length, path_speeds};
pub use place::Place;
pub use weight_files::{ConvertedWeights, convert_weights};
