//! The interface between a run and the program around it: the run sends events and asks the program for metrics.

use std::collections::BTreeMap;
use std::path::Path;

use networks::Generator;
use serde_json::{Map, Value};

/// An event of a run, sent to [`Hooks::event`].
#[derive(Debug)]
pub enum Event<'a> {
    /// A line was written to the log.
    Line(&'a str),
    /// An iteration has been made.
    Step {
        /// Number of the current tick, from 0.
        tick: u64,
        /// Number of real images seen so far.
        nimg: u64,
        /// Current augmentation probability.
        p: f64,
        /// Mean sign of the discriminator's logits for real images at the last adjustment of `p`, -1 to 1; `None`
        /// before the first adjustment and without adaptive augmentation.
        mean_sign: Option<f64>,
    },
    /// A tick has ended.
    Tick {
        /// Number of the tick, from 0.
        tick: u64,
        /// Number of real images seen so far.
        nimg: u64,
        /// Mean of each scalar reported in the tick, by NVIDIA's name (`Loss/scores/real`).
        means: &'a BTreeMap<String, f64>,
    },
    /// A file was written to this path.
    Wrote(&'a Path),
    /// A problem that does not end the run. The run also writes it to the log.
    Warning(&'a str),
}

/// The results of one metric for one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricOutcome {
    /// NVIDIA's name of the metric (`fid50k_full`).
    pub metric: String,
    /// Values by the names of the results (`pr50k3_full_precision`).
    pub results: Map<String, Value>,
    /// The JSON line for the file `metric-<name>.jsonl`.
    pub line: Value,
}

/// A request to compute metrics for a snapshot.
pub struct Evaluation<'a> {
    /// Path of the snapshot file.
    pub snapshot: &'a Path,
    /// The moving average of the generator, as in the snapshot.
    pub g_ema: &'a Generator,
    /// NVIDIA's names of the metrics to compute.
    pub metrics: &'a [String],
    /// Thousands of real images seen so far.
    pub kimg: u64,
}

/// Callbacks of a run, implemented by the program around it. Every method has a default that does nothing.
pub trait Hooks {
    /// Called for each event of the run.
    fn event(&mut self, event: Event<'_>) {
        let _ = event;
    }

    /// Returns the warnings that arose since the last call. Called at the beginning of the run and after each tick; the
    /// run writes them to the log and sends each as [`Event::Warning`].
    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Returns scalars by name that the program computes from `g_ema` at the end of a tick; they are added to the
    /// tick's statistics. Used for the diversity check.
    fn tick_scalars(&mut self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        let _ = g_ema;
        Vec::new()
    }

    /// Computes metrics. Returns the outcome of each metric that could be computed, and for the others the reasons of
    /// the failures as texts, which become warnings.
    fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        let _ = evaluation;
        Vec::new()
    }
}
