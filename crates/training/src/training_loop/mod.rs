//! The training loop with its files: ticks, log, previews, snapshots, metrics, training states.
//!
//! A file that cannot be written during a run causes a warning only, because the training is worth more than the file.
//! At the end of the run, a file that cannot be written is an error.

mod evaluation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use run_folder::{EventWriter, GrowingFile, RunFolder, names};
use serde_json::Value;

use crate::disk_space::{check_space, nearly_full};
use crate::error::{Error, Result};
use crate::hooks::{Event, Hooks};
use crate::preview::Preview;
use crate::snapshots;
use crate::tick_line::{TickTimes, tick_line};
use crate::trainer::Trainer;
use crate::training_state::{self, Progress};

/// The way in which a session of a run (one execution of the program) ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run has reached its configured length, `total_kimg`.
    Finished,
    /// The run was asked to stop; its training state is saved.
    Stopped,
}

/// Trains in a run folder until the run ends or `stop` is set.
///
/// A new run (`resumed` is `None`) first writes its options, `reals.png` and `fakes_init.png`. To resume, pass the
/// progress of the training state: log, statistics and events are then cut back to their lengths at that state. `hooks`
/// receives events and computes metrics.
///
/// # Errors
/// When the files of the last tick cannot be written, an image cannot be read (the training state is saved then), or
/// the tensor library fails.
pub fn run(
    run_folder: &RunFolder,
    trainer: &mut Trainer,
    resumed: Option<Progress>,
    hooks: &mut dyn Hooks,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let mut run = Run::start(run_folder.path(), trainer, resumed, hooks, stop)?;
    run.finish_pending_evaluation(trainer, hooks)?;
    loop {
        // `stop` may be set before the first step.
        if stop.load(Ordering::Relaxed) {
            // The end of a tick may already have saved this state.
            if run.saved_nimg != Some(trainer.learner().cur_nimg) {
                run.save_state(trainer, run.tick_sec(), hooks)?;
            }
            return Ok(Outcome::Stopped);
        }
        if run.is_done(trainer) {
            run.log_line("Exiting...", hooks);
            return Ok(Outcome::Finished);
        }
        if let Err(error) = trainer.step() {
            // An image that cannot be read leaves the run between two steps, so its state can be saved.
            if matches!(error, Error::Dataset(_)) {
                let saved = run.save_state(trainer, run.tick_sec(), hooks);
                run.warn_on_error(saved, hooks);
            }
            return Err(error);
        }
        hooks.event(Event::Step {
            tick: run.progress.tick,
            nimg: trainer.learner().cur_nimg,
            p: trainer.p(),
            mean_sign: trainer.mean_sign(),
        });
        let done = run.is_done(trainer);
        if done || run.tick_is_over(trainer) {
            run.tick(trainer, done, hooks)?;
        }
        // A run is finished when its last metrics are computed. Otherwise the next session computes them.
        if done && run.progress.pending_evaluation.is_none() {
            run.log_line("Exiting...", hooks);
            return Ok(Outcome::Finished);
        }
    }
}

/// The files, clocks and counters of a run.
struct Run<'a> {
    dir: PathBuf,
    progress: Progress,
    preview: Preview,
    log: GrowingFile,
    stats: GrowingFile,
    events: EventWriter,
    stop: &'a AtomicBool,
    /// Real images seen when this session last wrote a training state; `None` before.
    saved_nimg: Option<u64>,
    /// Seconds that the earlier sessions of the run have taken.
    elapsed_before: f64,
    /// Time at which this session began.
    session_start: Instant,
    /// Time at which this session began the steps of the current tick.
    tick_start: Instant,
    /// Time between the last step of the previous tick and the first step of the current one.
    maintenance: Duration,
}

