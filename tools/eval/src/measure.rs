//! Code that the measuring commands share: opening the evaluator, progress bars, result lines.

use std::path::Path;

use candle_core::Device;
use evaluator::{Bars, EvaluatorSettings};
use metrics::{
    Covariance, Evaluator, FakeSource, FeatureKind, ImageSet, Kind, Metric, MetricResult, Neighbor,
};
use serde_json::Value;

use crate::args::MeasureArgs;

/// Opens an evaluator with the settings of the arguments, and the feature networks that the metrics need, on `device`.
/// Warns when its results are not comparable with published ones.
pub fn evaluator(
    args: &MeasureArgs,
    features: Features<'_>,
    device: &Device,
    metrics: &[Metric],
    reals: ImageSet,
    covariance: Covariance,
) -> anyhow::Result<Evaluator> {
    let settings = EvaluatorSettings {
        is_f32: args.fp32,
        covariance,
        batch_size: usize::from(args.batch),
        bootstrap: args.bootstrap,
        seed: args.seed,
        ..EvaluatorSettings::new(features.kind, features.weights)
    };
    let evaluator = settings.open(device, metrics, reals)?;
    let kind = evaluator.network().kind();
    if !kind.is_comparable() {
        tracing::warn!(
            "features of {}: numbers are good for comparing runs with each other, not with published ones",
            kind.name()
        );
    }
    Ok(evaluator)
}

/// The choice of a feature network and its weights.
#[derive(Clone, Copy)]
pub struct Features<'a> {
    pub kind: FeatureKind,
    /// File with the weights of Inception; `None` for those in the cache.
    pub weights: Option<&'a Path>,
}

impl<'a> Features<'a> {
    /// The feature network that the arguments name; Inception when they name none.
    pub fn of(args: &'a MeasureArgs) -> Self {
        Self {
            kind: args.features.unwrap_or(FeatureKind::Inception),
            weights: args.weights.as_deref(),
        }
    }
}

/// Computes metrics with progress bars, and passes each result to `on_result` as soon as it is computed.
pub fn evaluate(
    evaluator: &mut Evaluator,
    metrics: &[Metric],
    fakes: &mut dyn FakeSource,
    on_result: &mut dyn FnMut(MetricResult) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut bars = Bars::default();
    let mut show = |progress| bars.show(progress);
    let mut is_told = false;
    evaluator.evaluate_each(metrics, fakes, &mut show, &mut |result| {
        if !is_told && is_of_few(&result) {
            is_told = true;
            tracing::warn!(
                "a FID of fewer than 2048 images (its features) tells little: compare it only with one of as many images"
            );
        }
        on_result(result).map_err(|error| format!("{error:#}").into())
    })?;
    Ok(())
}

/// Whether the result is a FID from fewer than 2048 images, computed with Inception, so that a covariance matrix of its
/// 2048 features is singular.
fn is_of_few(result: &MetricResult) -> bool {
    let count = |name: &str| result.provenance.get(name).and_then(Value::as_u64);
    let fewest = count("n_fakes").min(count("n_reals"));
    let kind = result.provenance.get("features").and_then(Value::as_str);
    result.metric.kind == Kind::Fid
        && kind == Some("inception-2015-12-05")
        && fewest.is_some_and(|n| n < 2048)
}

/// Describes the distance between a generated image and its nearest real image, as a multiple of the median distance
/// between nearest real images; to be appended to a sentence. Empty where this multiple is not known.
pub fn ratio_words(pair: &Neighbor) -> String {
    pair.ratio.map_or_else(String::new, |ratio| {
        format!(": {ratio:.2} of the distance between two real images")
    })
}

/// Formats a result line for people, one line for each value, such as
/// `fid50k_full 12.3 +- 0.1   features inception-2015-12-05, covariance / n`.
pub fn describe(line: &Value) -> String {
    let provenance = run_folder::provenance(line);
    let mut text = String::new();
    for (name, value) in line["results"].as_object().into_iter().flatten() {
        text += &match value.as_f64() {
            Some(value) => format!("{name:<24} {value:.5}"),
            None => format!("{name:<24} none"),
        };
        if let Some(std) = line["std"][name].as_f64() {
            text += &format!(" +- {std:.5}");
        }
        text += &format!(
            "   features {}",
            provenance["features"].as_str().unwrap_or("?")
        );
        if let Some(covariance) = provenance["covariance"].as_str() {
            text += &format!(", covariance / {covariance}");
        }
        match (
            provenance["n_fakes"].as_u64(),
            provenance["n_reals"].as_u64(),
        ) {
            (Some(fakes), Some(reals)) if reals > 0 => {
                text += &format!(", {fakes} fakes, {reals} reals");
            }
            (Some(fakes), _) => text += &format!(", {fakes} fakes"),
            _ => {}
        }
        if provenance["comparable_with_published"] == false {
            text += ", NOT comparable with published numbers";
        }
        text.push('\n');
    }
    text
}
