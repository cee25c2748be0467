//! The settings of an evaluator, from which it is opened.

use std::path::{Path, PathBuf};

use candle_core::Device;
use downloads::DownloadOptions;
use feature_networks::Placement;
use metrics::{
    Covariance, EvaluateOptions, Evaluator, FeatureKind, FeatureNetwork, ImageSet, Metric,
};

/// The cache folder for weights of feature networks and for statistics of real images; `None` where the system has no
/// cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    DownloadOptions::from_env()
        .ok()
        .map(|download| feature_networks::cache_folder(&download.cache))
}

/// The settings of an [`Evaluator`].
#[derive(Clone, Debug)]
pub struct EvaluatorSettings<'a> {
    /// The feature networks. With `weights`, Inception is used instead.
    pub features: FeatureKind,
    /// File with the weights of Inception; `None` for the weights in the cache.
    pub weights: Option<&'a Path>,
    /// Whether Inception computes in f32 on a GPU, instead of f16.
    pub is_f32: bool,
    /// Divisor of covariances: `n` or `n - 1`.
    pub covariance: Covariance,
    /// Number of images that the feature network processes at once.
    pub batch_size: usize,
    /// Number of bootstrap resamplings for the error bar of a FID of at most 10,000 images or of all images of a
    /// folder; 0 or 1 for no error bar.
    pub bootstrap: usize,
    /// Seed of the random subsets and resamplings of images.
    pub seed: u32,
}

impl<'a> EvaluatorSettings<'a> {
    /// The default settings, which compute metrics as NVIDIA's StyleGAN2-ADA does.
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

    /// Opens the feature networks that the metrics need, on `device`, for an evaluation against `reals`.
    ///
    /// # Errors
    /// When weights are missing (the message names the command that downloads them) or damaged, or a metric cannot be
    /// computed with this feature network.
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
            // Statistics of real images are not cached when they are computed with the user's own weights.
            cache: cache.filter(|_| self.weights.is_none()),
        };
        Ok(Evaluator::new(network, reals, options))
    }
}
