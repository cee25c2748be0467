//! Reads the metrics and feature network of a run, so that it can be measured in the same way as during training.

use std::path::PathBuf;

use anyhow::anyhow;
use metrics::{FeatureKind, Metric};
use run_folder::RunRecord;

use crate::measure::Features;

/// The metrics of a run; `fid50k_full` when it has none. Names that this program does not know are skipped with a
/// warning.
pub fn metrics_of(run: &RunRecord) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let names = run.option(&["metrics"]).as_array();
    for name in names.into_iter().flatten().filter_map(|n| n.as_str()) {
        match name.parse() {
            Ok(metric) => metrics.push(metric),
            Err(error) => tracing::warn!("metric '{name}' of the run is left out: {error}"),
        }
    }
    if metrics.is_empty() {
        metrics.extend("fid50k_full".parse::<Metric>());
    }
    let names: Vec<String> = metrics.iter().map(Metric::to_string).collect();
    tracing::info!("metrics: {}", names.join(","));
    metrics
}

/// The feature network that a run uses for its metrics.
pub struct RunFeatures {
    kind: FeatureKind,
    weights: Option<PathBuf>,
}

impl RunFeatures {
    /// This feature network in the form that the function [`evaluator`](crate::measure::evaluator) takes.
    pub fn as_features(&self) -> Features<'_> {
        Features {
            kind: self.kind,
            weights: self.weights.as_deref(),
        }
    }
}

/// The feature network of a run; Inception for runs of other programs, which do not record it.
///
/// # Errors
/// When the run names a feature network that this program does not know.
pub fn features_of(run: &RunRecord) -> anyhow::Result<RunFeatures> {
    let kind = match run.option(&["features"]).as_str() {
        Some(name) => name.parse().map_err(|e: String| {
            anyhow!("features of the run: {e}; choose others with --features")
        })?,
        None => FeatureKind::Inception,
    };
    Ok(RunFeatures {
        kind,
        weights: run.option(&["weights"]).as_str().map(PathBuf::from),
    })
}
