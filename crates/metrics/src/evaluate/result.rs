//! The result of a metric, and its line in `metric-*.jsonl`.

use std::time::Duration;

use run_folder::format_time;
use serde_json::{Map, Value};

use crate::name::Metric;
use crate::neighbors::Memorization;

/// The result of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricResult {
    /// The metric.
    pub metric: Metric,
    /// The values by the names of the results: `fid50k_full`, or `pr50k3_full_precision` and `pr50k3_full_recall`.
    pub results: Map<String, Value>,
    /// Standard errors by the names of the results, where they are known.
    pub std: Map<String, Value>,
    /// Describes how the values were computed: feature network, precision, weights, covariance, numbers of images.
    /// Files of earlier versions call this `flavour`.
    pub provenance: Map<String, Value>,
    /// Seconds from the start of the evaluation to this result.
    pub total_time: f64,
    /// Details of a memorization check, including the closest pairs; `None` for other metrics.
    pub memorization: Option<Memorization>,
}

impl MetricResult {
    /// The value of the metric's first result; NaN when it is not finite.
    pub fn value(&self) -> f64 {
        self.results
            .values()
            .next()
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    }

    /// The line for `metric-<name>.jsonl`: first the keys that NVIDIA's programs write, then `std` and `provenance`.
    ///
    /// `snapshot` is the file name of the network; `timestamp` is in seconds since 1970.
    pub fn to_json(&self, snapshot: Option<&str>, timestamp: f64) -> Value {
        let mut line = Map::new();
        line.insert("results".into(), self.results.clone().into());
        line.insert("metric".into(), self.metric.to_string().into());
        line.insert("total_time".into(), self.total_time.into());
        line.insert(
            "total_time_str".into(),
            format_time(Duration::from_secs_f64(self.total_time)).into(),
        );
        line.insert("num_gpus".into(), 1.into());
        line.insert("snapshot_pkl".into(), snapshot.into());
        line.insert("timestamp".into(), timestamp.into());
        line.insert("std".into(), self.std.clone().into());
        line.insert("provenance".into(), self.provenance.clone().into());
        line.into()
    }
}
