//! A run from its first step to its last file: ticks, logs, previews, snapshots, metrics, states.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use candle_core::Device;
use networks::{Generator, Snapshot};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::preview::Preview;
use crate::run_dir::{self, GrowingFile};
use crate::stats::format_time;
use crate::tfevents::EventWriter;
use crate::trainer::Trainer;
use crate::training_state::{self, Progress};

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line of the log.
    Line(&'a str),
    /// One step is made.
    Step {
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
    /// Something that the run survives.
    Warning(String),
}

/// The results of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricOutcome {
    /// Official name.
    pub metric: String,
    /// Numbers by name (`pr50k3_full_precision`).
    pub results: Map<String, Value>,
    /// Those of them of which less is better.
    pub lower_is_better: Vec<String>,
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

    /// Looks at the average generator at the end of a tick; the numbers go into the statistics under their names.
    fn probe(&mut self, g_ema: &Generator) -> Vec<(&'static str, f64)> {
        let _ = g_ema;
        Vec::new()
    }

    /// Computes metrics. A failure is reported and the run goes on.
    ///
    /// # Errors
    /// Whatever went wrong, in words.
    fn evaluate(
        &mut self,
        evaluation: &Evaluation<'_>,
    ) -> std::result::Result<Vec<MetricOutcome>, String> {
        let _ = evaluation;
        Ok(Vec::new())
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All images seen.
    Finished,
    /// Asked to stop; the state is saved.
    Stopped,
}

/// Runs training in a folder until its end, or until `stop` is set.
///
/// The folder must exist; a new run gets its options, `reals.png` and `fakes_init.png` there, a resumed one (with the
/// progress of its state) has its growing files cut back to where the state was saved.
///
/// # Errors
/// When a file cannot be written, an image not be read, or the tensor library fails.
pub fn run(
    run_dir: &Path,
    trainer: &mut Trainer,
    resumed: Option<Progress>,
    hooks: &mut dyn Hooks,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let mut run = Run::start(run_dir, trainer, resumed, hooks)?;
    loop {
        trainer.step()?;
        hooks.event(Event::Step {
            nimg: trainer.learner().cur_nimg,
            p: trainer.p(),
            mean_sign: trainer.mean_sign(),
        });
        let done = run.is_done(trainer);
        if done || run.tick_is_over(trainer) {
            run.tick(trainer, done, hooks)?;
        }
        if done {
            survive(run.log.line("Exiting..."), hooks);
            return Ok(Outcome::Finished);
        }
        if stop.load(Ordering::Relaxed) {
            run.save_state(trainer, hooks)?;
            return Ok(Outcome::Stopped);
        }
    }
}

/// The files and clocks of a run.
struct Run {
    dir: PathBuf,
    progress: Progress,
    preview: Preview,
    log: GrowingFile,
    stats: GrowingFile,
    events: EventWriter,
    /// When this sitting began, as if all former ones had been part of it.
    elapsed_before: f64,
    sitting: Instant,
    tick_start: Instant,
    maintenance: Duration,
}

impl Run {
    fn start(
        dir: &Path,
        trainer: &Trainer,
        resumed: Option<Progress>,
        hooks: &mut dyn Hooks,
    ) -> Result<Self> {
        let config = trainer.config();
        let device = Device::Cpu;
        let preview = Preview::new(
            trainer.dataset(),
            config.preview_grid,
            config.generator.z_dim,
            config.random_seed,
            config.batch_gpu,
            &device,
        )?;
        let is_new = resumed.is_none();
        run_dir::remove_temporaries(dir)?;
        let progress = resumed.unwrap_or_default();
        if !is_new {
            run_dir::cut_back(dir, &progress.file_lengths)?;
        }
        check_space(dir, trainer)?;
        let sitting = Instant::now();
        let mut run = Self {
            log: GrowingFile::open(dir.join(run_dir::LOG))?,
            stats: GrowingFile::open(dir.join(run_dir::STATS))?,
            events: EventWriter::open(events_path(dir)?)?,
            dir: dir.to_owned(),
            elapsed_before: progress.elapsed_sec,
            progress,
            preview,
            sitting,
            tick_start: sitting,
            maintenance: Duration::ZERO,
        };
        run.write_options(trainer)?;
        if is_new {
            run.write_beginning(trainer, hooks)?;
        } else {
            let kimg = trainer.learner().cur_nimg as f64 / 1e3;
            run.say(&format!("Resuming at {kimg:.1} kimg."), hooks);
        }
        run.tick_start = Instant::now();
        run.maintenance = run.tick_start - sitting;
        Ok(run)
    }

    fn write_options(&self, trainer: &Trainer) -> Result<()> {
        let config = trainer.config();
        let mut options = config.training_options();
        options["run_dir"] = self.dir.display().to_string().into();
        self.write_json("training_options.json", &options)?;
        let config_json = serde_json::to_value(config).map_err(|e| Error::state(e.to_string()))?;
        self.write_json("train_config.json", &config_json)
    }

    fn write_beginning(&mut self, trainer: &Trainer, hooks: &mut dyn Hooks) -> Result<()> {
        let config = trainer.config();
        let dataset = trainer.dataset();
        self.say("Loading training set...", hooks);
        self.say(&format!("Num images:  {}", dataset.len()), hooks);
        self.say(&format!("Image shape: {:?}", dataset.shape()), hooks);
        self.say(&format!("Label shape: [{}]", dataset.label_dim()), hooks);
        let reals = self.dir.join("reals.png");
        self.preview.write_reals(dataset, &reals)?;
        hooks.event(Event::Wrote(&reals));
        let fakes = self.dir.join("fakes_init.png");
        self.preview.write_fakes(&trainer.learner().g_ema, &fakes)?;
        hooks.event(Event::Wrote(&fakes));
        self.say(
            &format!("Training for {} kimg...", config.total_kimg),
            hooks,
        );
        Ok(())
    }

    fn write_json(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.dir.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::state(e.to_string()))?;
        files::write_bytes(&path, text.as_bytes()).map_err(Error::file(&path))
    }

    /// To the log and to whoever listens.
    fn say(&mut self, line: &str, hooks: &mut dyn Hooks) {
        survive(self.log.line(line), hooks);
        hooks.event(Event::Line(line));
    }

    fn is_done(&self, trainer: &Trainer) -> bool {
        trainer.learner().cur_nimg >= trainer.config().total_kimg * 1000
    }

    /// Tick 0 ends with the first step.
    fn tick_is_over(&self, trainer: &Trainer) -> bool {
        let length = trainer.config().kimg_per_tick * 1000;
        self.progress.tick == 0
            || trainer.learner().cur_nimg >= self.progress.tick_start_nimg + length
    }

    fn elapsed(&self) -> f64 {
        self.elapsed_before + self.sitting.elapsed().as_secs_f64()
    }

    /// Ends a tick. What cannot be written is told, and the run goes on: days of training are worth more than a file. At
    /// the end of the run it is an error.
    fn tick(&mut self, trainer: &mut Trainer, done: bool, hooks: &mut dyn Hooks) -> Result<()> {
        let now = Instant::now();
        let nimg = trainer.learner().cur_nimg;
        let line = self.report(trainer, now - self.tick_start, nimg);
        self.say(&line, hooks);
        self.write_pictures(trainer, done, hooks);
        let networks = self.write_networks(trainer, done, hooks);
        for (name, value) in hooks.probe(&trainer.learner().g_ema) {
            trainer.stats.report(name, [value]);
        }
        trainer.stats.close();
        let means: BTreeMap<String, f64> = trainer
            .stats
            .iter()
            .map(|(name, moments)| (name.to_owned(), moments.mean()))
            .collect();
        survive(self.write_stats(trainer, &means, nimg / 1000), hooks);
        hooks.event(Event::Tick {
            tick: self.progress.tick,
            nimg,
            means: &means,
        });

        let saves = done || self.is_due(trainer.config().state_ticks);
        self.progress.tick += 1;
        self.progress.tick_start_nimg = nimg;
        let state = match saves {
            true => self.save_state(trainer, hooks),
            false => Ok(()),
        };
        if done {
            return networks.and(state);
        }
        survive(networks, hooks);
        survive(state, hooks);
        self.tick_start = Instant::now();
        self.maintenance = self.tick_start - now;
        Ok(())
    }

    fn is_due(&self, interval: usize) -> bool {
        self.progress.tick.is_multiple_of(interval as u64)
    }

    fn write_pictures(&self, trainer: &Trainer, done: bool, hooks: &mut dyn Hooks) {
        if done || self.is_due(trainer.config().image_snapshot_ticks) {
            let kimg = trainer.learner().cur_nimg / 1000;
            let path = self.dir.join(format!("fakes{kimg:06}.png"));
            match self.preview.write_fakes(&trainer.learner().g_ema, &path) {
                Ok(()) => hooks.event(Event::Wrote(&path)),
                error => survive(error, hooks),
            }
        }
    }

    fn write_networks(
        &mut self,
        trainer: &Trainer,
        done: bool,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        let config = trainer.config();
        let kimg = trainer.learner().cur_nimg / 1000;
        // The first tick is one step long: its networks are those of the start.
        let evaluates = !config.metrics.is_empty()
            && (done || self.progress.tick > 0 && self.is_due(config.metrics_ticks));
        if done || evaluates || self.is_due(config.network_snapshot_ticks) {
            let path = self.write_snapshot(trainer, kimg)?;
            hooks.event(Event::Wrote(&path));
            if evaluates {
                let evaluated = self.evaluate(trainer, &path, kimg, hooks);
                survive(evaluated, hooks);
            }
            self.remove_old_snapshots(config.keep_snapshots, &file_name(&path))?;
        }
        Ok(())
    }

    fn write_stats(
        &mut self,
        trainer: &Trainer,
        means: &BTreeMap<String, f64>,
        kimg: u64,
    ) -> Result<()> {
        let timestamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |t| t.as_secs_f64());
        let line = trainer.stats.to_json(timestamp).to_string();
        self.stats.line(&line)?;
        let wall_time = self.elapsed();
        let scalars = means.iter().chain(&self.progress.metrics);
        let scalars = scalars.map(|(name, value)| (name.as_str(), *value));
        self.events.scalars(kimg, wall_time, scalars)
    }

    /// The official line of a tick; its numbers also go into the statistics.
    fn report(&self, trainer: &mut Trainer, time: Duration, nimg: u64) -> String {
        let tick = self.progress.tick;
        let total = self.elapsed();
        let sec_per_tick = time.as_secs_f64();
        let tick_nimg = (nimg - self.progress.tick_start_nimg).max(1);
        let sec_per_kimg = sec_per_tick / tick_nimg as f64 * 1e3;
        let maintenance = self.maintenance.as_secs_f64();
        let kimg = nimg as f64 / 1e3;
        let cpu_mem = resident_bytes().unwrap_or(0) as f64 / f64::from(1 << 30);
        let p = trainer.p();
        for (name, value) in [
            ("Progress/tick", tick as f64),
            ("Progress/kimg", kimg),
            ("Timing/total_sec", total),
            ("Timing/sec_per_tick", sec_per_tick),
            ("Timing/sec_per_kimg", sec_per_kimg),
            ("Timing/maintenance_sec", maintenance),
            ("Resources/cpu_mem_gb", cpu_mem),
            ("Resources/peak_gpu_mem_gb", 0.0),
            ("Progress/augment", p),
            ("Timing/total_hours", total / 3600.0),
            ("Timing/total_days", total / 86400.0),
        ] {
            trainer.stats.report(name, [value]);
        }
        let total = format_time(Duration::from_secs_f64(total));
        format!(
            "tick {tick:<5} kimg {kimg:<8.1} time {total:<12} sec/tick {sec_per_tick:<7.1} \
             sec/kimg {sec_per_kimg:<7.2} maintenance {maintenance:<6.1} cpumem {cpu_mem:<6.2} \
             gpumem {:<6.2} augment {p:.3}",
            0.0
        )
    }

    fn write_snapshot(&self, trainer: &Trainer, kimg: u64) -> Result<PathBuf> {
        let path = self
            .dir
            .join(format!("network-snapshot-{kimg:06}.safetensors"));
        let learner = trainer.learner();
        let options = trainer.config().training_options();
        let mut metadata = BTreeMap::from([
            (
                "kaogan.training_set_kwargs".to_owned(),
                options["training_set_kwargs"].to_string(),
            ),
            (
                "kaogan.progress".to_owned(),
                json!({"nimg": learner.cur_nimg, "augment_p": trainer.p()}).to_string(),
            ),
        ]);
        if let Some(augment) = options.get("augment_kwargs") {
            metadata.insert("kaogan.augment_kwargs".to_owned(), augment.to_string());
        }
        let snapshot = Snapshot {
            g: Some(learner.networks.g.detached()?),
            d: Some(learner.networks.d.detached()?),
            g_ema: Some(learner.g_ema.detached()?),
            metadata,
        };
        snapshot.save(&path)?;
        Ok(path)
    }

    fn evaluate(
        &mut self,
        trainer: &Trainer,
        snapshot: &Path,
        kimg: u64,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        let evaluation = Evaluation {
            snapshot,
            g_ema: &trainer.learner().g_ema,
            metrics: &trainer.config().metrics,
            kimg,
        };
        let results = match hooks.evaluate(&evaluation) {
            Ok(results) => results,
            Err(reason) => {
                let name = file_name(snapshot);
                hooks.event(Event::Warning(format!("no metrics of {name}: {reason}")));
                return Ok(());
            }
        };
        for outcome in results {
            for (name, value) in &outcome.results {
                let Some(value) = value.as_f64().filter(|v| v.is_finite()) else {
                    continue;
                };
                self.progress
                    .metrics
                    .insert(format!("Metrics/{name}"), value);
                let best = self.progress.best.get(name);
                let is_better = |best: f64| match outcome.lower_is_better.contains(name) {
                    true => value < best,
                    false => value > best,
                };
                // A spread is no quality.
                if !name.ends_with("_std") && best.is_none_or(|(best, _)| is_better(*best)) {
                    let entry = (value, file_name(snapshot));
                    self.progress.best.insert(name.clone(), entry);
                }
            }
            let line = outcome.line.to_string();
            let path = self.dir.join(format!("metric-{}.jsonl", outcome.metric));
            if !has_result(&path, &outcome.line) {
                GrowingFile::open(path)?.line(&line)?;
            }
            self.say(&line, hooks);
        }
        Ok(())
    }

    /// Keeps the newest and those that a metric found best. What is newer than `current` is left from before a resume.
    fn remove_old_snapshots(&self, keep: Option<usize>, current: &str) -> Result<()> {
        let Some(keep) = keep else { return Ok(()) };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(Error::file(&self.dir))? {
            let entry = entry.map_err(Error::file(&self.dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_snapshot =
                name.starts_with("network-snapshot-") && name.ends_with(".safetensors");
            if is_snapshot && name.as_str() <= current {
                names.push(name);
            }
        }
        names.sort();
        names.reverse();
        for name in names.iter().skip(keep.max(1)) {
            let is_best = self.progress.best.values().any(|(_, best)| best == name);
            if !is_best {
                let path = self.dir.join(name);
                std::fs::remove_file(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }

    fn save_state(&mut self, trainer: &Trainer, hooks: &mut dyn Hooks) -> Result<()> {
        self.progress.elapsed_sec = self.elapsed();
        self.progress.file_lengths = run_dir::file_lengths(&self.dir)?;
        let path = training_state::write(&self.dir, trainer, &self.progress)?;
        hooks.event(Event::Wrote(&path));
        let needed = state_bytes(trainer);
        if let Some(free) = run_dir::free_bytes(&self.dir)
            && free < 2 * needed
        {
            hooks.event(Event::Warning(format!(
                "the disk is nearly full: {} MB are free, a training state takes {} MB",
                free >> 20,
                needed >> 20
            )));
        }
        Ok(())
    }
}

/// Tells what went wrong, and lets the run go on.
fn survive(result: Result<()>, hooks: &mut dyn Hooks) {
    if let Err(error) = result {
        hooks.event(Event::Warning(format!(
            "{error}; the run goes on without it"
        )));
    }
}

/// Whether a metric file already has a result of the same kind for the same snapshot: a killed run makes it again.
fn has_result(path: &Path, line: &Value) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|old| {
        let old: Value = serde_json::from_str(old).unwrap_or_default();
        old["snapshot_pkl"] == line["snapshot_pkl"] && old["flavour"] == line["flavour"]
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The event file of a run: the one that is there, or a new one.
fn events_path(dir: &Path) -> Result<PathBuf> {
    let lengths = run_dir::file_lengths(dir)?;
    let existing = lengths.keys().find(|name| name.contains(".tfevents."));
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_secs());
    Ok(dir.join(match existing {
        Some(name) => name.clone(),
        None => format!("events.out.tfevents.{seconds}.kaogan"),
    }))
}

/// Bytes of a training state.
fn state_bytes(trainer: &Trainer) -> u64 {
    let (_, tensors) = trainer.save();
    let values: usize = tensors.iter().map(|(_, tensor)| tensor.elem_count()).sum();
    values as u64 * 4
}

/// A run that could not save itself is refused before it begins.
fn check_space(dir: &Path, trainer: &Trainer) -> Result<()> {
    let needed = 4 * state_bytes(trainer);
    match run_dir::free_bytes(dir) {
        Some(free) if free < needed => Err(Error::setting(
            "outdir",
            format!(
                "'{}' has {} MB left; states and snapshots of this run need at least {} MB",
                dir.display(),
                free >> 20,
                needed >> 20
            ),
        )),
        _ => Ok(()),
    }
}

/// Memory of this process; `None` where that cannot be told.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
