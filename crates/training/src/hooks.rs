//! What a run tells its surroundings, and what it asks of them.

use std::collections::BTreeMap;
use std::path::Path;

use networks::Generator;
use serde_json::{Map, Value};

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line of the log.
    Line(&'a str),
    /// One step is made.
    Step {
        /// The tick that it belongs to, from 0.
        tick: u64,
        /// Real images seen.
        nimg: u64,
        /// Probability of augmentation.
        p: f64,
        /// Mean sign of the discriminator on real images.
        mean_sign: Option<f64>,
    },
    /// A tick is over: its number, the images seen, and the means of everything reported, by name.
    Tick {
        /// From 0.
        tick: u64,
        /// Real images seen.
        nimg: u64,
        /// Official names.
        means: &'a BTreeMap<String, f64>,
    },
    /// A file is written.
    Wrote(&'a Path),
    /// Something that the run survives. It is in the log, too.
    Warning(&'a str),
}

/// The results of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricOutcome {
    /// Official name.
    pub metric: String,
    /// Numbers by name (`pr50k3_full_precision`).
    pub results: Map<String, Value>,
    /// The line for `metric-<name>.jsonl`.
    pub line: Value,
}

/// What is to be evaluated.
pub struct Evaluation<'a> {
    /// The network snapshot.
    pub snapshot: &'a Path,
    /// The generator in it that makes the pictures.
    pub g_ema: &'a Generator,
    /// Official names.
    pub metrics: &'a [String],
    /// Thousands of images seen.
    pub kimg: u64,
}

/// The outside of a run.
pub trait Hooks {
    /// Hears of everything that happens.
    fn event(&mut self, event: Event<'_>) {
        let _ = event;
    }

    /// What is to be warned of since the last call; asked at the beginning and after each tick. It goes into the log and
    /// comes back as [`Event::Warning`].
    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Looks at the average generator at the end of a tick; the numbers go into the statistics under their names.
    fn probe(&mut self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        let _ = g_ema;
        Vec::new()
    }

    /// Computes metrics: the outcome of each, or in words what went wrong with it. Failures are reported and the run goes
    /// on.
    fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        let _ = evaluation;
        Vec::new()
    }
}
