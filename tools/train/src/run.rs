//! A run: new, from other networks, or resumed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use training::{Outcome, Preset, Progress, TrainConfig, Trainer, TrainingState};

use crate::args::RunArgs;
use crate::hooks::Display;
use crate::judge::Judge;
use crate::settings::{Settings, check_for_resume, settings};
use crate::{data, dry_run, start};

/// Names that the reference's `--resume` took for networks.
const NETWORK_PRESETS: [&str; 6] = [
    "ffhq256",
    "ffhq512",
    "ffhq1024",
    "celebahq256",
    "lsundog256",
    "noresume",
];

/// Runs `train`.
pub fn run(args: &RunArgs) -> Result<()> {
    let device = device(args.device.as_deref())?;
    let mut settings = settings(args)?;
    match &args.resume {
        // The reference called this --resume, too.
        Some(name) if NETWORK_PRESETS.contains(&name.as_str()) || is_networks(name) => {
            tracing::info!("--resume {name} names networks: taken as --init-from {name}");
            settings.overrides.init_from = Some(name.clone());
            begin(args, &settings, &device)
        }
        Some(what) => resume(args, what, &settings, &device),
        None => begin(args, &settings, &device),
    }
}

fn is_networks(name: &str) -> bool {
    let path = Path::new(name);
    let extension = path.extension().and_then(|e| e.to_str());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    matches!(extension, Some("pkl" | "pt" | "pth")) || file.starts_with("network-snapshot-")
}

fn device(name: Option<&str>) -> Result<Device> {
    match name {
        None | Some("cpu") => Ok(Device::Cpu),
        Some(other) => bail!("--device {other}: this build computes on 'cpu' only"),
    }
}

fn begin(args: &RunArgs, settings: &Settings, device: &Device) -> Result<()> {
    let data = settings.data.as_deref().context(
        "--data is missing: the dataset zip or folder to train on (`prep run` makes one)",
    )?;
    let preset: Preset = settings.cfg.as_deref().unwrap_or("auto").parse()?;
    let use_labels = settings.overrides.cond.unwrap_or(false);
    let description = data::describe(data, use_labels)?;
    let mut config = TrainConfig::resolve(preset, &description, &settings.overrides)?;
    config.validate()?;
    let outdir = match (&settings.outdir, args.dry_run) {
        (Some(outdir), _) => outdir.clone(),
        (None, true) => PathBuf::from("."),
        (None, false) => bail!("--outdir is missing: the folder that run folders are made in"),
    };
    let dataset = data::open(&config.dataset)?;
    let asked = settings.overrides.metrics.is_some();
    let judge = Judge::new(args, &mut config, asked, &dataset)?;
    if args.dry_run {
        let start = start::networks(&config, args.allow_partial, device)?;
        let trainer = Trainer::new(&config, dataset, start, device)?;
        return dry_run::report(&config, trainer);
    }
    let start = start::networks(&config, args.allow_partial, device)?;
    let mut trainer = Trainer::new(&config, dataset, start, device)?;
    let run_dir = training::make_run_dir(&outdir, &config.desc)
        .with_context(|| format!("--outdir: cannot make a folder in '{}'", outdir.display()))?;
    tracing::info!("run folder: '{}'", run_dir.display());
    train(args, &run_dir, &mut trainer, judge, None)
}

fn resume(args: &RunArgs, what: &str, settings: &Settings, device: &Device) -> Result<()> {
    check_for_resume(settings)?;
    let path = match what {
        "latest" => latest_run(settings)?,
        path => PathBuf::from(path),
    };
    let (run_dir, state) = if path.is_dir() {
        let torn = |error: &training::Error| {
            tracing::warn!("{error}; going on from the state before");
        };
        let state = TrainingState::latest(&path, device, torn)?;
        (path, state)
    } else {
        let state = TrainingState::read(&path, device)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        (folder.to_owned(), state)
    };
    let mut config = state.config.clone();
    let o = &settings.overrides;
    if let Some(data) = &settings.data {
        config.dataset.path = data.display().to_string();
    }
    config.total_kimg = o.kimg.unwrap_or(config.total_kimg);
    config.network_snapshot_ticks = o.snap.unwrap_or(config.network_snapshot_ticks).max(1);
    config.image_snapshot_ticks = o.image_snap.unwrap_or(config.image_snapshot_ticks).max(1);
    config.state_ticks = o.state_every.unwrap_or(config.state_ticks).max(1);
    config.metrics_ticks = o.metrics_every.unwrap_or(config.metrics_ticks).max(1);
    config.metrics = o.metrics.clone().unwrap_or(config.metrics);
    config.keep_snapshots = o.keep.or(config.keep_snapshots);
    config.num_workers = o.workers.unwrap_or(config.num_workers);
    config.validate()?;
    let dataset = data::open(&config.dataset)
        .context("the dataset of the run; when it has moved, give it with --data")?;
    let mut judge = Judge::new(args, &mut config, o.metrics.is_some(), &dataset)?;
    let state_path = state.path.clone();
    let (mut trainer, progress) = state
        .resume(&config, Arc::clone(&dataset), device)
        .with_context(|| format!("cannot resume from '{}'", state_path.display()))?;
    judge.replay(&run_dir, progress.tick);
    if args.dry_run {
        return dry_run::report(&config, trainer);
    }
    if trainer.learner().cur_nimg >= config.total_kimg * 1000 {
        bail!(
            "'{}' has already seen {} kimg of {}; train longer with --kimg",
            run_dir.display(),
            trainer.learner().cur_nimg / 1000,
            config.total_kimg
        );
    }
    tracing::info!("resuming from '{}'", state_path.display());
    train(args, &run_dir, &mut trainer, judge, Some(progress))
}

/// The newest run in `--outdir` that has a state.
fn latest_run(settings: &Settings) -> Result<PathBuf> {
    let outdir = settings
        .outdir
        .as_deref()
        .context("--resume latest needs --outdir: the folder with the runs")?;
    let runs = training::run_dirs(outdir)?;
    for (_, run_dir) in runs.into_iter().rev() {
        if !training::state_files(&run_dir)?.is_empty() {
            return Ok(run_dir);
        }
    }
    bail!(
        "--resume latest: no run in '{}' has a training state",
        outdir.display()
    )
}

fn train(
    args: &RunArgs,
    run_dir: &Path,
    trainer: &mut Trainer,
    judge: Judge,
    progress: Option<Progress>,
) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            // Asked twice: at once. The files under their final names are whole at any moment.
            std::process::exit(130);
        }
        tracing::warn!("stopping after this step; the state is saved (once more: stop at once)");
    })
    .context("cannot listen for Ctrl-C")?;
    let total = trainer.config().total_kimg * 1000;
    let on_collapse = args.stop_on_collapse.then(|| Arc::clone(&stop));
    let done = trainer.learner().cur_nimg;
    let judge = judge.until(&stop);
    let mut display = Display::new(total, done, judge, on_collapse);
    let outcome = training::run(run_dir, trainer, progress, &mut display, &stop)?;
    match outcome {
        Outcome::Finished => display.finish(),
        Outcome::Stopped => {
            drop(display);
            tracing::info!(
                "stopped; go on with: train --resume '{}'",
                run_dir.display()
            );
        }
    }
    Ok(())
}
