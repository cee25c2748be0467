//! `cargo xtask sample`: draws the sample dump.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use synthetic_dump::Dump;

#[derive(clap::Args)]
pub struct SampleArgs {
    /// Folder for pictures/, posts.jsonl, boxes.jsonl and truth.json
    #[arg(default_value = "target/sample")]
    dir: PathBuf,
    /// Another seed is another dump
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Number of originals; copies and the rest grow with it
    #[arg(long, default_value_t = Dump::N_WORKS)]
    works: usize,
}

/// Draws the dump, unless it is there already.
pub fn run(args: &SampleArgs) -> Result<()> {
    let start = Instant::now();
    let dump = Dump::with_works(args.seed, args.works);
    let bar = cli::Progress::new("drawing", Some(dump.truth().files.len() as u64), "files");
    dump.write_to(&args.dir, |_| bar.inc(1))?;
    bar.finish();
    cli::outln!(
        "{} files in {}, {:.1} s",
        dump.truth().files.len(),
        args.dir.display(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
