//! A run that goes on exactly where it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use run_folder::{RunFolder, state_files, state_nimg};
use train_settings::resumed_with;
use training::TrainingState;

use crate::args::RunArgs;
use crate::run_evaluator::RunEvaluator;
use crate::session::train;
use crate::settings::{Settings, absolute};
use crate::{data, dry_run};

/// Whether a name is that of networks, which the reference's `--resume` took.
pub fn names_networks(path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    let extension = path.extension().and_then(|e| e.to_str());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    name == "noresume"
        || architecture::pretrained::find(name).is_some()
        || matches!(extension, Some("pkl" | "pt" | "pth"))
        || file.starts_with("network-snapshot-")
}

/// Goes on with a run.
pub fn run(args: &RunArgs, what: &Path, settings: &Settings, device: &Device) -> Result<()> {
    let path = match what.to_str() {
        Some("latest") => latest_run(settings)?,
        _ => what.to_owned(),
    };
    if !path.exists() {
        bail!(
            "--resume: there is no '{}'; `latest` (of --outdir), a run folder or a training-state file is wanted",
            path.display()
        );
    }
    if path.is_file() && !TrainingState::is_in(&path) && dataset::Source::open(&path).is_ok() {
        bail!(
            "--resume: '{}' is a dataset, which belongs to --data; `latest` (of --outdir), a run folder or a \
             training-state file is wanted",
            path.display()
        );
    }
    let folder = match path.is_dir() {
        true => path.clone(),
        false => folder_of(&path).to_owned(),
    };
    // Nothing is written into a folder that is no run.
    if path.is_dir() && state_files(&folder)?.is_empty() {
        bail!(
            "--resume: '{}' has no training state, so it cannot go on as it was; start a new run from its networks with \
             --init-from '{}'",
            folder.display(),
            folder.display()
        );
    }
    // Before the state is read: another program may be about to write a newer one. A dry run only looks.
    let run_dir = match args.dry_run {
        true => None,
        false => Some(RunFolder::open(&folder).context("--resume")?),
    };
    let mut warnings = Vec::new();
    let mut discarded = Vec::new();
    let state = match path.is_dir() {
        true => newest_state(&path, device, &mut warnings)?,
        false => {
            let newer = newer_states(&path)?;
            if let (Some(newest), false) = (newer.last(), args.discard_newer) {
                bail!(
                    "--resume: '{}' is not the newest state of its run, '{}' is; going on from the older one would throw \
                     the newer away. Give the run's folder to go on from the newest, or --discard-newer",
                    path.display(),
                    newest.display()
                );
            }
            discarded = newer;
            TrainingState::read(&path, device).context("--resume")?
        }
    };
    let overrides = &settings.overrides;
    let mut config = resumed_with(&state.config, settings.cfg, overrides)?;
    if let Some(data) = &settings.data {
        config.dataset.path = absolute(data)?;
    }
    config.validate()?;
    let accepted = args.accept_changed_data.then_some(&mut warnings);
    let dataset = data::open(&mut config.dataset, accepted)
        .context("the dataset of the run; when it has moved, give it with --data")?;
    let mut evaluator = RunEvaluator::new(&mut config, !args.dry_run, &dataset, device)?;
    data::check(&dataset, config.dataset.use_labels)?;
    let state_path = state.path.clone();
    let (mut trainer, progress) = state
        .resume(&config, Arc::clone(&dataset), device)
        .with_context(|| format!("cannot resume from '{}'", state_path.display()))?;
    evaluator.replay(&folder, progress.tick);
    let Some(run_dir) = run_dir else {
        return dry_run::report(&config, trainer);
    };
    let nimg = trainer.learner().cur_nimg;
    let is_measured = progress.unmeasured.is_none() || config.metrics.is_empty();
    if nimg >= config.total_kimg * 1000 && is_measured {
        bail!(
            "'{}' has already seen {} kimg of {}; train longer with --kimg",
            run_dir.path().display(),
            nimg / 1000,
            config.total_kimg
        );
    }
    // Before the logs are cut: a run that is killed now must not go on from a state that is newer than its logs.
    for newer in discarded.iter().rev() {
        std::fs::remove_file(newer)
            .with_context(|| format!("cannot remove '{}'", newer.display()))?;
    }
    tracing::info!("resuming from '{}'", state_path.display());
    train(&run_dir, &mut trainer, evaluator, Some(progress), warnings)
}

fn newest_state(
    run_dir: &Path,
    device: &Device,
    warnings: &mut Vec<String>,
) -> Result<TrainingState> {
    let state = TrainingState::latest(run_dir, device, |error| {
        warnings.push(format!("{error}; going on from the state before"));
    });
    // Without a run to go on with nobody would hear of them.
    if state.is_err() {
        warnings.iter().for_each(|text| tracing::warn!("{text}"));
    }
    state.context("--resume")
}

/// The states of the same run that are newer than one of them, oldest first.
fn newer_states(state: &Path) -> Result<Vec<PathBuf>> {
    let Some(nimg) = state_nimg(state) else {
        return Ok(Vec::new());
    };
    let mut newer = state_files(folder_of(state))?;
    newer.retain(|other| state_nimg(other) > Some(nimg));
    Ok(newer)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The newest run in `--outdir` that has a state.
fn latest_run(settings: &Settings) -> Result<PathBuf> {
    let outdir = settings
        .outdir
        .as_deref()
        .context("--resume latest needs --outdir: the folder with the runs")?;
    let has_state = |run_dir: &Path| Ok(!state_files(run_dir)?.is_empty());
    run_folder::latest_run(outdir, has_state)?.with_context(|| {
        format!(
            "--resume latest: no run in '{}' has a training state",
            outdir.display()
        )
    })
}
