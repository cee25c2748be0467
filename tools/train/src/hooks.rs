//! Shows the events of a run as a progress bar, log lines or JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cli::Progress;
use networks::Generator;
use training::{Evaluation, Event, Hooks, MetricOutcome};

use crate::run_evaluator::RunEvaluator;

/// Hooks of a run that show its events, and pass its snapshots to the evaluator.
pub struct Display {
    bar: Progress,
    evaluator: RunEvaluator,
    /// Warnings that the run has not collected yet, see [`Hooks::warnings`].
    warnings: Vec<String>,
    /// The stop flag of the run, set when the run has collapsed; `None` when the run shall go on.
    on_collapse: Option<Arc<AtomicBool>>,
    has_collapsed: bool,
}

impl Display {
    /// Hooks for a run of `total_nimg` images, of which earlier sessions have seen `done_nimg`. When the run collapses,
    /// `on_collapse` is set to true.
    pub fn new(
        total_nimg: u64,
        done_nimg: u64,
        evaluator: RunEvaluator,
        on_collapse: Option<Arc<AtomicBool>>,
    ) -> Self {
        let bar = Progress::new("training", Some(total_nimg), "img");
        bar.resume_from(done_nimg);
        Self {
            bar,
            warnings: Vec::new(),
            evaluator,
            on_collapse,
            has_collapsed: false,
        }
    }

    /// Adds a warning for the run's log that arose before the run began.
    pub fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    /// Whether a collapse was detected.
    pub fn has_collapsed(&self) -> bool {
        self.has_collapsed
    }

    /// Handles a collapse: on the first call adds a warning, and stops the run if requested by `--stop-on-collapse`.
    fn alarm(&mut self, text: String) {
        if self.has_collapsed {
            return;
        }
        self.has_collapsed = true;
        self.warnings.push(text);
        if let Some(stop) = &self.on_collapse {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the progress bar.
    pub fn finish(self) {
        self.bar.finish();
    }
}

impl Hooks for Display {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Line(line) => {
                let is_quiet = !tracing::enabled!(tracing::Level::INFO);
                if !is_quiet && !cli::is_json() {
                    cli::outln!("{line}");
                }
            }
            Event::Step {
                tick,
                nimg,
                p,
                mean_sign,
            } => {
                self.bar.set_position(nimg);
                let kimg = nimg as f64 / 1e3;
                let mut message = format!("tick {tick} kimg {kimg:.1} p {p:.3}");
                if let Some(mean_sign) = mean_sign {
                    message += &format!(" r_t {mean_sign:.2}");
                }
                self.bar.set_message(message);
            }
            Event::Tick { tick, nimg, means } => {
                let alarm = self.evaluator.observe(|name| means.get(name).copied());
                let diverged = means
                    .iter()
                    .find(|(name, mean)| name.starts_with("Loss/") && !mean.is_finite())
                    .map(|(name, mean)| format!("the run has diverged: {name} is {mean}"));
                let alarm = diverged.or(alarm.map(|alarm| alarm.to_string()));
                if let Some(alarm) = alarm {
                    self.alarm(alarm);
                }
                if cli::is_json() {
                    // NaN and infinity become null.
                    let means: BTreeMap<_, _> = means.iter().collect();
                    let line = serde_json::json!({"tick": tick, "nimg": nimg, "means": means});
                    cli::outln!("{line}");
                }
            }
            Event::Wrote(path) => tracing::info!("wrote '{}'", path.display()),
            Event::Warning(text) => tracing::warn!("{text}"),
        }
    }

    fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn tick_scalars(&mut self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        self.evaluator.diversity(g_ema)
    }

    fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        let results = self.evaluator.evaluate(evaluation);
        if let Some(collapse) = self.evaluator.collapse_by_metric(evaluation, &results) {
            self.alarm(collapse);
        }
        results
    }
}
