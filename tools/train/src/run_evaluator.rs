//! Computes the metrics of a run and detects its collapse, with the same code as `eval`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow};
use candle_core::Device;
use dataset::ImageDataset;
use evaluator::{Bars, EvaluatorSettings};
use fakes::FakeImages;
use files::JsonLines;
use metrics::{Evaluator, FeatureKind, ImageSet, Metric, MetricResult};
use networks::Generator;
use run_folder::{
    Alarm, CollapseMonitor, CollapseOptions, Curve, DIVERSITY, MetricLine, TickScalars, Trend,
    WARM_UP_KIMG, can_judge, names, read_metric_lines, timestamp,
};
use training::{Evaluation, MetricOutcome, TrainConfig};

/// Computes the metrics of a run's snapshots and detects a collapse of the run.
pub struct RunEvaluator {
    dataset: Arc<ImageDataset>,
    metrics: Vec<Metric>,
    /// Metrics that failed at an earlier snapshot. Each is computed in a pass of its own, so that its failure does not
    /// affect the others.
    failed_before: HashSet<Metric>,
    evaluator: Option<Evaluator>,
    monitor: CollapseMonitor,
    /// Length of the warm-up in kimg. Earlier snapshots are not judged.
    warm_up_kimg: f64,
    stop: Arc<AtomicBool>,
}

impl RunEvaluator {
    /// Opens the feature networks on `device` if the run has metrics. Removes `none`, which stands for no metrics, from
    /// the metrics of `config`. If `starts` is true, the run starts after this, and metrics that cannot be computed are
    /// an error, so that no run trains for days without them; for a dry run (`starts` false) they only cause a warning.
    pub fn new(
        config: &mut TrainConfig,
        starts: bool,
        dataset: &Arc<ImageDataset>,
        device: &Device,
    ) -> Result<Self> {
        config.metrics.retain(|name| name != "none");
        let mut metrics = Vec::new();
        for name in &config.metrics {
            let metric = name.parse::<Metric>();
            metrics.push(metric.map_err(|e| anyhow!("--metrics {name}: {e}"))?);
        }
        let features: FeatureKind = config
            .features
            .parse()
            .map_err(|e| anyhow!("--features: {e}"))?;
        let mut evaluator = None;
        if !metrics.is_empty() {
            let opened = open_evaluator(config, device, features, &metrics, dataset);
            let opened = opened.with_context(|| {
                format!(
                    "--metrics {} cannot be computed (`--metrics none` trains without)",
                    config.metrics.join(",")
                )
            });
            match opened {
                Ok(opened) => evaluator = Some(opened),
                Err(error) if starts => return Err(error),
                Err(error) => tracing::warn!("the run would not start: {error:#}"),
            }
        }
        Ok(Self {
            dataset: Arc::clone(dataset),
            metrics,
            failed_before: HashSet::new(),
            evaluator,
            monitor: CollapseMonitor::new(CollapseOptions::default()),
            warm_up_kimg: match config.init_from {
                Some(_) => 0.0,
                None => WARM_UP_KIMG,
            },
            stop: Arc::default(),
        })
    }

    /// Makes evaluations stop with an error once `stop` is set.
    pub fn until(self, stop: &Arc<AtomicBool>) -> Self {
        let stop = Arc::clone(stop);
        Self { stop, ..self }
    }

