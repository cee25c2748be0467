//! The subcommand `augment-preview`: writes a PNG with augmented training images.

use anyhow::{Context, Result};
use augment::{AugPipe, AugmentPipe};
use dataset::{DatasetOptions, ImageDataset};

use crate::args::PreviewArgs;

/// Runs `augment-preview`.
pub fn run(args: &PreviewArgs) -> Result<()> {
    let pipe: AugPipe = args
        .augpipe
        .parse()
        .with_context(|| format!("--augpipe {}", args.augpipe))?;
    files::protect_input(&args.data);
    files::protect_folder(&args.data);
    args.overwrite.check(&args.out)?;
    let dataset = ImageDataset::open(&args.data, &DatasetOptions::default())?;
    training::write_augment_preview(
        &dataset,
        &AugmentPipe::from(pipe),
        args.p,
        args.grid,
        args.seed,
        &args.out,
    )?;
    tracing::info!("wrote '{}'", args.out.display());
    Ok(())
}
