//! Settings of an evaluator, and opening it.

use std::path::{Path, PathBuf};

use candle_core::Device;
use downloads::DownloadOptions;
use feature_networks::Placement;
use metrics::{
    Covariance, EvaluateOptions, Evaluator, FeatureKind, FeatureNetwork, ImageSet, Metric,
};

/// The cache folder for weights of feature networks and statistics of real images; `None` where the system has no folder for
/// caches.
pub fn cache_folder() -> Option<PathBuf> {
    DownloadOptions::from_env()
        .ok()
        .map(|download| feature_networks::cache_folder(&download.cache))
}

/// Settings of an evaluator.
#[derive(Clone, Debug)]
pub struct EvaluatorSettings<'a> {
    /// The feature network.
    pub features: FeatureKind,
    /// A file with the weights of Inception, in place of those in the cache.
    pub weights: Option<&'a Path>,
    /// Whether Inception computes in f32 on a GPU, in place of half precision.
    pub is_f32: bool,
    /// Divisor of covariances: n or n - 1.
    pub covariance: Covariance,
    /// Images in a batch.
    pub batch_size: usize,
    /// Bootstrap resamplings for the error bar of a FID of few images; 0 for none.
    pub bootstrap: usize,
    /// Seed of the random subsets of images.
    pub seed: u32,
}

impl<'a> EvaluatorSettings<'a> {
    /// The settings of the reference for a feature network.
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

    /// Opens the feature networks that the metrics need, on a device.
    ///
    /// # Errors
    /// When weights are missing (the message names the command that downloads them) or damaged, or a metric cannot be computed
    /// with this feature network.
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
        let placement = match self.is_f32 {
            true => Placement::f32(device),
            false => Placement::of(device),
        };
        let network = network.on(&placement)?;
        let options = EvaluateOptions {
            batch_size: self.batch_size,
            covariance: self.covariance,
            bootstrap: self.bootstrap,
            seed: self.seed,
            // Statistics by weights of the user are not cached: the cache is by name of the feature network.
            cache: cache.filter(|_| self.weights.is_none()),
        };
        Ok(Evaluator::new(network, reals, options))
    }
}
