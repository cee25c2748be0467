//! A run from its beginning, and the training of any run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use ops::device::DeviceName;
use training::{Outcome, Preset, Progress, RunDir, TrainConfig, Trainer, TrainingState};

use crate::args::RunArgs;
use crate::hooks::Display;
use crate::judge::Judge;
use crate::settings::{Settings, absolute, settings, text_of};
use crate::signals::Signals;
use crate::{checkpoint_of_run, data, dry_run, resume, start};

/// The exit code of a run that `--stop-on-collapse` ended.
const COLLAPSED: u8 = 3;

/// Runs `train`.
pub fn run(args: &RunArgs) -> Result<()> {
    let mut settings = settings(args)?;
    let device = device(settings.device.as_deref())?;
    if let Some(outdir) = settings.outdir.as_deref().filter(|path| path.is_file()) {
        bail!(
            "--outdir: '{}' is a file; a folder is wanted",
            outdir.display()
        );
    }
    match &args.resume {
        // The reference called this --resume, too.
        Some(name) if resume::names_networks(name) => {
            let name = text_of("--resume", name)?;
            tracing::info!("--resume {name} names networks: taken as --init-from {name}");
            settings.overrides.init_from = Some(name);
            begin(args, settings, &device)
        }
        Some(what) => resume::run(args, what, &settings, &device),
        None => begin(args, settings, &device),
    }
}

fn device(name: Option<&str>) -> Result<Device> {
    let name = name.unwrap_or("cpu");
    let opened = name.parse().and_then(DeviceName::open);
    opened.with_context(|| format!("--device {name}"))
}

fn begin(args: &RunArgs, mut settings: Settings, device: &Device) -> Result<()> {
    let data = settings.data.as_deref().context(
        "--data is missing: the dataset zip or folder to train on (`prep run` makes one)",
    )?;
    let outdir = match (&settings.outdir, args.dry_run) {
        (Some(outdir), _) => outdir.clone(),
        (None, true) => PathBuf::from("."),
        (None, false) => bail!("--outdir is missing: the folder that run folders are made in"),
    };
    if let Some(from) = &mut settings.overrides.init_from {
        *from = networks_to_start_from(from)?;
    } else if settings.allow_partial {
        bail!("--allow-partial is for --init-from, which is missing");
    }
    let overrides = &settings.overrides;
    let description = data::describe(data, overrides.cond.unwrap_or(false))?;
    let preset = settings.cfg.unwrap_or(Preset::Auto);
    let mut config = TrainConfig::resolve(preset, &description, overrides)?;
    config.validate()?;
    let dataset = data::open(&mut config.dataset, None)?;
    let judge = Judge::new(&mut config, overrides.metrics.is_some(), &dataset, device)?;
    let source = overrides.init_from.as_deref();
    let source = source.filter(|_| config.init_from.is_some());
    let with_preset = |preset| TrainConfig::resolve(preset, &description, overrides).ok();
    let start = start::networks(
        &config,
        source,
        settings.allow_partial,
        device,
        &with_preset,
    )?;
    data::check(&dataset, config.dataset.use_labels)?;
    let mut trainer = Trainer::new(&config, dataset, start, device)?;
    if args.dry_run {
        return dry_run::report(&config, trainer);
    }
    let run_dir = RunDir::create(&outdir, &config.desc)
        .with_context(|| format!("--outdir: cannot make a folder in '{}'", outdir.display()))?;
    tracing::info!("run folder: '{}'", run_dir.path().display());
    train(&run_dir, &mut trainer, judge, None, Vec::new())
}

/// A file by its whole path; a run folder becomes its best checkpoint; names and addresses stay.
fn networks_to_start_from(from: &str) -> Result<String> {
    let path = Path::new(from);
    if path.is_dir() {
        let (chosen, why) = checkpoint_of_run::choose(path).context("--init-from")?;
        tracing::info!("--init-from: '{}' ({why})", chosen.display());
        return absolute(&chosen);
    }
    if !path.is_file() {
        return Ok(from.to_owned());
    }
    if TrainingState::is_in(path) {
        bail!(
            "--init-from: '{from}' is a training state. Go on from it with --resume '{from}', or start a new run from the \
             networks of its run with --init-from and the run's folder"
        );
    }
    absolute(path)
}

/// Trains until the end or until asked to stop. `warnings` are what came up on the way here.
pub fn train(
    run_dir: &RunDir,
    trainer: &mut Trainer,
    judge: Judge,
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
    let mut display = Display::new(total, done, judge.until(&stop), on_collapse);
    warnings.for_each(|text| display.warn(text));
    let go_on = format!("train --resume '{}'", run_dir.path().display());
    let outcome = training::run(run_dir, trainer, progress, &mut display, &stop);
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
