//! `train` without a subcommand: starts a new run or resumes one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use run_folder::{Checkpoint, RunFolder};
use tool_support::{device, find_checkpoint};
use train_settings::resolve;
use training::{Preset, Trainer, TrainingState};

use crate::args::RunArgs;
use crate::run_evaluator::RunEvaluator;
use crate::session::train;
use crate::settings::{Settings, absolute, settings, text_of};
use crate::{data, dry_run, resume, start};

/// Runs `train` without a subcommand.
pub fn run(args: &RunArgs) -> Result<()> {
    let mut settings = settings(args)?;
    let device = device(settings.device.as_deref().unwrap_or("cpu"))?;
    if let Some(outdir) = settings.outdir.as_deref().filter(|path| path.is_file()) {
        bail!(
            "--outdir: '{}' is a file; expected a folder",
            outdir.display()
        );
    }
    match &args.resume {
        // In NVIDIA's StyleGAN2-ADA, --resume names networks to start from.
        Some(name) if resume::names_networks(name) => {
            let name = text_of("--resume", name)?;
            tracing::info!("--resume {name} names networks: taken as --init-from {name}");
            settings.overrides.init_from = Some(name);
            start_run(args, settings, &device)
        }
        Some(name) => resume::run(args, name, &settings, &device),
        None => start_run(args, settings, &device),
    }
}

/// Starts a new run.
fn start_run(args: &RunArgs, mut settings: Settings, device: &Device) -> Result<()> {
    let data = settings.data.as_deref().context(
        "--data is missing: the dataset zip or folder to train on (`prep run` makes one)",
    )?;
    let outdir = match (&settings.outdir, args.dry_run) {
        (Some(outdir), _) => outdir.clone(),
        (None, true) => PathBuf::from("."),
        (None, false) => bail!("--outdir is missing: the folder in which run folders are created"),
    };
    if let Some(from) = &mut settings.overrides.init_from {
        *from = networks_to_start_from(from, settings.outdir.as_deref(), settings.checkpoint)?;
    } else if settings.allow_partial {
        bail!("--allow-partial is for --init-from, which is missing");
    } else if settings.checkpoint.is_some() {
        bail!("--checkpoint is for --init-from, which is missing");
    }
    let overrides = &settings.overrides;
    let description = data::describe(data, overrides.cond.unwrap_or(false))?;
    let preset = settings.cfg.unwrap_or(Preset::Auto);
    let mut config = resolve(preset, &description, overrides)?;
    config.validate()?;
    if device.is_cpu() && overrides.kimg.is_none() {
        warn_if_too_long_for_cpu(preset, config.total_kimg);
    }
    let dataset = data::open(&mut config.dataset, None)?;
    let source = overrides.init_from.as_deref();
    let source = source.filter(|_| config.init_from.is_some());
    let with_preset = |preset| resolve(preset, &description, overrides).ok();
    let start = start::networks(
        &config,
        source,
        settings.allow_partial,
        device,
        &with_preset,
    )?;
    let evaluator = RunEvaluator::new(&mut config, !args.dry_run, &dataset, device)?;
    data::check(&dataset, config.dataset.use_labels)?;
    let mut trainer = Trainer::new(&config, dataset, start, device)?;
    if args.dry_run {
        return dry_run::report(&config, trainer);
    }
    let folder = RunFolder::create(&outdir, &config.desc)
        .with_context(|| format!("--outdir: cannot create a folder in '{}'", outdir.display()))?;
    tracing::info!("run folder: '{}'", folder.path().display());
    train(&folder, &mut trainer, evaluator, None, Vec::new())
}

/// Warns when the preset is made for GPUs, because its length would take months on a CPU.
fn warn_if_too_long_for_cpu(preset: Preset, total_kimg: u64) {
    if !matches!(preset, Preset::Tiny32 | Preset::Tiny64) {
        tracing::warn!(
            "--cfg {} trains for {total_kimg} kimg, which takes months on a CPU: `--cfg tiny64` has a network and a length for CPUs; \
             `--dry-run` measures the time, --kimg sets the length",
            preset.name()
        );
    }
}

/// Resolves the argument of `--init-from`: the absolute path of a file, or of the checkpoint chosen from a run folder.
/// Names and addresses of published networks are returned unchanged.
fn networks_to_start_from(
    from: &str,
    outdir: Option<&Path>,
    checkpoint: Option<Checkpoint>,
) -> Result<String> {
    let path = find_checkpoint("--init-from", Path::new(from), outdir, checkpoint)?;
    if !path.is_file() {
        return Ok(from.to_owned());
    }
    if TrainingState::is_in(&path) {
        bail!(
            "--init-from: '{from}' is a training state. Continue from it with --resume '{from}', or start a new run from the \
             networks of its run with --init-from and the run's folder"
        );
    }
    absolute(&path)
}
