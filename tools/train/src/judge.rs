//! Metrics and the collapse alarm of a run: the same code that `eval` uses later.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use dataset::ImageDataset;
use evaluation::FakeImages;
use interop::download::Download;
use metrics::collapse::{Alarm, CollapseMonitor, CollapseOptions, TickFacts};
use metrics::{EvaluateOptions, Evaluator, FeatureNetwork, ImageSet, Metric, Step};
use networks::Generator;
use training::{Evaluation, MetricOutcome, TrainConfig};

use crate::args::RunArgs;

/// Official name style of the probe's number.
const DIVERSITY: &str = "Progress/diversity";

/// Judges the generator of a run.
pub struct Judge {
    dataset: Arc<ImageDataset>,
    metrics: Vec<Metric>,
    evaluator: Option<Evaluator>,
    monitor: CollapseMonitor,
    stop: Arc<AtomicBool>,
}

impl Judge {
    /// Opens the feature network when there is something to measure. Without weights, metrics that were asked for are an
    /// error; the preset's own are turned off with a warning.
    pub fn new(
        args: &RunArgs,
        config: &mut TrainConfig,
        were_asked_for: bool,
        dataset: &Arc<ImageDataset>,
    ) -> Result<Self> {
        config.metrics.retain(|name| name != "none");
        let mut metrics = Vec::new();
        for name in &config.metrics {
            let metric = name.parse::<Metric>();
            metrics.push(metric.map_err(|e| anyhow::anyhow!("--metrics {name}: {e}"))?);
        }
        let mut evaluator = None;
        if !metrics.is_empty() {
            match open_evaluator(args, dataset) {
                Ok(opened) => evaluator = Some(opened),
                Err(error) if were_asked_for => {
                    return Err(error).context("--metrics");
                }
                Err(error) => {
                    tracing::warn!("no metrics in this sitting: {error:#}");
                }
            }
        }
        Ok(Self {
            dataset: Arc::clone(dataset),
            metrics,
            evaluator,
            monitor: CollapseMonitor::new(CollapseOptions::default()),
            stop: Arc::default(),
        })
    }

    /// Gives up an evaluation when `stop` is set.
    pub fn until(self, stop: &Arc<AtomicBool>) -> Self {
        let stop = Arc::clone(stop);
        Self { stop, ..self }
    }

    /// Lets the alarm see the ticks before `end`, of an earlier sitting.
    pub fn replay(&mut self, run_dir: &Path, end: u64) {
        let text = std::fs::read_to_string(run_dir.join("stats.jsonl")).unwrap_or_default();
        for line in text.lines() {
            if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
                let mean = |name: &str| line[name]["mean"].as_f64();
                if mean("Progress/tick").is_some_and(|tick| tick < end as f64) {
                    self.observe(mean);
                }
            }
        }
    }

    /// The cheap look at the end of a tick.
    pub fn probe(&self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        match evaluation::probe_diversity(g_ema, Some(&self.dataset)) {
            Ok(diversity) => vec![(DIVERSITY, diversity)],
            Err(error) => {
                tracing::debug!("diversity: {error}");
                Vec::new()
            }
        }
    }

    /// Whether the run has collapsed, by the means of a tick.
    pub fn observe(&mut self, mean: impl Fn(&str) -> Option<f64>) -> Option<Alarm> {
        self.monitor.observe(&TickFacts {
            kimg: mean("Progress/kimg").unwrap_or(0.0),
            scores_real: mean("Loss/scores/real"),
            scores_fake: mean("Loss/scores/fake"),
            diversity: mean(DIVERSITY),
        })
    }

    /// Measures a snapshot.
    pub fn evaluate(&mut self, wanted: &Evaluation<'_>) -> Result<Vec<MetricOutcome>> {
        let Some(evaluator) = &mut self.evaluator else {
            return Ok(Vec::new());
        };
        let mut fakes = FakeImages::new(wanted.g_ema, Some(&self.dataset), 0)?;
        let mut bar: Option<(Step, cli::Progress)> = None;
        let stop = Arc::clone(&self.stop);
        let mut give = |n| match stop.load(Ordering::Relaxed) {
            true => Err("the run is asked to stop".into()),
            false => Ok(Some(fakes.batch(n)?)),
        };
        let results = evaluator.evaluate(&self.metrics, &mut give, &mut |progress| {
            if bar.as_ref().is_none_or(|(step, _)| *step != progress.step) {
                let (title, unit) = match progress.step {
                    Step::Reals => ("real images", "images"),
                    Step::Fakes => ("fakes", "images"),
                    Step::Compute => ("computing", "metrics"),
                };
                let total = (progress.total > 0).then_some(progress.total as u64);
                bar = Some((progress.step, cli::Progress::new(title, total, unit)));
            }
            if let Some((_, bar)) = &bar {
                bar.set_position(progress.done as u64);
            }
        })?;
        let snapshot = wanted
            .snapshot
            .file_name()
            .map(|name| name.to_string_lossy());
        let outcomes = results.into_iter().map(|result| MetricOutcome {
            metric: result.metric.to_string(),
            lower_is_better: result
                .results
                .keys()
                .filter(|name| Metric::lower_is_better(name))
                .cloned()
                .collect(),
            line: result.to_json(snapshot.as_deref(), timestamp()),
            results: result.results,
        });
        Ok(outcomes.collect())
    }
}

fn open_evaluator(args: &RunArgs, dataset: &ImageDataset) -> Result<Evaluator> {
    let cache = Download::from_env()
        .ok()
        .map(|download| metrics::cache_folder(&download.cache));
    let network = match &args.weights {
        Some(path) => FeatureNetwork::from_file(path)?,
        None => FeatureNetwork::open(args.features, cache.as_deref())?,
    };
    let options = EvaluateOptions {
        cache: cache.filter(|_| args.weights.is_none()),
        ..EvaluateOptions::default()
    };
    Ok(Evaluator::new(
        network,
        ImageSet::Dataset(dataset.clone()),
        options,
    ))
}

fn timestamp() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0.0, |t| t.as_secs_f64())
}
