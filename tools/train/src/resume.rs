//! `--resume`: continues a run exactly.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use run_folder::{RunFolder, state_files, state_nimg};
use train_settings::resumed_with;
use training::{Progress, Trainer, TrainingState};

use crate::args::RunArgs;
use crate::run_evaluator::RunEvaluator;
use crate::session::train;
use crate::settings::{Settings, absolute};
use crate::{data, dry_run};

/// Whether the argument of `--resume` names networks instead of a run. With NVIDIA's StyleGAN2-ADA it always names
/// networks.
pub fn names_networks(path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    let extension = path.extension().and_then(|e| e.to_str());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    name == "noresume"
        || architecture::pretrained::find(name).is_some()
        || matches!(extension, Some("pkl" | "pt" | "pth"))
        || file.starts_with("network-snapshot-")
}

/// Resumes a run; `name` is the argument of `--resume`.
pub fn run(args: &RunArgs, name: &Path, settings: &Settings, device: &Device) -> Result<()> {
    let path = find_path(name, settings)?;
    let folder = find_folder(&path)?;
    // Lock the folder before reading the state, because another program may be about to write a newer one. A dry run
    // needs no lock.
    let run_dir = match args.dry_run {
        true => None,
        false => Some(RunFolder::open(&folder).context("--resume")?),
    };
    let mut warnings = Vec::new();
    let ChosenState { state, discarded } = choose_state(args, &path, device, &mut warnings)?;
    let mut config = resumed_with(&state.config, settings.cfg, &settings.overrides)?;
    if let Some(data) = &settings.data {
        config.dataset.path = absolute(data)?;
    }
    config.validate()?;
    let accepted_changes = args.accept_changed_data.then_some(&mut warnings);
    let dataset = data::open(&mut config.dataset, accepted_changes)
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
    check_length(&run_dir, &trainer, &progress)?;
    // Delete newer states before the logs are cut. If the run is killed now, it must not resume from a state newer than
    // the logs.
    for newer in discarded.iter().rev() {
        std::fs::remove_file(newer)
            .with_context(|| format!("cannot remove '{}'", newer.display()))?;
    }
    tracing::info!("resuming from '{}'", state_path.display());
    train(&run_dir, &mut trainer, evaluator, Some(progress), warnings)
}

/// The path of the run folder or training-state file that the argument of `--resume` names; it exists.
fn find_path(name: &Path, settings: &Settings) -> Result<PathBuf> {
    let path = match name.to_str() {
        Some("latest") => latest_run(settings)?,
        _ => name.to_owned(),
    };
    if !path.exists() {
        bail!(
            "--resume: there is no '{}'; expected `latest` (of --outdir), a run folder or a training-state file",
            path.display()
        );
    }
    if path.is_file() && !TrainingState::is_in(&path) && dataset::Source::open(&path).is_ok() {
        bail!(
            "--resume: '{}' is a dataset, which belongs to --data; expected `latest` (of --outdir), a run folder or a \
             training-state file",
            path.display()
        );
    }
    Ok(path)
}

/// The run folder: that of the training-state file `path`, or the folder `path` itself, which must contain a training
/// state. This prevents writing into folders that are not run folders.
fn find_folder(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(folder_of(path).to_owned());
    }
    if state_files(path)?.is_empty() {
        bail!(
            "--resume: '{}' has no training state, so it cannot be resumed exactly; start a new run from its networks with \
             --init-from '{}'",
            path.display(),
            path.display()
        );
    }
    Ok(path.to_owned())
}

/// The training state to resume from, and the newer states that are deleted because of this choice.
struct ChosenState {
    state: TrainingState,
    /// Newer states of the run, oldest first; the user has asked to delete them (`--discard-newer`).
    discarded: Vec<PathBuf>,
}

/// Reads the newest undamaged state of a run folder, or the state in a file. `warnings` receives the errors of damaged
/// states.
///
/// # Errors
/// When no state can be read, or when a file is not the newest state of its run and `--discard-newer` is not given.
fn choose_state(
    args: &RunArgs,
    path: &Path,
    device: &Device,
    warnings: &mut Vec<String>,
) -> Result<ChosenState> {
    if path.is_dir() {
        return Ok(ChosenState {
            state: newest_state(path, device, warnings)?,
            discarded: Vec::new(),
        });
    }
    let newer = newer_states(path)?;
    if let (Some(newest), false) = (newer.last(), args.discard_newer) {
        bail!(
            "--resume: '{}' is not the newest state of its run, '{}' is; resuming from the older one would delete the newer. \
             Give the run folder to resume from the newest, or --discard-newer",
            path.display(),
            newest.display()
        );
    }
    Ok(ChosenState {
        state: TrainingState::read(path, device).context("--resume")?,
        discarded: newer,
    })
}

fn newest_state(
    run_dir: &Path,
    device: &Device,
    warnings: &mut Vec<String>,
) -> Result<TrainingState> {
    let state = TrainingState::latest(run_dir, device, |error| {
        warnings.push(format!("{error}; resuming from the state before"));
    });
    // Log the warnings here, because without a state there is no run that would do it.
    if state.is_err() {
        warnings.iter().for_each(|text| tracing::warn!("{text}"));
    }
    state.context("--resume")
}

/// Fails when the run has already seen all its images and computed its metrics.
fn check_length(run_dir: &RunFolder, trainer: &Trainer, progress: &Progress) -> Result<()> {
    let (nimg, config) = (trainer.learner().cur_nimg, trainer.config());
    let is_evaluated = progress.pending_evaluation.is_none() || config.metrics.is_empty();
    if nimg >= config.total_kimg * 1000 && is_evaluated {
        bail!(
            "'{}' has already seen {} kimg of {}; train longer with --kimg",
            run_dir.path().display(),
            nimg / 1000,
            config.total_kimg
        );
    }
    Ok(())
}

/// The training states in the folder of the file `state` that have seen more images than that state, oldest first.
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

/// The run folder with the highest number in `--outdir` that has a training state.
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
