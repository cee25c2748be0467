//! `cargo xtask cuda-toolkit` and `cargo xtask emulated-gpu`. Each prints the environment variables for CUDA builds.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cuda_toolkit;
mod emulated_gpu;

#[derive(Parser)]
#[command(version = cli::version(), about = "Environments in which CUDA builds work")]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: cli::Common,
}

#[derive(Subcommand)]
enum Command {
    /// Get NVIDIA's compiler and libraries as Python wheels, and print the environment that builds the feature cuda
    CudaToolkit(cuda_toolkit::ToolkitArgs),
    /// Build the library that computes on the CPU in place of a GPU, and print the environment that loads it
    EmulatedGpu(emulated_gpu::EmulatedArgs),
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        match args.command {
            Command::CudaToolkit(args) => cuda_toolkit::run(&args),
            Command::EmulatedGpu(args) => emulated_gpu::run(&args),
        }
    })
}
