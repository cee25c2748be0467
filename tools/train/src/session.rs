//! One session of a run: trains until the run ends or is asked to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use run_folder::RunFolder;
use training::{Outcome, Progress, Trainer};

use crate::hooks::Display;
use crate::memory_check::too_large_for_cpu;
use crate::run_evaluator::RunEvaluator;
use crate::signals::Signals;

/// Exit code of a run that was stopped by `--stop-on-collapse`.
const COLLAPSED: u8 = 3;

/// Trains until the run ends or is asked to stop. `progress` comes from the training state of a resumed run and is
/// `None` for a new run. `warnings` arose before the run and are written to its log.
pub fn train(
    folder: &RunFolder,
    trainer: &mut Trainer,
    evaluator: RunEvaluator,
    progress: Option<Progress>,
    warnings: Vec<String>,
) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let signals = Signals::listen(&stop)?;
    let total = trainer.config().total_kimg * 1000;
    let stops = trainer.config().stop_on_collapse;
    let on_collapse = stops.then(|| Arc::clone(&stop));
    let done = trainer.learner().cur_nimg;
    let warnings = warnings
        .into_iter()
        .chain(too_large_for_cpu(trainer.config())?);
    let mut display = Display::new(total, done, evaluator.until(&stop), on_collapse);
    warnings.for_each(|text| display.warn(text));
    let resume = format!("train --resume '{}'", folder.path().display());
    let outcome = training::run(folder, trainer, progress, &mut display, &stop);
    let outcome = outcome.map_err(|error| match error {
        error @ training::Error::Dataset(_) => anyhow::Error::new(error).context(format!(
            "stopped at an image that cannot be read; the state is saved: repair the dataset, then {resume}"
        )),
        error => error.into(),
    })?;
    let has_collapsed = display.has_collapsed();
    match outcome {
        Outcome::Finished => display.finish(),
        Outcome::Stopped => {
            drop(display);
            tracing::info!("stopped; continue with: {resume}");
            let code = signals.exit_code().or(has_collapsed.then_some(COLLAPSED));
            return Err(cli::Leave(code.unwrap_or(1)).into());
        }
    }
    Ok(())
}
