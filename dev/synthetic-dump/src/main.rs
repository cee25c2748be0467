//! `cargo xtask sample`: draws the synthetic dump.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use synthetic_dump::{Dump, DumpOptions, FaceCrops, Style};

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
    /// Drawing style
    #[arg(long, value_enum, default_value_t)]
    style: Style,
    /// Show one character, drawn with this seed, in all images
    #[arg(long, value_name = "SEED")]
    character: Option<u32>,
    /// Write only this many face crops, instead of a dump
    #[arg(long, conflicts_with = "works")]
    faces: Option<u32>,
    /// Side of a face crop of --faces in pixels
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    size: u32,
    #[command(flatten)]
    common: cli::Common,
}

fn main() -> ExitCode {
    cli::run_main(|| {
        let args = Args::parse();
        args.common.start()?;
        let start = Instant::now();
        if let Some(n) = args.faces {
            let bar = cli::Progress::new("drawing", Some(n.into()), "faces");
            let crops = FaceCrops {
                seed: args.seed,
                size: args.size,
                style: args.style,
                character: args.character,
            };
            crops.write_to(&args.dir, n, || bar.inc(1))?;
            bar.finish();
            let secs = start.elapsed().as_secs_f64();
            cli::outln!("{n} faces in {}, {secs:.1} s", args.dir.display());
            return Ok(());
        }
        let dump = Dump::with_options(&DumpOptions {
            seed: args.seed,
            n_works: args.works,
            style: args.style,
            character: args.character,
        });
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
