//! The program `generate`: images and videos from trained networks, projection of images, conversion of checkpoints.
//!
//! Each command has its own file, except that both commands that write videos share `video`. `model` opens the
//! networks, `latents` makes `z` and `ws`, `synthesis` generates images from them batch by batch, and `output_image`
//! writes PNG files that contain their settings.

mod args;
mod convert;
mod describe;
mod grid;
mod images;
mod latents;
mod model;
mod npz;
mod output_image;
mod path;
mod project;
mod seeds;
mod style_mix;
mod synthesis;
mod video;

use args::{Args, Command};

/// Parses the command line and runs the command.
///
/// # Errors
/// The error of the command, with a message that names the file or flag.
pub fn main() -> anyhow::Result<()> {
    let args: Args = cli::parse()?;
    args.common.start()?;
    cli::on_interrupt(files::remove_temporaries)?;
    match args.command {
        Command::Images(args) => images::run(&args),
        Command::Grid(args) => grid::run(&args),
        Command::StyleMix(args) => style_mix::run(&args),
        Command::LatentWalk(args) => video::latent_walk(&args),
        Command::Interpolate(args) => video::interpolate(&args),
        Command::Project(args) => project::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Describe(args) => describe::run(&args),
    }
}
