//! `cargo xtask golden`: runs every case of the golden data and prints the largest error of each.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

mod suites;

/// Runs every case of a folder of golden data and prints the worst error of each.
#[derive(Parser)]
#[command(version = cli::version())]
struct Args {
    /// Folder with one subfolder for each suite
    #[arg(default_value = "tests/golden")]
    dir: PathBuf,
    /// Device to compute on: cpu, cuda or cuda:N; only the suites augment, losses, networks and ops run on a GPU
    #[arg(long, default_value = "cpu")]
    device: ops::device::DeviceName,
    /// Run only this suite, the name of a subfolder; may be given several times
    #[arg(long = "suite", value_name = "NAME")]
    suites: Vec<String>,
    #[command(flatten)]
    common: cli::Common,
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        suites::run(&args.dir, args.device, &args.suites)
    })
}
