//! A run from its first step to its last file: ticks, logs, previews, snapshots, metrics, states.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use networks::{Generator, Snapshot};
use run_folder::{EventWriter, GrowingFile, RunFolder, append_result, describe_results, names};
use serde_json::Value;

use crate::disk_space::{check_space, nearly_full};
use crate::error::{Error, Result};
use crate::hooks::{Evaluation, Event, Hooks};
use crate::preview::Preview;
use crate::tick_line::{TickTimes, tick_line};
use crate::trainer::Trainer;
use crate::training_state::{self, Progress};
use crate::{best_results, snapshots};

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
/// A new run gets its options, `reals.png` and `fakes_init.png` in the folder; a resumed one (with the progress of its
/// state) has its growing files cut back to where the state was saved.
///
/// # Errors
/// When the last files cannot be written, an image not be read (the state is saved then), or the tensor library fails.
pub fn run(
    run_folder: &RunFolder,
    trainer: &mut Trainer,
    resumed: Option<Progress>,
    hooks: &mut dyn Hooks,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let mut run = Run::start(run_folder.path(), trainer, resumed, hooks, stop)?;
    run.make_up_for_evaluation(trainer, hooks)?;
    loop {
        // Asked for before the first step, too.
        if stop.load(Ordering::Relaxed) {
            // The end of a tick may have saved it already.
            if run.saved_nimg != Some(trainer.learner().cur_nimg) {
                run.save_state(trainer, run.tick_sec(), hooks)?;
            }
            return Ok(Outcome::Stopped);
        }
        if run.is_done(trainer) {
            run.say("Exiting...", hooks);
            return Ok(Outcome::Finished);
        }
        if let Err(error) = trainer.step() {
            // Where a picture could not be read the run stands between two steps.
            if matches!(error, Error::Dataset(_)) {
                let saved = run.save_state(trainer, run.tick_sec(), hooks);
                run.survive(saved, hooks);
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
        // A run is complete with its last metrics; without them the next session makes up for them.
        if done && run.progress.unmeasured.is_none() {
            run.say("Exiting...", hooks);
            return Ok(Outcome::Finished);
        }
    }
}

/// The files and clocks of a run.
struct Run<'a> {
    dir: PathBuf,
    progress: Progress,
    preview: Preview,
    log: GrowingFile,
    stats: GrowingFile,
    events: EventWriter,
    stop: &'a AtomicBool,
    /// Images seen when the last state of this session was written.
    saved_nimg: Option<u64>,
    /// When this session began, as if all former ones had been part of it.
    elapsed_before: f64,
    session: Instant,
    /// When the steps of this tick began, in this session.
    tick_start: Instant,
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
        let lost = match is_new {
            true => Vec::new(),
            false => run_folder::cut_back(dir, &progress.file_lengths)?,
        };
        check_space(dir, trainer)?;
        let session = Instant::now();
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
            session,
            tick_start: session,
            maintenance: Duration::ZERO,
        };
        run.write_options(trainer)?;
        if is_new {
            run.write_beginning(trainer, hooks)?;
        } else {
            let kimg = trainer.learner().cur_nimg as f64 / 1e3;
            run.say(&format!("Resuming at {kimg:.1} kimg."), hooks);
        }
        for text in lost {
            run.warn(&text, hooks);
        }
        run.pass_on_warnings(hooks);
        run.tick_start = Instant::now();
        run.maintenance = run.tick_start - session;
        Ok(run)
    }

    fn write_options(&self, trainer: &Trainer) -> Result<()> {
        let config = trainer.config();
        let mut options = config.training_options();
        options["run_dir"] = self.dir.display().to_string().into();
        // Not official, but part of what the numbers mean.
        options["features"] = config.features.as_str().into();
        if let Some(weights) = &config.weights {
            options["weights"] = weights.as_str().into();
        }
        self.write_json(names::TRAINING_OPTIONS, &options)?;
        let config_json = serde_json::to_value(config).map_err(|e| Error::state(e.to_string()))?;
        self.write_json(names::TRAIN_CONFIG, &config_json)
    }

    fn write_beginning(&mut self, trainer: &Trainer, hooks: &mut dyn Hooks) -> Result<()> {
        let config = trainer.config();
        let dataset = trainer.dataset();
        self.say("Loading training set...", hooks);
        self.say(&format!("Num images:  {}", dataset.len()), hooks);
        self.say(&format!("Image shape: {:?}", dataset.shape()), hooks);
        self.say(&format!("Label shape: [{}]", dataset.label_dim()), hooks);
        let reals = self.dir.join(names::REALS);
        self.preview.write_reals(dataset, &reals)?;
        hooks.event(Event::Wrote(&reals));
        let fakes = self.dir.join(names::FAKES_INIT);
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
        let logged = self.log.line(&files::printable(line));
        hooks.event(Event::Line(line));
        if let Err(error) = logged {
            let text = format!("{error}; the run goes on without it");
            hooks.event(Event::Warning(&text));
        }
    }

    /// A warning, to the log as well.
    fn warn(&mut self, text: &str, hooks: &mut dyn Hooks) {
        // Where the log cannot be written the listeners still hear of it.
        let _ = self
            .log
            .line(&format!("Warning: {}", files::printable(text)));
        hooks.event(Event::Warning(text));
    }

    /// Tells what went wrong, and lets the run go on.
    fn survive(&mut self, result: Result<(), impl std::fmt::Display>, hooks: &mut dyn Hooks) {
        if let Err(error) = result {
            self.warn(&format!("{error}; the run goes on without it"), hooks);
        }
    }

    fn pass_on_warnings(&mut self, hooks: &mut dyn Hooks) {
        for text in hooks.warnings() {
            self.warn(&text, hooks);
        }
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

    /// Seconds since the run began, over all sessions.
    fn elapsed(&self) -> f64 {
        self.elapsed_before + self.session.elapsed().as_secs_f64()
    }

    /// Seconds of the current tick, over all sessions.
    fn tick_sec(&self) -> f64 {
        self.progress.tick_elapsed_sec + self.tick_start.elapsed().as_secs_f64()
    }

    /// Ends a tick. What cannot be written is told, and the run goes on: days of training are worth more than a file. At
    /// the end of the run it is an error.
    fn tick(&mut self, trainer: &mut Trainer, done: bool, hooks: &mut dyn Hooks) -> Result<()> {
        trainer.settle()?;
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
        self.say(&line.to_string(), hooks);
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
        let written = self.write_stats(trainer, &means, nimg / 1000);
        self.survive(written, hooks);
        hooks.event(Event::Tick {
            tick: self.progress.tick,
            nimg,
            means: &means,
        });
        self.pass_on_warnings(hooks);

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
        self.survive(networks, hooks);
        self.survive(state, hooks);
        self.tick_start = Instant::now();
        self.maintenance = self.tick_start - now;
        Ok(())
    }

    fn is_due(&self, interval: usize) -> bool {
        self.progress.tick.is_multiple_of(interval as u64)
    }

    fn write_pictures(&mut self, trainer: &Trainer, done: bool, hooks: &mut dyn Hooks) {
        if done || self.is_due(trainer.config().image_snapshot_ticks) {
            let kimg = trainer.learner().cur_nimg / 1000;
            let path = self.dir.join(names::fakes(kimg));
            match self.preview.write_fakes(&trainer.learner().g_ema, &path) {
                Ok(()) => hooks.event(Event::Wrote(&path)),
                failed => self.survive(failed, hooks),
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
        // The first tick is one step long: its networks are those of the start.
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

    fn remove_old_snapshots(&self, trainer: &Trainer, current: &Path) -> Result<()> {
        let Some(keep) = trainer.config().keep_snapshots else {
            return Ok(());
        };
        let best = self.progress.best.values().map(|(_, name)| name.as_str());
        run_folder::remove_old_snapshots(&self.dir, keep, &file_name(current), best)?;
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

    /// Measures a snapshot. A metric that fails costs its own numbers only.
    fn evaluate(
        &mut self,
        trainer: &Trainer,
        g_ema: &Generator,
        snapshot: &Path,
        hooks: &mut dyn Hooks,
    ) {
        let name = file_name(snapshot);
        let results = hooks.evaluate(&Evaluation {
            snapshot,
            g_ema,
            metrics: &trainer.config().metrics,
            kimg: trainer.learner().cur_nimg / 1000,
        });
        let mut is_complete = true;
        for result in results {
            match result {
                Ok(outcome) => {
                    best_results::update(&mut self.progress, &name, &outcome.results);
                    let appended = append_result(&self.dir, &outcome.metric, &outcome.line);
                    self.survive(appended, hooks);
                    let line = describe_results(&outcome.results, &self.progress.best);
                    self.say(&line, hooks);
                }
                Err(reason) => {
                    is_complete = false;
                    self.warn(&format!("no metric of {name}: {reason}"), hooks);
                }
            }
        }
        let was_asked_to_stop = self.stop.load(Ordering::Relaxed);
        self.progress.unmeasured = (!is_complete && was_asked_to_stop).then_some(name);
    }

    /// Makes the evaluation that was given up because the run was asked to stop, on the networks of the snapshot's file.
    fn make_up_for_evaluation(
        &mut self,
        trainer: &mut Trainer,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        let Some(name) = self.progress.unmeasured.take() else {
            return Ok(());
        };
        if trainer.config().metrics.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(&name);
        let loaded = Snapshot::load(&path, trainer.device());
        match loaded.map(|snapshot| snapshot.g_ema) {
            Ok(Some(g_ema)) => self.evaluate(trainer, &g_ema, &path, hooks),
            Ok(None) => self.warn(&format!("no metric of {name}: it has no G_ema"), hooks),
            Err(error) => {
                let cause = std::error::Error::source(&error);
                let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
                self.warn(&format!("no metric of {name}: {error}{cause}"), hooks);
            }
        }
        if self.progress.unmeasured.is_none() {
            let kimg = trainer.learner().cur_nimg / 1000;
            let metrics = &self.progress.metrics;
            let scalars = metrics.iter().map(|(name, value)| (name.as_str(), *value));
            let wall_time = self.elapsed_before + self.session.elapsed().as_secs_f64();
            let written = self.events.scalars(kimg, wall_time, scalars);
            self.survive(written, hooks);
            let removed = self.remove_old_snapshots(trainer, &path);
            self.survive(removed, hooks);
            // Or a kill in the next ticks would have it made once more.
            self.save_state(trainer, self.progress.tick_elapsed_sec, hooks)?;
        }
        self.tick_start = Instant::now();
        Ok(())
    }

    /// Saves everything; `tick_elapsed_sec` of the current tick have passed.
    fn save_state(
        &mut self,
        trainer: &mut Trainer,
        tick_elapsed_sec: f64,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        // A state must not outlive the lines whose lengths it records.
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

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
