//! `prep`: makes a clean dataset zip of faces from a folder of illustrations, with a record of every decision.
//!
//! The command `run` makes the zip; `inspect`, `verify` and `diff` examine results; `models` lists the face detectors.
//! The crate `curation` does the work; this crate handles arguments, recipes, progress bars and messages.

mod args;
mod child_process;
mod diff;
mod inspect;
mod models;
mod output;
mod progress;
mod recipe;
mod run;

use args::{Args, Command};

/// Parses the arguments and runs the command.
///
/// # Errors
/// The failure of the command, with the file or flag named.
pub fn main() -> anyhow::Result<()> {
    let args: Args = cli::parse()?;
    cli::give_back_large_blocks();
    args.common.start()?;
    cli::on_interrupt(files::remove_temporaries)?;
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::Inspect { path } => inspect::inspect(&path),
        Command::Verify { path } => inspect::verify(&path),
        Command::Diff { before, after } => diff::diff(&before, &after),
        Command::Models { check } => models::models(check.as_deref()),
        Command::MeasureInChild => child_process::run(),
    }
}
