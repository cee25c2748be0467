//! Development programs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod golden;

#[derive(Parser)]
#[command(version = cli::version(), about = "Development programs")]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: cli::Common,
}

#[derive(Subcommand)]
enum Command {
    /// Run every case of a folder of golden data and print the worst errors
    Golden {
        /// Folder with one subfolder for each suite
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        match args.command {
            Command::Golden { dir } => golden::run(&dir),
        }
    })
}
