//! Opening an evaluator.

use std::path::{Path, PathBuf};

use candle_core::Device;
use downloads::DownloadOptions;
use feature_networks::Placement;
use metrics::{
    Covariance, EvaluateOptions, Evaluator, FeatureKind, FeatureNetwork, ImageSet, Metric,
};

/// The folder for weights of feature networks and statistics of real images; `None` where no cache is known.
pub fn cache_folder() -> Option<PathBuf> {
    DownloadOptions::from_env()
        .ok()
        .map(|download| feature_networks::cache_folder(&download.cache))
}

/// Settings of an evaluator, as flags and configurations of runs have them.
#[derive(Clone, Debug)]
pub struct EvaluatorSettings<'a> {
    /// The network that features come from.
    pub features: FeatureKind,
    /// A file with the weights of Inception, in place of the cache.
    pub weights: Option<&'a Path>,
    /// On a GPU, keep Inception in f32 from its first block on.
    pub is_f32: bool,
    /// Divisor of covariances.
    pub covariance: Covariance,
    /// Images in a batch.
    pub batch_size: usize,
    /// Resamplings for the error bar of a FID of few fakes; 0 for none.
    pub bootstrap: usize,
    /// Seed of subsets.
    pub seed: u32,
}

impl<'a> EvaluatorSettings<'a> {
    /// The settings of the reference, for some features.
    pub fn new(features: FeatureKind, weights: Option<&'a Path>) -> Self {
        let options = EvaluateOptions::default();
        Self {
            features,
            weights,
            is_f32: false,
            covariance: options.covariance,
            batch_size: options.batch_size,
            bootstrap: options.bootstrap,
            seed: options.seed,
        }
    }

    /// Opens the feature networks that the metrics need and places them on a device.
    ///
    /// # Errors
    /// When weights are missing (with the command that gets them) or damaged, or a metric cannot be had by these features.
    pub fn open(
        &self,
        device: &Device,
        metrics: &[Metric],
        reals: ImageSet,
    ) -> anyhow::Result<Evaluator> {
        let cache = cache_folder();
        let mut network = match self.weights {
            Some(path) => FeatureNetwork::from_file(path)?.with_cache(cache.as_deref()),
            None => FeatureNetwork::for_metrics(self.features, metrics, cache.as_deref())?,
        };
        network.prepare(metrics)?;
        let place = match self.is_f32 {
            true => Placement::f32(device),
            false => Placement::of(device),
        };
        let network = network.on(&place)?;
        let options = EvaluateOptions {
            batch_size: self.batch_size,
            covariance: self.covariance,
            bootstrap: self.bootstrap,
            seed: self.seed,
            // Weights of a file of the user's own have no name for the cache.
            cache: cache.filter(|_| self.weights.is_none()),
        };
        Ok(Evaluator::new(network, reals, options))
    }
}
