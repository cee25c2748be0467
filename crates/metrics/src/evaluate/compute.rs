//! Computes one metric from the statistics and features of the real and the generated images.

use rng::RandomState;
use serde_json::{Map, Value, json};

use super::fake_side::FakeSide;
use super::real_side::{Key, RealSide};
use super::{EvaluateOptions, MetricResult};
use crate::error::{Error, Result};
use crate::feature_network::{Family, FeatureNetwork};
use crate::inception_score::inception_score;
use crate::kid::{KidOptions, kid};
use crate::name::{Kind, Metric};
use crate::neighbors::{Memorization, Rounding, density_coverage, memorization, precision_recall};
use crate::path_length::path_length;
use feature_networks::Features;

/// The error when there are only `found` generated images for a metric.
pub(super) fn too_few(metric: &Metric, found: usize) -> Error {
    Error::TooFew {
        metric: metric.to_string(),
        needed: match metric.n_fakes {
            usize::MAX => "images".to_owned(),
            n => format!("{n} images"),
        },
        found: found.to_string(),
    }
}

/// Computes a metric that compares images (all but path lengths) from the first `metric.n_fakes` generated images.
pub(super) fn of_images(
    metric: &Metric,
    network: &FeatureNetwork,
    options: &EvaluateOptions,
    reals: &mut RealSide,
    fakes: &FakeSide,
) -> Result<MetricResult> {
    let too_few = || too_few(metric, fakes.len());
    if fakes.len() == 0 || (metric.n_fakes != usize::MAX && fakes.len() < metric.n_fakes) {
        return Err(too_few());
    }
    let n = metric.n_fakes.min(fakes.len());
    let key = reals.key(metric)?;
    let mut random = RandomState::new(options.seed);
    let mut numbers = Numbers::default();
    let features = || -> Result<Features> { fakes.features(key.family, n).ok_or_else(too_few) };
    match metric.kind {
        Kind::Fid => {
            if key.n.min(n) < 2 {
                return Err(Error::TooFew {
                    metric: metric.to_string(),
                    needed: "two images on each side".into(),
                    found: format!("{} and {n}", key.n),
                });
            }
            let stats = fakes.stats().ok_or_else(too_few)?;
            let reference = reals
                .reference(key, options.covariance)?
                .ok_or_else(too_few)?;
            numbers
                .values
                .push(reference.fid(&stats.gaussian(options.covariance)?)?);
            if options.bootstraps(metric.n_fakes) {
                let rounds = options.bootstrap;
                let features = fakes.features(Family::Inception, n).ok_or_else(too_few)?;
                numbers.errors.push(reference.bootstrap(
                    &features,
                    options.covariance,
                    rounds,
                    &mut random,
                )?);
            }
        }
        Kind::InceptionScore => {
            let probs = fakes.probs(n).ok_or_else(too_few)?;
            let (mean, std) = inception_score(&probs, 10.min(n))?;
            numbers.values.extend([mean, std]);
        }
        Kind::Kid => {
            let real = reals.features(key).ok_or_else(too_few)?;
            let (value, error) = kid(real, &features()?, &KidOptions::default(), &mut random)?;
            numbers.values.push(value);
            numbers.errors.extend(error);
        }
        Kind::PrecisionRecall => {
            let real = reals.features(key).ok_or_else(too_few)?;
            let got = precision_recall(real, &features()?, 3, Rounding::Half)?;
            warn_of_balls(metric, got.n_without_ball, real.len());
            numbers.values.extend([got.precision, got.recall]);
        }
        Kind::DensityCoverage => {
            let real = reals.features(key).ok_or_else(too_few)?;
            let got = density_coverage(real, &features()?, 5)?;
            warn_of_balls(metric, got.n_without_ball, real.len());
            numbers.values.extend([got.density, got.coverage]);
        }
        Kind::Memorization => {
            let real = reals.features(key).ok_or_else(too_few)?;
            let got = memorization(real, &features()?)?;
            warn_of_twins(metric, &got, real.len());
            // A missing ratio is written as null.
            let ratio = got.distance_ratio.unwrap_or(f64::NAN);
            numbers.values.extend([got.share, ratio]);
            numbers.memorization = Some(got);
        }
        Kind::PathLength(_) => return Err(too_few()),
    }
    Ok(numbers.into_result(metric, network, options, reals, key, n))
}