    /// Passes the ticks of earlier sessions that are saved in the folder of the run to the collapse monitor: those
    /// whose tick number is below `end`.
    pub fn replay(&mut self, run_dir: &Path, end: u64) {
        let path = run_dir.join(names::STATS);
        let lines = match JsonLines::read(&path) {
            Ok(lines) => lines,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!("'{}' cannot be read: {error}", path.display());
                return;
            }
        };
        if let Some(damage) = lines.damage() {
            tracing::warn!("'{}': {damage}", path.display());
        }
        for (_, line) in &lines.records {
            let mean = |name: &str| line.get(name)?["mean"].as_f64();
            if mean("Progress/tick").is_some_and(|tick| tick < end as f64) {
                self.observe(mean);
            }
        }
    }

    /// Measures the diversity of images of `g_ema` and returns it as a named scalar; empty when that fails.
    pub fn diversity(&self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        match fakes::measure_diversity(g_ema, Some(&self.dataset)) {
            Ok(diversity) => vec![(DIVERSITY, diversity)],
            Err(error) => {
                tracing::debug!("diversity: {error}");
                Vec::new()
            }
        }
    }

    /// Passes the scalars of a tick to the collapse monitor; `mean` returns a scalar by name. Returns the alarm, if
    /// any.
    pub fn observe(&mut self, mean: impl Fn(&str) -> Option<f64>) -> Option<Alarm> {
        self.monitor.observe(&TickScalars::from_means(mean))
    }

    /// A message when the run has collapsed according to the FID or KID of this snapshot and earlier ones; otherwise
    /// `None`. `eval compare` uses the same rule.
    pub fn collapse_by_metric(
        &self,
        evaluation: &Evaluation<'_>,
        results: &[Result<MetricOutcome, String>],
    ) -> Option<String> {
        let new = results.iter().flatten().find(|outcome| {
            let judges = ["fid", "kid"];
            judges.iter().any(|name| outcome.metric.starts_with(name))
        })?;
        let result = new.results.keys().next()?;
        let mut lines = read_metric_lines(evaluation.snapshot.parent()?).ok()?;
        let line = MetricLine::of_result(&new.metric, &new.line)?;
        let features = line.features().to_owned();
        lines.push(line);
        let curve = Curve::of(&lines, result, &features, self.warm_up_kimg);
        let trend = curve.trend();
        let has_collapsed = matches!(trend, Trend::Collapsed { .. }) && can_judge(&features);
        has_collapsed.then(|| format!("the run {}", trend.sentence(result)))
    }

    /// Computes all metrics of a snapshot in one pass over generated images. When a metric fails, each metric of its
    /// pass gets a pass of its own.
    pub fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        if self.evaluator.is_none() {
            return Vec::new();
        }
        let (failed_before, others): (Vec<Metric>, Vec<Metric>) = self
            .metrics
            .iter()
            .partition(|metric| self.failed_before.contains(metric));
        let mut passes: Vec<Vec<Metric>> =
            failed_before.into_iter().rev().map(|m| vec![m]).collect();
        if !others.is_empty() {
            passes.push(others);
        }
        let mut outcomes = Vec::new();
        while let Some(metrics) = passes.pop() {
            match self.compute(evaluation, &metrics) {
                Ok(results) => {
                    let results = results.into_iter();
                    outcomes.extend(results.map(|result| Ok(outcome(evaluation, result))));
                }
                Err(error) if metrics.len() == 1 || self.is_stopping() => {
                    let names: Vec<String> = metrics.iter().map(Metric::to_string).collect();
                    let mut reason = format!("{}: {error:#}", names.join(", "));
                    match self.is_stopping() {
                        true => reason += "; the run computes it when it resumes",
                        false => self.failed_before.extend(&metrics),
                    }
                    outcomes.push(Err(reason));
                }
                Err(_) => passes.extend(metrics.into_iter().rev().map(|metric| vec![metric])),
            }
        }
        outcomes
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn compute(
        &mut self,
        evaluation: &Evaluation<'_>,
        metrics: &[Metric],
    ) -> Result<Vec<MetricResult>> {
        let Some(evaluator) = &mut self.evaluator else {
            return Ok(Vec::new());
        };
        let fakes = FakeImages::new(evaluation.g_ema, Some(&self.dataset), 0)?;
        let mut fakes = fakes.until(&self.stop);
        let mut bars = Bars::default();
        let mut results = Vec::with_capacity(metrics.len());
        let mut show = |progress| bars.show(progress);
        evaluator.evaluate_each(metrics, &mut fakes, &mut show, &mut |result| {
            results.push(result);
            Ok(())
        })?;
        Ok(results)
    }
}

fn outcome(evaluation: &Evaluation<'_>, result: MetricResult) -> MetricOutcome {
    let snapshot = evaluation.snapshot.file_name();
    let snapshot = snapshot.map(|name| name.to_string_lossy());
    MetricOutcome {
        metric: result.metric.to_string(),
        line: result.to_json(snapshot.as_deref(), timestamp()),
        results: result.results,
    }
}

/// Opens the feature networks on the device of the run. They compute in f32 if the run is trained in f32.
fn open_evaluator(
    config: &TrainConfig,
    device: &Device,
    features: FeatureKind,
    metrics: &[Metric],
    dataset: &ImageDataset,
) -> Result<Evaluator> {
    let weights = config.weights.as_deref().map(Path::new);
    let settings = EvaluatorSettings {
        is_f32: config.generator.num_fp16_res == 0,
        ..EvaluatorSettings::new(features, weights)
    };
    settings.open(device, metrics, ImageSet::Dataset(dataset.clone()))
}
