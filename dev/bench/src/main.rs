//! `cargo xtask bench` and `cargo xtask detect-eval`: measurements for BENCHMARKS.md.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod benchmarks;
mod detect_eval;
mod peer;
mod small_faces;
mod speed;
mod table;
mod work;

#[derive(Parser)]
#[command(version = cli::version(), about = "Measurements that are written to BENCHMARKS.md")]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: cli::Common,
}

#[derive(Subcommand)]
enum Command {
    /// Ops, training steps and training cycles beside PyTorch's, in the same run
    Speed(speed::SpeedArgs),
    /// Our side of `speed`: reads `<case> <seconds>` lines and answers with JSON
    #[command(hide = true)]
    Worker {
        /// Device to compute on: cpu, cuda or cuda:N
        #[arg(long, default_value = "cpu")]
        device: ops::device::DeviceName,
    },
    /// Recall, precision, AP and speed of face detectors on a folder of images with a boxes.json
    DetectEval {
        /// DIR, DETECTOR... and options; without arguments, prints their list
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        match args.command {
            Command::Speed(args) => speed::run(&args),
            Command::Worker { device } => work::serve(device),
            Command::DetectEval { args } => detect_eval::run(&args),
        }
    })
}
