//! Computes all metrics of one generator, or of one folder of images, in one pass over the images.

mod compute;
mod fake_side;
mod real_side;
mod result;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Tensor;

pub use result::MetricResult;
pub use source::{FakeSource, SourceError};

use crate::error::{Error, Result};
use crate::feature_network::FeatureNetwork;
use crate::feature_stats::Covariance;
use crate::image_batches::ImageSet;
use crate::name::{Kind, Metric};
use crate::path_length::{PATH_STEP, path_speeds};
use fake_side::FakeSide;
use real_side::RealSide;
use source::OnlyImages;

/// Options for the computation of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Number of images that the feature network processes at once.
    pub batch_size: usize,
    /// Divisor of the covariances of a FID.
    pub covariance: Covariance,
    /// Number of bootstrap resamplings for the error bar of a FID of at most [`BOOTSTRAP_MAX`](Self::BOOTSTRAP_MAX)
    /// images, or of all images of a folder; 0 or 1 for no error bar.
    pub bootstrap: usize,
    /// Seed of the random subsets of KID and of the resamplings.
    pub seed: u32,
    /// Cache folder for statistics of real images; `None` for no cache.
    pub cache: Option<PathBuf>,
}

impl EvaluateOptions {
    /// Largest number of generated images for which a FID gets an error bar. At 50,000 the error is only about 0.03.
    pub const BOOTSTRAP_MAX: usize = 10_000;

    fn bootstraps(&self, n_fakes: usize) -> bool {
        self.bootstrap > 1 && (n_fakes <= Self::BOOTSTRAP_MAX || n_fakes == usize::MAX)
    }
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            batch_size: 16,
            covariance: Covariance::default(),
            bootstrap: 10,
            seed: 0,
            cache: None,
        }
    }
}

/// The stage that an evaluation is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The feature network processes real images.
    Reals,
    /// Images, or pairs of images for a path length, are generated and processed by the feature network.
    Fakes,
    /// A metric is computed from the features.
    Compute,
}

/// Progress of an evaluation, reported after every batch and before each metric is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub step: Step,
    /// Number of images, pairs or (in [`Step::Compute`]) metrics done so far.
    pub done: usize,
    /// Total number of images, pairs or metrics of this stage; 0 when it is not known.
    pub total: usize,
}

/// A function that returns up to `n` more generated images, `u8`, `[n, 1 or 3, height, width]`; `None` when there are
/// no more.
pub type Fakes<'a> = dyn FnMut(usize) -> Result<Option<Tensor>, SourceError> + 'a;

/// A function that receives each result as soon as it is computed. Its error ends the evaluation.
pub type OnResult<'a> = dyn FnMut(MetricResult) -> Result<(), SourceError> + 'a;

/// Computes metrics of generated images against one set of real images, whose statistics it keeps between calls.
pub struct Evaluator {
    network: FeatureNetwork,
    options: EvaluateOptions,
    reals: RealSide,
}

impl Evaluator {
    /// Makes an evaluator that compares with the real images `reals`, opened with the mirror and subset options of
    /// training.
    pub fn new(network: FeatureNetwork, reals: ImageSet, options: EvaluateOptions) -> Self {
        let reals = RealSide::new(reals, options.batch_size, options.cache.clone());
        Self {
            network,
            options,
            reals,
        }
    }

    /// The feature network.
    pub fn network(&self) -> &FeatureNetwork {
        &self.network
    }

    /// The real images with the mirror and subset options of training.
    pub fn reals(&self) -> &ImageSet {
        &self.reals.images
    }

    /// The real images that `_full` metrics compare with: all images, not mirrored.
    /// [`Neighbor::real`](crate::Neighbor::real) is an index in this set.
    ///
    /// # Errors
    /// Those of [`ImageSet::full`].
    pub fn full_reals(&self) -> Result<ImageSet> {
        self.reals.images.full()
    }

    /// Opens the feature networks that the metrics need.
    ///
    /// # Errors
    /// `NoWeights`, with instructions where to get the weights.
    pub fn prepare(&mut self, metrics: &[Metric]) -> Result<()> {
        self.network.prepare(metrics)
    }

