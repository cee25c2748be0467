//! `train`: StyleGAN2 with adaptive discriminator augmentation on a dataset zip.
//!
//! A run starts new, from other networks (`--init-from`), or goes on exactly where it was (`--resume`). The work is done
//! by the crate `training`; here are arguments, settings files, bars and words.

mod args;
mod augment_preview;
mod data;
mod dry_run;
mod hooks;
mod resume;
mod run;
mod run_evaluator;
mod session;
mod settings;
mod signals;
mod start;

use args::{Args, Command};

/// Parses the arguments and runs the command.
///
/// # Errors
/// What the command could not do, with the file or flag named.
pub fn main() -> anyhow::Result<()> {
    let args: Args = cli::parse()?;
    args.common.start()?;
    match &args.command {
        Some(Command::AugmentPreview(preview)) => augment_preview::run(preview),
        None => run::run(&args.run),
    }
}
