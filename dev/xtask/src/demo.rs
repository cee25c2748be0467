//! `cargo xtask demo`: a dump becomes a dataset, two generators learn, one page compares them. With the real programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use synthetic_dump::Dump;

use crate::programs;

/// Sizes of the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Where everything goes; a demo that was interrupted goes on there
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
    /// Thousands of images that each of the two runs sees
    #[arg(long, default_value_t = 24)]
    kimg: u64,
    /// Pictures with faces instead of the drawn sample (a folder or archive of your own)
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Build optimised for speed of running instead of building
    #[arg(long)]
    release: bool,
}

/// The two runs: the name of the folder that each lies in, and its flags.
const RUNS: [(&str, &[&str]); 2] = [
    ("ada", &["--aug", "ada", "--augpipe", "blit,geom"]),
    ("noaug", &["--aug", "noaug"]),
];

/// Small enough to learn something within minutes of a laptop's CPU.
const SMALL: &str = "--cfg tiny32 --cbase 512 --cmax 64 --mirror --snap 5 --state-every 2";

/// Runs the demo.
///
/// # Errors
/// When a program fails; what it did before stays, and the next call goes on there.
pub fn run(args: &DemoArgs) -> Result<()> {
    let start = Instant::now();
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make '{}'", out.display()))?;
    let demo = Demo {
        programs: programs::build(args.release)?,
        start,
    };
    let data = out.join("faces32.zip");

    let dump = match &args.dump {
        Some(dump) => dump.clone(),
        None => {
            demo.say("1/5 drawing a small dump of illustrations");
            let dump = out.join("dump");
            draw(&dump)?;
            dump.join("pictures")
        }
    };

    demo.say(
        "2/5 prep: faces found, cropped, cleaned of copies and gray pictures, packed at 32 px",
    );
    if !data.exists() {
        let arguments = [
            "run",
            text(&dump)?,
            "--out",
            text(&data)?,
            "--resolution",
            "32",
        ];
        demo.call("prep", &arguments)?;
    }

    demo.say(&format!(
        "3/5 train: {} kimg with ADA (blit,geom), then {} kimg without augmentation",
        args.kimg, args.kimg
    ));
    let kimg = args.kimg.to_string();
    for (name, flags) in RUNS {
        let outdir = out.join(name);
        let seen = seen_nimg(&outdir);
        // A longer demo lets finished runs go on.
        if seen.is_some_and(|nimg| nimg >= args.kimg * 1000) {
            continue;
        }
        let outdir = text(&outdir)?.to_owned();
        let mut arguments = vec!["--outdir", outdir.as_str(), "--kimg", kimg.as_str()];
        if seen.is_some() {
            arguments.extend(["--resume", "latest"]);
            demo.call("train", &arguments)?;
            continue;
        }
        arguments.extend(["--data", text(&data)?]);
        arguments.extend(SMALL.split(' '));
        arguments.extend(flags);
        demo.call("train", &arguments)?;
    }

    demo.say("4/5 eval: every snapshot of both runs, with features that need no download");
    let mut runs = Vec::new();
    for (name, _) in RUNS {
        let run = newest_run(&out.join(name))?;
        let arguments = [
            "run",
            text(&run)?,
            "--metrics",
            "fid500_full",
            "--features",
            "face-detector",
        ];
        demo.call("eval", &arguments)?;
        runs.push(run);
    }
    let page = out.join("compare.html");
    demo.call(
        "eval",
        &[
            "compare",
            text(&runs[0])?,
            text(&runs[1])?,
            "--out",
            text(&page)?,
            // A page of an earlier version has no mark.
            "--force",
        ],
    )?;

    demo.say("5/5 generate: pictures of the run with ADA");
    let pictures = out.join("pictures.png");
    let arguments = [
        "grid",
        "--network",
        text(&runs[0])?,
        "--seeds",
        "0-47",
        "--out",
        text(&pictures)?,
    ];
    demo.call("generate", &arguments)?;

    cli::outln!();
    cli::outln!("Done in {}.", run_folder::format_time(start.elapsed()));
    cli::outln!(
        "  what was dropped and why   {}",
        out.join("faces32.report.html").display()
    );
    cli::outln!("  the two runs side by side  {}", page.display());
    cli::outln!("  pictures of the generator  {}", pictures.display());
    cli::outln!();
    cli::outln!(
        "This was a toy: 32 px, a tiny network, {} kimg. A real run sees thousands of kimg on a GPU. Next, with your own \
         pictures:",
        args.kimg
    );
    cli::outln!("  cargo prep run YOUR_PICTURES --out faces.zip --resolution 64");
    cli::outln!("  cargo train --data faces.zip --outdir runs --cfg tiny64 --mirror");
    Ok(())
}

/// Draws the sample dump, unless it is there already.
fn draw(dir: &Path) -> Result<()> {
    let dump = Dump::new(0);
    let bar = cli::Progress::new("drawing", Some(dump.truth().files.len() as u64), "files");
    dump.write_to(dir, |_| bar.inc(1))?;
    bar.finish();
    Ok(())
}

struct Demo {
    programs: PathBuf,
    start: Instant,
}

impl Demo {
    fn say(&self, what: &str) {
        let elapsed = run_folder::format_time(self.start.elapsed());
        cli::outln!("\n[{elapsed}] {what}");
    }

    /// Calls one of our programs; its progress goes to the terminal.
    fn call(&self, program: &str, arguments: &[&str]) -> Result<()> {
        cli::outln!("$ {program} {}", arguments.join(" "));
        let path = self.programs.join(program);
        let status = Command::new(&path)
            .args(arguments)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot start '{}'", path.display()))?;
        if !status.success() {
            bail!("'{program}' failed ({status}); the same command goes on from here");
        }
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("'{}' is no UTF-8 path", path.display()))
}

fn newest_run(outdir: &Path) -> Result<PathBuf> {
    let runs = run_folder::run_dirs(outdir)?;
    let (_, run) = runs
        .into_iter()
        .next_back()
        .with_context(|| format!("no run in '{}'", outdir.display()))?;
    Ok(run)
}

/// The images that the newest run in a folder had seen when it was last saved.
fn seen_nimg(outdir: &Path) -> Option<u64> {
    let run = newest_run(outdir).ok()?;
    let states = run_folder::state_files(&run).ok()?;
    run_folder::state_nimg(states.last()?)
}