    /// Like [`evaluate_each`](Self::evaluate_each), for images from a function, without path lengths. Returns all
    /// results in the order of `metrics`.
    ///
    /// # Errors
    /// Those of [`evaluate_each`](Self::evaluate_each).
    pub fn evaluate(
        &mut self,
        metrics: &[Metric],
        fakes: &mut Fakes<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<MetricResult>> {
        let mut results = Vec::with_capacity(metrics.len());
        self.evaluate_each(metrics, &mut OnlyImages(fakes), progress, &mut |result| {
            results.push(result);
            Ok(())
        })?;
        results.sort_by_key(|r| metrics.iter().position(|m| *m == r.metric));
        Ok(results)
    }

    /// Computes the metrics: first those of images, in one pass, then path lengths; each group by ascending number of
    /// images. Passes each result to `on_result` as soon as it is computed, so that a later failure cannot lose it.
    ///
    /// # Errors
    /// When images or weights cannot be read; `TooFew` when `fakes` ends early; `Source` with the error of `fakes` or
    /// `on_result`.
    pub fn evaluate_each(
        &mut self,
        metrics: &[Metric],
        fakes: &mut dyn FakeSource,
        progress: &mut dyn FnMut(Progress),
        on_result: &mut OnResult<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        self.network.prepare(metrics)?;
        let (mut paths, mut of_images): (Vec<Metric>, Vec<Metric>) =
            metrics.iter().partition(|m| m.is_path());
        if let (Some(metric), false) = (paths.first(), fakes.has_paths()) {
            return Err(Error::no_weights(format!(
                "{metric}: a path length needs a generator, not images alone"
            )));
        }
        self.reals.prepare(&self.network, metrics, progress)?;
        let n_metrics = metrics.len();
        let mut done = 0;
        let mut give = |mut result: MetricResult| -> Result<()> {
            result.total_time = start.elapsed().as_secs_f64();
            done += 1;
            on_result(result).map_err(Error::Source)
        };
        let computing = |done| Progress {
            step: Step::Compute,
            done,
            total: n_metrics,
        };

        // Process images up to the largest number that a metric needs.
        of_images.sort_by_key(|m| m.n_fakes);
        let most = of_images.last().map_or(0, |m| m.n_fakes);
        let mut side = FakeSide::new(&of_images, |n| self.options.bootstraps(n));
        let mut given = 0;
        while let Some(next) = of_images.get(given) {
            let has_ended = if side.len() < next.n_fakes {
                // End the batch at the number of images of the next metric, so that its statistics cover exactly these
                // images.
                let wanted = self.options.batch_size.min(next.n_fakes - side.len());
                let batch = fakes.images(wanted).map_err(Error::Source)?;
                match batch.filter(|batch| batch.dims().first().is_some_and(|n| *n > 0)) {
                    Some(batch) => {
                        side.append(&self.network, &batch)?;
                        progress(Progress {
                            step: Step::Fakes,
                            done: side.len(),
                            total: if most == usize::MAX { 0 } else { most },
                        });
                        false
                    }
                    None => true,
                }
            } else {
                false
            };
            if has_ended || side.len() >= next.n_fakes {
                progress(computing(given));
                let (network, options) = (&self.network, &self.options);
                give(compute::of_images(
                    next,
                    network,
                    options,
                    &mut self.reals,
                    &side,
                )?)?;
                given += 1;
            }
        }
        drop(side);

        // Path lengths.
        paths.sort_by_key(|m| m.n_fakes);
        for (i, metric) in paths.iter().enumerate() {
            let speeds = self.speeds(metric, fakes, progress)?;
            progress(computing(given + i));
            give(compute::of_paths(
                metric,
                &self.network,
                &self.options,
                &self.reals,
                &speeds,
            )?)?;
        }
        Ok(())
    }

    /// The squared speeds along the paths of a path length metric, one for each path.
    fn speeds(
        &self,
        metric: &Metric,
        fakes: &mut dyn FakeSource,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<f64>> {
        let (Kind::PathLength(path), Some(vgg)) = (metric.kind, self.network.vgg()) else {
            return Err(Error::no_weights(format!("{metric}: VGG16 is not open")));
        };
        // In the wide layers of VGG16 a pair takes as much memory as eight images in Inception.
        let batch_size = self.options.batch_size.div_ceil(8);
        let mut speeds = Vec::with_capacity(metric.n_fakes);
        while speeds.len() < metric.n_fakes {
            let n = batch_size.min(metric.n_fakes - speeds.len());
            let pairs = fakes
                .path_pairs(path, PATH_STEP, speeds.len(), n)
                .map_err(Error::Source)?;
            speeds.extend(path_speeds(vgg, &pairs, path)?);
            progress(Progress {
                step: Step::Fakes,
                done: speeds.len(),
                total: metric.n_fakes,
            });
        }
        Ok(speeds)
    }
}
