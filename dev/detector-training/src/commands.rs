//! Parses the command line and calls the module of the command.

use anyhow::Result;
use clap::Parser;

use crate::args::{Args, Command};
use crate::{average, evaluate, label, train};

/// Parses the arguments and runs the command.
pub fn run() -> Result<()> {
    let args = Args::parse();
    args.common.start()?;
    match args.command {
        Command::LabelImages(args) => label::images(&args),
        Command::Mistakes {
            weights,
            dir,
            labels,
            out,
            longest_side,
            threshold,
        } => label::mistakes(&weights, &dir, &labels, &out, longest_side, threshold),
        Command::Train(args) => train::run(&args),
        Command::Average {
            first,
            second,
            share,
            out,
        } => average::run(&first, &second, share, &out),
        Command::Evaluate {
            weights,
            dir,
            longest_side,
        } => evaluate::run(&weights, &dir, longest_side),
    }
}
