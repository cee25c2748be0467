//! Training until the end of a run or until it is asked to stop: one session of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use run_folder::RunFolder;
use training::{Outcome, Progress, Trainer};

use crate::dry_run;
use crate::hooks::Display;
use crate::run_evaluator::RunEvaluator;
use crate::signals::Signals;

/// The exit code of a run that `--stop-on-collapse` ended.
const COLLAPSED: u8 = 3;

/// Trains until the end or until asked to stop. `warnings` are what came up on the way here.
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
        .chain(dry_run::too_large(trainer.config())?);
    let mut display = Display::new(total, done, evaluator.until(&stop), on_collapse);
    warnings.for_each(|text| display.warn(text));
    let go_on = format!("train --resume '{}'", folder.path().display());
    let outcome = training::run(folder, trainer, progress, &mut display, &stop);
    let outcome = outcome.map_err(|error| match error {
        error @ training::Error::Dataset(_) => anyhow::Error::new(error).context(format!(
            "stopped at a picture that cannot be read; the state is saved: mend the dataset, then {go_on}"
        )),
        error => error.into(),
    })?;
    let has_collapsed = display.has_collapsed();
    match outcome {
        Outcome::Finished => display.finish(),
        Outcome::Stopped => {
            drop(display);
            tracing::info!("stopped; go on with: {go_on}");
            let code = signals.exit_code().or(has_collapsed.then_some(COLLAPSED));
            return Err(cli::Leave(code.unwrap_or(1)).into());
        }
    }
    Ok(())
}
