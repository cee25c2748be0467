//! A minimal tool built on `cli`. The tests of this crate run it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;

#[derive(Parser)]
#[command(version = cli::version())]
struct Args {
    /// Lines to print
    #[arg(long, default_value_t = 0)]
    lines: u64,
    /// Fail at the end
    #[arg(long)]
    fail: bool,
    #[command(flatten)]
    common: cli::Common,
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        tracing::debug!("starting");
        tracing::warn!(lines = args.lines, "about to print");
        let progress = cli::Progress::new("printing", Some(args.lines), "lines");
        for line in 0..args.lines {
            cli::outln!("line {line}");
            progress.inc(1);
        }
        progress.finish();
        if args.fail {
            return read_nothing().context("cannot finish");
        }
        cli::report(&serde_json::json!({ "lines": args.lines }), |r| {
            format!("{} lines", r["lines"])
        });
        Ok(())
    })
}

fn read_nothing() -> anyhow::Result<()> {
    bail!("'x.zip' does not exist")
}