impl<'a> Run<'a> {
    fn start(
        dir: &Path,
        trainer: &Trainer,
        resumed: Option<Progress>,
        hooks: &mut dyn Hooks,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let config = trainer.config();
        let preview = Preview::new(
            trainer.dataset(),
            config.preview_grid,
            config.generator.z_dim,
            config.random_seed,
            config.batch_gpu,
            trainer.device(),
        )?;
        let is_new = resumed.is_none();
        files::remove_stale(dir);
        let progress = resumed.unwrap_or_default();
        let lost_records = match is_new {
            true => Vec::new(),
            false => run_folder::cut_back(dir, &progress.file_lengths)?,
        };
        check_space(dir, trainer)?;
        let session_start = Instant::now();
        let mut run = Self {
            log: GrowingFile::open(dir.join(names::LOG))?,
            stats: GrowingFile::open(dir.join(names::STATS))?,
            events: EventWriter::open(run_folder::events_path(dir)?)?,
            dir: dir.to_owned(),
            elapsed_before: progress.elapsed_sec,
            progress,
            preview,
            stop,
            saved_nimg: None,
            session_start,
            tick_start: session_start,
            maintenance: Duration::ZERO,
        };
        run.write_options(trainer)?;
        if is_new {
            run.write_initial_files(trainer, hooks)?;
        } else {
            let kimg = trainer.learner().cur_nimg as f64 / 1e3;
            run.log_line(&format!("Resuming at {kimg:.1} kimg."), hooks);
        }
        for text in lost_records {
            run.warn(&text, hooks);
        }
        run.log_warnings(hooks);
        run.tick_start = Instant::now();
        run.maintenance = run.tick_start - session_start;
        Ok(run)
    }

    fn write_options(&self, trainer: &Trainer) -> Result<()> {
        let config = trainer.config();
        let mut options = config.training_options();
        options["run_dir"] = self.dir.display().to_string().into();
        // NVIDIA's file lacks these, but results with other feature networks or weights are not comparable.
        options["features"] = config.features.as_str().into();
        if let Some(weights) = &config.weights {
            options["weights"] = weights.as_str().into();
        }
        self.write_json(names::TRAINING_OPTIONS, &options)?;
        let config_json = serde_json::to_value(config).map_err(|e| Error::state(e.to_string()))?;
        self.write_json(names::TRAIN_CONFIG, &config_json)
    }