/// Computes a path length from the squared speeds along its paths (see `path_speeds`).
pub(super) fn of_paths(
    metric: &Metric,
    network: &FeatureNetwork,
    options: &EvaluateOptions,
    reals: &RealSide,
    speeds: &[f64],
) -> Result<MetricResult> {
    let (value, error) = path_length(speeds)?;
    let numbers = Numbers {
        values: vec![value],
        errors: vec![error],
        memorization: None,
    };
    let key = reals.key(metric)?;
    Ok(numbers.into_result(metric, network, options, reals, key, speeds.len()))
}

/// Warns when more than half of the real images equal their nearest neighbors, so that their balls have radius 0.
fn warn_of_balls(metric: &Metric, n_without_ball: usize, n_reals: usize) {
    if 2 * n_without_ball > n_reals {
        tracing::warn!(
            "{metric}: {n_without_ball} of {n_reals} real images equal their nearest neighbors, so that nothing lies \
             around them: the numbers tell little; remove the duplicates (`prep run`)"
        );
    }
}

/// Warns when real images equal other real images, so that the results of the memorization check are limited.
fn warn_of_twins(metric: &Metric, found: &Memorization, n_reals: usize) {
    if found.distance_ratio.is_none() {
        tracing::warn!(
            "{metric}: {} of {n_reals} real images equal another one, so that there is no usual distance between real \
             images: the distance ratio is left out (null); remove the duplicates (`prep run`)",
            found.n_twins
        );
    } else if found.n_twins > n_reals / 100 {
        tracing::warn!(
            "{metric}: {} of {n_reals} real images equal another one: the share counts only fakes that equal a real image",
            found.n_twins
        );
    }
}

/// The numbers of a metric in the order of `Metric::results`.
#[derive(Default)]
struct Numbers {
    values: Vec<f64>,
    errors: Vec<f64>,
    memorization: Option<Memorization>,
}

impl Numbers {
    fn into_result(
        self,
        metric: &Metric,
        network: &FeatureNetwork,
        options: &EvaluateOptions,
        reals: &RealSide,
        key: Key,
        n_fakes: usize,
    ) -> MetricResult {
        let names = metric.results();
        for (name, value) in names.iter().zip(&self.values) {
            let is_explained = self
                .memorization
                .as_ref()
                .is_some_and(|found| found.distance_ratio.is_none());
            if !value.is_finite() && !is_explained {
                tracing::warn!("{name} is no finite number and is left out (null)");
            }
        }
        let by_name = |values: Vec<f64>| -> Map<String, Value> {
            names
                .iter()
                .cloned()
                .zip(values.into_iter().map(Value::from))
                .collect()
        };
        let mut provenance = Map::new();
        provenance.insert("features".into(), network.kind().name_for(metric).into());
        provenance.insert("precision".into(), network.precision(key.family).into());
        if let (Family::Vgg, Some(source)) = (key.family, network.vgg_source()) {
            provenance.insert("weights".into(), source.name().into());
        }
        if let Some(checksum) = network.weights_checksum(key.family) {
            provenance.insert("weights_sha256".into(), checksum.into());
        }
        let comparable = network.is_comparable(metric);
        provenance.insert("comparable_with_published".into(), comparable.into());
        if metric.kind == Kind::Fid {
            provenance.insert("covariance".into(), options.covariance.name().into());
        }
        provenance.insert("n_fakes".into(), n_fakes.into());
        provenance.insert("n_reals".into(), key.n.into());
        if let Some(content) = reals.content(key.reals) {
            provenance.insert("reals".into(), json!(content));
        }
        MetricResult {
            metric: *metric,
            results: by_name(self.values),
            std: by_name(self.errors),
            provenance,
            total_time: 0.0,
            memorization: self.memorization,
        }
    }
}
