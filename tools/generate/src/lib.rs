//! `generate`: images and films from trained networks, projection of pictures, conversion of checkpoints.
//!
//! One file for each command; `model` opens the networks, `latents` makes `z` and `ws`, `synthesis` turns them into
//! pictures batch by batch, `picture` writes PNG files that tell how they were made.

mod args;
mod convert;
mod describe;
mod film;
mod grid;
mod images;
mod latents;
mod model;
mod npz;
mod path;
mod picture;
mod project;
mod pyramid;
mod seeds;
mod style_mix;
mod synthesis;

use args::{Args, Command};

/// Parses the arguments and runs the command.
///
/// # Errors
/// What the command could not do, with the file or flag named.
pub fn main() -> anyhow::Result<()> {
    let args: Args = cli::parse()?;
    args.common.start()?;
    cli::on_interrupt(files::remove_temporaries)?;
    match args.command {
        Command::Images(args) => images::run(&args),
        Command::Grid(args) => grid::run(&args),
        Command::StyleMix(args) => style_mix::run(&args),
        Command::LatentWalk(args) => film::latent_walk(&args),
        Command::Interpolate(args) => film::interpolate(&args),
        Command::Project(args) => project::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Describe(args) => describe::run(&args),
    }
}
