//! The program `eval`: measures the quality of snapshots, runs and folders of images.
//!
//! `metrics` measures one checkpoint, `images` compares two sets of images, `run` measures all snapshots of a training
//! run, `compare` compares runs on one HTML page, `video` shows the progress of runs as a video, `leak` checks whether
//! augmentations have leaked into generated images, and `weights` installs the weights of the feature networks. The
//! formulas are in the crate `metrics`; this crate handles arguments, checkpoints, run folders, progress bars and
//! messages.

mod args;
mod augmentation;
mod compare;
mod images;
mod leak;
mod measure;
mod metrics_of_network;
mod open;
mod run;
mod run_dataset;
mod run_settings;
mod verdict;
mod video;
mod weights;

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
        Command::Metrics(args) => metrics_of_network::metrics(&args),
        Command::Images(args) => images::images(&args),
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Video(args) => video::video(&args),
        Command::Leak(args) => leak::leak(&args),
        Command::Weights(args) => weights::weights(&args),
    }
}
