//! The interface between a run and the program around it: events out, metrics in.

use std::collections::BTreeMap;
use std::path::Path;

use networks::Generator;
use serde_json::{Map, Value};

/// Something that happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line was written to the log.
    Line(&'a str),
    /// An iteration is over.
    Step {
        /// Number of its tick, from 0.
        tick: u64,
        /// Number of real images seen.
        nimg: u64,
        /// Probability of augmentation.
        p: f64,
        /// Mean sign of the discriminator's logits for real images; `None` without adaptive augmentation.
        mean_sign: Option<f64>,
    },
    /// A tick is over.
    Tick {
        /// Number of the tick, from 0.
        tick: u64,
        /// Number of real images seen.
        nimg: u64,
        /// Means of all reported scalars, by official name.
        means: &'a BTreeMap<String, f64>,
    },
    /// A file was written.
    Wrote(&'a Path),
    /// A problem that does not end the run. The log has it, too.
    Warning(&'a str),
}

/// The results of one metric for one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricOutcome {
    /// Official name (`fid50k_full`).
    pub metric: String,
    /// Results by name (`pr50k3_full_precision`).
    pub results: Map<String, Value>,
    /// The line for `metric-<name>.jsonl`.
    pub line: Value,
}

/// A snapshot and the metrics to compute.
pub struct Evaluation<'a> {
    /// The file of the snapshot.
    pub snapshot: &'a Path,
    /// Its generator: the moving average.
    pub g_ema: &'a Generator,
    /// Official names of the metrics.
    pub metrics: &'a [String],
    /// Thousands of real images seen.
    pub kimg: u64,
}

/// Implemented by the program around a run. Every method has an empty default.
pub trait Hooks {
    /// Receives an event.
    fn event(&mut self, event: Event<'_>) {
        let _ = event;
    }

    /// Returns the warnings since the last call. Called at the beginning and after each tick; the run writes them to the log and
    /// sends each as [`Event::Warning`].
    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Returns scalars of `g_ema` at the end of a tick, by name; they enter the statistics of the tick. Used for the diversity
    /// check.
    fn tick_scalars(&mut self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        let _ = g_ema;
        Vec::new()
    }

    /// Computes metrics. Returns the outcome of each, or a text with the reason why there is none, which becomes a warning.
    fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        let _ = evaluation;
        Vec::new()
    }
}
