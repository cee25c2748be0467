//! The program `train`: trains StyleGAN2 with adaptive discriminator augmentation on a dataset.
//!
//! A run starts from random weights, starts from trained networks (`--init-from`), or continues an earlier run exactly
//! (`--resume`). The crate `training` trains; this crate handles arguments, settings files, progress bars and messages.

mod args;
mod augment_preview;
mod data;
mod dry_run;
mod hooks;
mod memory_check;
mod resume;
mod run;
mod run_evaluator;
mod session;
mod settings;
mod signals;
mod start;

use args::{Args, Command};

/// Parses the command line and runs the command.
///
/// # Errors
/// The error of the command, with a message that names the file or flag.
pub fn main() -> anyhow::Result<()> {
    let args: Args = cli::parse()?;
    args.common.start()?;
    match &args.command {
        Some(Command::AugmentPreview(preview)) => augment_preview::run(preview),
        None => run::run(&args.run),
    }
}