    fn write_initial_files(&mut self, trainer: &Trainer, hooks: &mut dyn Hooks) -> Result<()> {
        let config = trainer.config();
        let dataset = trainer.dataset();
        self.log_line("Loading training set...", hooks);
        self.log_line(&format!("Num images:  {}", dataset.len()), hooks);
        self.log_line(&format!("Image shape: {:?}", dataset.shape()), hooks);
        self.log_line(&format!("Label shape: [{}]", dataset.label_dim()), hooks);
        let reals = self.dir.join(names::REALS);
        self.preview.write_reals(dataset, &reals)?;
        hooks.event(Event::Wrote(&reals));
        let fakes = self.dir.join(names::FAKES_INIT);
        self.preview.write_fakes(&trainer.learner().g_ema, &fakes)?;
        hooks.event(Event::Wrote(&fakes));
        self.log_line(
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

    /// Writes a line to the log and sends it as an event.
    fn log_line(&mut self, line: &str, hooks: &mut dyn Hooks) {
        let logged = self.log.line(&files::printable(line));
        hooks.event(Event::Line(line));
        if let Err(error) = logged {
            let text = format!("{error}; the run goes on without it");
            hooks.event(Event::Warning(&text));
        }
    }

    /// Writes a warning to the log and sends it as an event.
    fn warn(&mut self, text: &str, hooks: &mut dyn Hooks) {
        // If the log cannot be written, the event still reports the warning.
        let _ = self
            .log
            .line(&format!("Warning: {}", files::printable(text)));
        hooks.event(Event::Warning(text));
    }

    /// Turns an error into a warning, so that the run goes on.
    fn warn_on_error(&mut self, result: Result<(), impl std::fmt::Display>, hooks: &mut dyn Hooks) {
        if let Err(error) = result {
            self.warn(&format!("{error}; the run goes on without it"), hooks);
        }
    }

    fn log_warnings(&mut self, hooks: &mut dyn Hooks) {
        for text in hooks.warnings() {
            self.warn(&text, hooks);
        }
    }

    fn is_done(&self, trainer: &Trainer) -> bool {
        trainer.learner().cur_nimg >= trainer.config().total_kimg * 1000
    }

    /// Whether the current tick has reached its number of images. Tick 0 ends with the first step.
    fn tick_is_over(&self, trainer: &Trainer) -> bool {
        let length = trainer.config().kimg_per_tick * 1000;
        self.progress.tick == 0
            || trainer.learner().cur_nimg >= self.progress.tick_start_nimg + length
    }

    /// Seconds that the run has taken so far, over all sessions.
    fn elapsed(&self) -> f64 {
        self.elapsed_before + self.session_start.elapsed().as_secs_f64()
    }

    /// Seconds spent on the steps of the current tick, over all sessions.
    fn tick_sec(&self) -> f64 {
        self.progress.tick_elapsed_sec + self.tick_start.elapsed().as_secs_f64()
    }

    /// Ends a tick: writes status line, previews, snapshot with metrics, statistics and training state. `done` is set
    /// for the last tick of the run.
    fn tick(&mut self, trainer: &mut Trainer, done: bool, hooks: &mut dyn Hooks) -> Result<()> {
        trainer.synchronize()?;
        let now = Instant::now();
        let nimg = trainer.learner().cur_nimg;
        let times = TickTimes {
            tick: self.progress.tick,
            start_nimg: self.progress.tick_start_nimg,
            total_sec: self.elapsed(),
            tick_sec: self.tick_sec(),
            maintenance_sec: self.maintenance.as_secs_f64(),
        };
        let line = tick_line(trainer, &times);
        self.log_line(&line.to_string(), hooks);
        self.write_fakes(trainer, done, hooks);
        let networks = self.write_networks(trainer, done, hooks);
        for (name, value) in hooks.tick_scalars(&trainer.learner().g_ema) {
            trainer.stats.report(name, [value]);
        }
        trainer.stats.close();
        let means: BTreeMap<String, f64> = trainer
            .stats
            .iter()
            .map(|(name, moments)| (name.to_owned(), moments.mean()))
            .collect();
        let written = self.write_stats(trainer, &means, nimg / 1000);
        self.warn_on_error(written, hooks);
        hooks.event(Event::Tick {
            tick: self.progress.tick,
            nimg,
            means: &means,
        });
        self.log_warnings(hooks);

        let saves = done || self.is_due(trainer.config().state_ticks);
        self.progress.tick += 1;
        self.progress.tick_start_nimg = nimg;
        self.progress.tick_elapsed_sec = 0.0;
        let state = match saves {
            true => self.save_state(trainer, 0.0, hooks),
            false => Ok(()),
        };
        if done {
            return networks.and(state);
        }
        self.warn_on_error(networks, hooks);
        self.warn_on_error(state, hooks);
        self.tick_start = Instant::now();
        self.maintenance = self.tick_start - now;
        Ok(())
    }

    fn is_due(&self, interval: usize) -> bool {
        self.progress.tick.is_multiple_of(interval as u64)
    }

    fn write_fakes(&mut self, trainer: &Trainer, done: bool, hooks: &mut dyn Hooks) {
        if done || self.is_due(trainer.config().image_snapshot_ticks) {
            let kimg = trainer.learner().cur_nimg / 1000;
            let path = self.dir.join(names::fakes(kimg));
            match self.preview.write_fakes(&trainer.learner().g_ema, &path) {
                Ok(()) => hooks.event(Event::Wrote(&path)),
                failed => self.warn_on_error(failed, hooks),
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
        // Tick 0 is one step long, so its networks barely differ from the initial ones and are not evaluated.
        let evaluates = !config.metrics.is_empty()
            && (done || self.progress.tick > 0 && self.is_due(config.metrics_ticks));
        if done || evaluates || self.is_due(config.network_snapshot_ticks) {
            let path = snapshots::write(&self.dir, trainer)?;
            hooks.event(Event::Wrote(&path));
            if evaluates {
                self.evaluate(trainer, &trainer.learner().g_ema, &path, hooks);
            }
            self.remove_old_snapshots(trainer, &path)?;
        }
        Ok(())
    }

    fn write_stats(
        &mut self,
        trainer: &Trainer,
        means: &BTreeMap<String, f64>,
        kimg: u64,
    ) -> Result<()> {
        let line = trainer.stats.to_json(run_folder::timestamp()).to_string();
        self.stats.line(&line)?;
        let wall_time = self.elapsed();
        let scalars = means.iter().chain(&self.progress.metrics);
        let scalars = scalars.map(|(name, value)| (name.as_str(), *value));
        self.events.scalars(kimg, wall_time, scalars)?;
        Ok(())
    }

    /// Saves a training state. `tick_elapsed_sec` is the time in seconds spent on the current tick so far.
    fn save_state(
        &mut self,
        trainer: &mut Trainer,
        tick_elapsed_sec: f64,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        // The state records the lengths of these files, so their contents must be on the disk first.
        self.log.sync()?;
        self.stats.sync()?;
        self.events.sync()?;
        let progress = Progress {
            tick_elapsed_sec,
            elapsed_sec: self.elapsed(),
            file_lengths: run_folder::file_lengths(&self.dir)?,
            ..self.progress.clone()
        };
        let path = training_state::write(&self.dir, trainer, &progress)?;
        self.saved_nimg = Some(trainer.learner().cur_nimg);
        hooks.event(Event::Wrote(&path));
        if let Some(text) = nearly_full(&self.dir, trainer) {
            self.warn(&text, hooks);
        }
        Ok(())
    }
}
