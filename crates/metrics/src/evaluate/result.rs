//! What a metric gave, and its line in a file.

use serde_json::{Map, Value};

use crate::name::Metric;
use crate::neighbours::Memorization;

/// What one metric gave.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricResult {
    /// The metric.
    pub metric: Metric,
    /// Numbers by name: `fid50k_full`, or `pr50k3_full_precision` and `pr50k3_full_recall`.
    pub results: Map<String, Value>,
    /// Standard error of each number where it is known.
    pub std: Map<String, Value>,
    /// What the number was made of: features, covariance, counts.
    pub flavour: Map<String, Value>,
    /// Seconds from the start of the pass.
    pub total_time: f64,
    /// The pairs of a memorization check.
    pub memorization: Option<Memorization>,
}

impl MetricResult {
    /// The first number.
    pub fn value(&self) -> f64 {
        self.results
            .values()
            .next()
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    }

    /// A line for `metric-<name>.jsonl`: the keys of the reference implementation, then ours.
    pub fn to_json(&self, snapshot: Option<&str>, timestamp: f64) -> Value {
        let mut line = Map::new();
        line.insert("results".into(), self.results.clone().into());
        line.insert("metric".into(), self.metric.to_string().into());
        line.insert("total_time".into(), self.total_time.into());
        line.insert("total_time_str".into(), format_time(self.total_time).into());
        line.insert("num_gpus".into(), 1.into());
        line.insert("snapshot_pkl".into(), snapshot.into());
        line.insert("timestamp".into(), timestamp.into());
        line.insert("std".into(), self.std.clone().into());
        line.insert("flavour".into(), self.flavour.clone().into());
        line.into()
    }
}

/// `45s`, `1m 02s`, `3h 05m 09s`, `1d 02h 03m`.
fn format_time(secs: f64) -> String {
    let s = secs.round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m {:02}s", s / 3600, s / 60 % 60, s % 60),
        _ => format!("{}d {:02}h {:02}m", s / 86_400, s / 3600 % 24, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_reference_does() {
        for (secs, text) in [
            (45.2, "45s"),
            (62.0, "1m 02s"),
            (11_109.0, "3h 05m 09s"),
            (93_780.0, "1d 02h 03m"),
        ] {
            assert_eq!(format_time(secs), text);
        }
    }
}
