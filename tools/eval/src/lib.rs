//! `eval`: what a snapshot, a run, or a folder of images is worth.
//!
//! `metrics` measures one checkpoint, `images` two sets of pictures, `run` all snapshots of a training run; `compare`
//! puts runs side by side on one page, `video` on film; `leak` looks for augmentations in what a generator makes;
//! `weights` brings the weights that metrics need. The formulas are in the crate
//! `metrics`; here are arguments, checkpoints, run folders, bars and words.

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

/// Parses the arguments and runs the command.
///
/// # Errors
/// What the command could not do, with the file or flag named.
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
