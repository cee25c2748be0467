//! Computes metrics of snapshots during a run, and removes old snapshots except those with the best results.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use networks::{Generator, Snapshot};
use run_folder::{WARM_UP_KIMG, append_result, describe_results};

use super::Run;
use crate::best_results;
use crate::error::Result;
use crate::hooks::{Evaluation, Hooks};
use crate::trainer::Trainer;

impl Run<'_> {
    /// Computes the metrics of a snapshot and writes their results. When one metric fails, the others are still
    /// written.
    pub(super) fn evaluate(
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
        let warm_up_kimg = match trainer.config().init_from {
            Some(_) => 0.0,
            None => WARM_UP_KIMG,
        };
        let mut is_complete = true;
        for result in results {
            match result {
                Ok(outcome) => {
                    let results = &outcome.results;
                    best_results::update(&mut self.progress, &name, results, warm_up_kimg);
                    let appended = append_result(&self.dir, &outcome.metric, &outcome.line);
                    self.warn_on_error(appended, hooks);
                    let line = describe_results(results, &self.progress.best);
                    self.log_line(&line, hooks);
                }
                Err(reason) => {
                    is_complete = false;
                    self.warn(&format!("no metric of {name}: {reason}"), hooks);
                }
            }
        }
        let was_asked_to_stop = self.stop.load(Ordering::Relaxed);
        self.progress.pending_evaluation = (!is_complete && was_asked_to_stop).then_some(name);
    }

    /// Evaluates the snapshot in `pending_evaluation`, if any, from its file. Its evaluation was interrupted when the
    /// run was asked to stop.
    pub(super) fn finish_pending_evaluation(
        &mut self,
        trainer: &mut Trainer,
        hooks: &mut dyn Hooks,
    ) -> Result<()> {
        let Some(name) = self.progress.pending_evaluation.take() else {
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
        if self.progress.pending_evaluation.is_none() {
            let kimg = trainer.learner().cur_nimg / 1000;
            let metrics = &self.progress.metrics;
            let scalars = metrics.iter().map(|(name, value)| (name.as_str(), *value));
            let wall_time = self.elapsed_before + self.session_start.elapsed().as_secs_f64();
            let written = self.events.scalars(kimg, wall_time, scalars);
            self.warn_on_error(written, hooks);
            let removed = self.remove_old_snapshots(trainer, &path);
            self.warn_on_error(removed, hooks);
            // Without this saved state, a run that is killed within the next ticks would evaluate the snapshot again.
            self.save_state(trainer, self.progress.tick_elapsed_sec, hooks)?;
        }
        self.tick_start = Instant::now();
        Ok(())
    }

    /// Removes the oldest snapshots beyond the configured number. Keeps `current` and those with the best results.
    pub(super) fn remove_old_snapshots(&self, trainer: &Trainer, current: &Path) -> Result<()> {
        let Some(keep) = trainer.config().keep_snapshots else {
            return Ok(());
        };
        let best = self.progress.best.values().map(|(_, name)| name.as_str());
        run_folder::remove_old_snapshots(&self.dir, keep, &file_name(current), best)?;
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
