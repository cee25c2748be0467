//! `cargo xtask sample`: draws the synthetic dump.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use synthetic_dump::Dump;

/// Draws a dump of illustrations into DIR: pictures/, posts.jsonl, boxes.jsonl and truth.json.
#[derive(Parser)]
#[command(version = cli::version())]
struct Args {
    /// Folder of the dump; one that is there already is kept
    #[arg(default_value = "target/sample")]
    dir: PathBuf,
    /// Seed of all draws: another seed gives another dump
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Number of originals; copies and damaged files are added in proportion
    #[arg(long, default_value_t = Dump::N_WORKS)]
    works: usize,
    #[command(flatten)]
    common: cli::Common,
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        let start = Instant::now();
        let dump = Dump::with_works(args.seed, args.works);
        let n_files = dump.truth().files.len();
        let bar = cli::Progress::new("drawing", Some(n_files as u64), "files");
        dump.write_to(&args.dir, |_| bar.inc(1))?;
        bar.finish();
        cli::outln!(
            "{n_files} files in {}, {:.1} s",
            args.dir.display(),
            start.elapsed().as_secs_f64()
        );
        Ok(())
    })
}
