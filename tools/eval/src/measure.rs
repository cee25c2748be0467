//! What the measuring commands share: the feature network, the cache, bars, result lines.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use candle_core::Device;
use downloads::DownloadOptions;
use feature_networks::Placement;
use metrics::{
    Covariance, EvaluateOptions, Evaluator, FakeSource, FeatureNetwork, ImageSet, Kind, Metric,
    MetricResult, Neighbour, Progress, Step,
};
use serde_json::Value;

use crate::args::MeasureArgs;

/// The folder for weights and real statistics.
pub fn cache_folder() -> Option<PathBuf> {
    DownloadOptions::from_env()
        .ok()
        .map(|download| feature_networks::cache_folder(&download.cache))
}

/// An evaluator by the arguments, with the networks that the metrics need on a device.
pub fn evaluator(
    args: &MeasureArgs,
    device: &Device,
    metrics: &[Metric],
    reals: ImageSet,
    covariance: Covariance,
) -> anyhow::Result<Evaluator> {
    let cache = cache_folder();
    let mut network = match &args.weights {
        Some(path) => FeatureNetwork::from_file(path)?.with_cache(cache.as_deref()),
        None => FeatureNetwork::for_metrics(args.features, metrics, cache.as_deref())?,
    };
    network.prepare(metrics)?;
    let place = match args.fp32 {
        true => Placement::f32(device),
        false => Placement::of(device),
    };
    let network = network.on(&place)?;
    if !network.kind().is_comparable() {
        tracing::warn!(
            "features of {}: numbers are good for comparing runs with each other, not with published ones",
            network.kind().name()
        );
    }
    let options = EvaluateOptions {
        batch_size: usize::from(args.batch),
        covariance,
        bootstrap: args.bootstrap,
        seed: args.seed,
        // Weights of a file of the user's own have no name for the cache.
        cache: cache.filter(|_| args.weights.is_none()),
    };
    Ok(Evaluator::new(network, reals, options))
}

/// Evaluates with bars; each result is handed over as soon as it is there.
pub fn evaluate(
    evaluator: &mut Evaluator,
    metrics: &[Metric],
    fakes: &mut dyn FakeSource,
    on_result: &mut dyn FnMut(MetricResult) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // A bar is of one kind of images; a metric in between does not end it.
    let mut bar: Option<((Step, usize), cli::Progress)> = None;
    let mut draw = |progress: Progress| {
        if progress.step == Step::Compute {
            if let Some((_, bar)) = &bar {
                bar.set_message(format!(
                    "metric {} of {}",
                    progress.done + 1,
                    progress.total
                ));
            }
            return;
        }
        let kind = (progress.step, progress.total);
        if bar.as_ref().is_none_or(|(known, _)| *known != kind) {
            if let Some((_, bar)) = bar.take() {
                bar.finish();
            }
            let title = match progress.step {
                Step::Reals => "real images",
                _ => "fakes",
            };
            let total = (progress.total > 0).then_some(progress.total as u64);
            bar = Some((kind, cli::Progress::new(title, total, "images")));
        }
        if let Some((_, bar)) = &bar {
            bar.set_message("");
            bar.set_position(progress.done as u64);
        }
    };
    let mut is_told = false;
    evaluator.evaluate_each(metrics, fakes, &mut draw, &mut |result| {
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

/// Whether a FID in Inception's features has fewer images than features, so that its covariance lacks directions.
fn is_of_few(result: &MetricResult) -> bool {
    let count = |name: &str| result.flavour.get(name).and_then(Value::as_u64);
    let fewest = count("n_fakes").min(count("n_reals"));
    let kind = result.flavour.get("features").and_then(Value::as_str);
    result.metric.kind == Kind::Fid
        && kind == Some("inception-2015-12-05")
        && fewest.is_some_and(|n| n < 2048)
}

/// How near the images of a pair are, to go on a sentence with; nothing where real images have no usual distance.
pub fn ratio_words(pair: &Neighbour) -> String {
    pair.ratio.map_or_else(String::new, |ratio| {
        format!(": {ratio:.2} of the distance between two real images")
    })
}

/// Seconds since 1970.
pub fn timestamp() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// A line for people: `fid50k_full 12.3 +- 0.1  (inception-2015-12-05, covariance / n)`.
pub fn describe(line: &Value) -> String {
    let flavour = &line["flavour"];
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
            flavour["features"].as_str().unwrap_or("?")
        );
        if let Some(covariance) = flavour["covariance"].as_str() {
            text += &format!(", covariance / {covariance}");
        }
        match (flavour["n_fakes"].as_u64(), flavour["n_reals"].as_u64()) {
            (Some(fakes), Some(reals)) if reals > 0 => {
                text += &format!(", {fakes} fakes, {reals} reals");
            }
            (Some(fakes), _) => text += &format!(", {fakes} fakes"),
            _ => {}
        }
        if flavour["comparable_with_published"] == false {
            text += ", NOT comparable with published numbers";
        }
        text.push('\n');
    }
    text
}
