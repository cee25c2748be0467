//! Development programs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod benchmarks;
mod cuda_toolkit;
mod demo;
mod detect_eval;
mod emulated_card;
mod golden;
mod pages;
mod programs;
mod sample;
mod small_faces;

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
        #[arg(default_value = "tests/golden")]
        dir: PathBuf,
        /// Where to compute: cpu, cuda or cuda:N; on a card only augment, losses, networks and ops run
        #[arg(long, default_value = "cpu")]
        device: ops::device::DeviceName,
        /// Run only this suite, the name of a subfolder; may be given several times
        #[arg(long = "suite", value_name = "NAME")]
        suites: Vec<String>,
    },
    /// See it work: a drawn dump becomes a dataset, two small runs train with and without ADA, one page compares them
    Demo(demo::DemoArgs),
    /// Measure our speed beside PyTorch's
    Bench(bench::BenchArgs),
    /// Our side of a benchmark, driven by `bench`
    #[command(hide = true)]
    BenchWorker {
        /// Where to compute
        #[arg(long, default_value = "cpu")]
        device: ops::device::DeviceName,
    },
    /// Get NVIDIA's compiler and libraries as Python wheels, and print the environment that builds the feature cuda
    CudaToolkit(cuda_toolkit::ToolkitArgs),
    /// Build the library that computes on the processor in place of a card, and print the environment that loads it
    EmulatedCard(emulated_card::EmulatedArgs),
    /// Recall, precision, AP and speed of face detectors on a folder of pictures with a boxes.json
    DetectEval {
        /// DIR DETECTOR... and options; without any, says which
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Write shell completions and man pages of all tools
    Pages {
        /// Where `completions` and `man` are made
        #[arg(default_value = "target/pages")]
        dir: PathBuf,
    },
    /// Draw the sample dump: illustrations, copies of them, broken files, and the truth about each
    Sample(sample::SampleArgs),
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        match args.command {
            Command::Golden {
                dir,
                device,
                suites,
            } => golden::run(&dir, device, &suites),
            Command::Demo(args) => demo::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::BenchWorker { device } => bench::serve(device),
            Command::CudaToolkit(args) => cuda_toolkit::run(&args),
            Command::EmulatedCard(args) => emulated_card::run(&args),
            Command::DetectEval { args } => detect_eval::run(&args),
            Command::Pages { dir } => pages::run(&dir),
            Command::Sample(args) => sample::run(&args),
        }
    })
}
