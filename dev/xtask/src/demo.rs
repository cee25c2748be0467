//! `cargo xtask demo`: draws a synthetic dump, makes a dataset of its faces, fine-tunes a generator with and without
//! ADA, and compares both runs on one page. All steps use the real programs.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{Error, Result, cargo, runs, status_of};

const USAGE: &str = "\
See it work: a synthetic dump becomes a dataset, a generator that ships is fine-tuned on a few of its faces with and
without ADA, side by side, and one page compares the two

Usage: cargo xtask demo [OPTIONS]

  --out DIR    Folder of all results; a demo that was interrupted goes on there [default: target/demo]
  --kimg N     Thousands of images that each of the two runs sees [default: 30]
  --seed N     Seed of the dump, its character, and both runs [default: 0]
  --dump PATH  Images with faces, a folder or an archive, instead of the synthetic dump
  --release    Build optimized: a longer build, a shorter run
  -h, --help   Print this
";

/// The options of the demo.
#[derive(Debug, PartialEq)]
struct Options {
    out: PathBuf,
    kimg: u64,
    seed: u32,
    dump: Option<PathBuf>,
    is_release: bool,
}

/// A training run: its name, the folder for its run folder, and its flags.
struct Run {
    name: &'static str,
    folder: &'static str,
    flags: &'static [&'static str],
}

/// The runs that the demo compares. The first one shows its progress on the terminal, the other writes to a file.
const RUNS: [Run; 2] = [
    Run {
        name: "ADA",
        folder: "ada",
        flags: &["--aug", "ada", "--augpipe", "blit,geom", "--ada-kimg", "50"],
    },
    Run {
        name: "no augmentation",
        folder: "noaug",
        flags: &["--aug", "noaug"],
    },
];

/// The originals of the synthetic dump. It shows one character, drawn with the seed of the demo: about 350 faces.
const N_WORKS: &str = "240";

/// The flags of both runs: they start from the network that is included, use so few faces that a discriminator can
/// memorize them, and compute FID against all faces. The batch is small, for many steps in little time.
const TRAINING: &str = "--cfg tiny64 --init-from drawn64 --subset 60 --batch 8 --pl-weight 0 --ema-kimg 5 --snap 2 \
                        --state-every 2 --metrics fid500_full --features face-detector --threads 1 --workers 1";

const PLAN: &str = "\
The demo builds the programs from source (on two cores about 8 minutes the first time, then seconds) and runs them
(about 8 minutes): it draws 405 illustrations of one character, finds and packs the faces, fine-tunes a generator of many
characters on 60 of them, with and without ADA, and draws the pages. Stop it at any time: the same command goes on from
there.";

/// Runs the demo.
///
/// # Errors
/// When a program fails. Its results so far are kept, and the next call continues from them.
pub fn run(arguments: &[OsString]) -> Result<()> {
    let Some(options) = parse(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    println!("{PLAN}\n");
    let out = &options.out;
    std::fs::create_dir_all(out)
        .map_err(|e| Error::Failed(format!("cannot make '{}': {e}", out.display())))?;
    let packages = [&cargo::PROGRAMS[..], &["synthetic-dump"]].concat();
    let demo = Demo {
        programs: cargo::build(&packages, options.is_release)?,
        start: Instant::now(),
    };
    let data = demo.dataset(&options)?;
    demo.train(&options, &data)?;
    let runs = RUNS
        .iter()
        .map(|run| {
            let folder = out.join(run.folder);
            runs::newest(&folder)
                .ok_or_else(|| Error::Failed(format!("no run in '{}'", folder.display())))
        })
        .collect::<Result<Vec<PathBuf>>>()?;
    let pages = demo.results(out, &runs)?;
    let secs = demo.start.elapsed().as_secs();
    println!(
        "\nDone in {} min {} s after the build.",
        secs / 60,
        secs % 60
    );
    println!(
        "  images dropped, with reasons  {}",
        out.join("faces64.report.html").display()
    );
    for (what, path) in pages {
        println!("  {what:<28}  {}", path.display());
    }
    println!(
        "\nThis was small: 64 px, a tiny network, {} kimg. A real run sees thousands of kimg on a GPU. Next, with your own \
         images:\n  cargo prep run YOUR_IMAGES --out faces.zip --resolution 64\n  \
         cargo train --data faces.zip --outdir runs --cfg tiny64 --init-from drawn64 --mirror",
        options.kimg
    );
    Ok(())
}

/// Parses the options; `None` if the help is requested.
fn parse(arguments: &[OsString]) -> Result<Option<Options>> {
    let usage = |message: String| Error::Usage(format!("{message}\n\n{USAGE}"));
    let mut options = Options {
        out: "target/demo".into(),
        kimg: 30,
        seed: 0,
        dump: None,
        is_release: false,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = argument.to_string_lossy();
        let mut value = || {
            rest.next()
                .ok_or_else(|| usage(format!("{name} needs a value")))
        };
        match &*name {
            "-h" | "--help" => return Ok(None),
            "--release" => options.is_release = true,
            "--out" => options.out = value()?.into(),
            "--dump" => options.dump = Some(value()?.into()),
            "--seed" => {
                let seed = value()?.to_string_lossy();
                options.seed = seed
                    .parse()
                    .map_err(|_| usage(format!("--seed '{seed}' is not a number")))?;
            }
            "--kimg" => {
                let kimg = value()?.to_string_lossy();
                options.kimg = kimg
                    .parse()
                    .ok()
                    .filter(|&kimg| kimg > 0)
                    .ok_or_else(|| usage(format!("--kimg '{kimg}' is not a number above 0")))?;
            }
            _ => return Err(usage(format!("unexpected argument '{name}'"))),
        }
    }
    Ok(Some(options))
}

struct Demo {
    programs: PathBuf,
    start: Instant,
}

impl Demo {
    /// Makes the dataset of faces: draws the dump (or takes the given one), crops the faces, and packs them.
    fn dataset(&self, options: &Options) -> Result<PathBuf> {
        let out = &options.out;
        let dump = match &options.dump {
            Some(dump) => dump.clone(),
            None => {
                self.say("1/5 drawing a small dump of illustrations of one character");
                let dump = out.join("dump");
                let mut draw = self.program("synthetic-dump");
                let seed = options.seed.to_string();
                draw.arg(&dump).args(["--works", N_WORKS]);
                self.call(draw.args(["--character", &seed, "--seed", &seed]))?;
                dump.join("pictures")
            }
        };
        self.say(
            "2/5 prep: finding faces, cropping, dropping copies and grayscale images, packing at 64 px",
        );
        let data = out.join("faces64.zip");
        if !data.exists() {
            let mut prep = self.program("prep");
            prep.arg("run").arg(&dump).arg("--out").arg(&data);
            self.call(prep.args(["--resolution", "64"]))?;
        }
        Ok(data)
    }

    /// Trains both runs at the same time, with one thread each; that is faster than one after the other with two
    /// threads.
    fn train(&self, options: &Options, data: &Path) -> Result<()> {
        self.say(format_args!(
            "3/5 train: {} kimg with ADA (blit,geom) and, at the same time, without augmentation",
            options.kimg
        ));
        let [shown, hidden] = RUNS.map(|run| self.training(&run, options, data));
        let log = options.out.join("noaug.log");
        let second = match hidden {
            Some(mut command) => {
                let file = std::fs::File::create(&log);
                let file = file.and_then(|file| Ok((file.try_clone()?, file)));
                let (stdout, stderr) = file
                    .map_err(|e| Error::Failed(format!("cannot write '{}': {e}", log.display())))?;
                println!("$ {} > {}", words(&command), log.display());
                command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
                let child = command.spawn();
                Some(child.map_err(|e| Error::Failed(format!("cannot start train: {e}")))?)
            }
            None => None,
        };
        let first = shown.map_or(Ok(()), |mut command| self.call(&mut command));
        if let Some(mut child) = second {
            if first.is_err() {
                // Otherwise the other run would continue without being seen.
                let _ = child.kill();
            }
            let status = child.wait();
            let status =
                status.map_err(|e| Error::Failed(format!("cannot wait for train: {e}")))?;
            first?;
            if !status.success() {
                return Err(Error::Failed(format!(
                    "the run without augmentation failed ({status}), '{}' says why; the same command goes on from here",
                    log.display()
                )));
            }
            return Ok(());
        }
        first
    }

    /// The command that starts or continues a run; `None` if it has seen enough images. With more `--kimg`, ended runs
    /// continue.
    fn training(&self, run: &Run, options: &Options, data: &Path) -> Option<Command> {
        let outdir = options.out.join(run.folder);
        let seen = runs::newest(&outdir).and_then(|run| runs::seen_nimg(&run));
        if seen.is_some_and(|nimg| nimg >= options.kimg * 1000) {
            return None;
        }
        let mut train = self.program("train");
        train.arg("--outdir").arg(&outdir);
        train.args(["--kimg", &options.kimg.to_string()]);
        match seen {
            Some(_) => train.args(["--resume", "latest", "--threads", "1"]),
            None => train
                .arg("--data")
                .arg(data)
                .args(TRAINING.split_whitespace())
                .args(["--seed", &options.seed.to_string()])
                .args(run.flags),
        };
        Some(train)
    }

    /// Makes the page, the video and the images; returns a description and the file of each.
    fn results(&self, out: &Path, runs: &[PathBuf]) -> Result<Vec<(&'static str, PathBuf)>> {
        self.say("4/5 eval: the runs on one page, and a video of the same latents through both");
        let page = out.join("compare.html");
        let mut eval = self.program("eval");
        eval.arg("compare").args(runs).arg("--out").arg(&page);
        // `--force` replaces a page of an earlier version, which `eval` would not recognize as its own.
        self.call(eval.arg("--force"))?;
        let video = out.join("progress.webp");
        let mut eval = self.program("eval");
        eval.arg("video").args(runs).arg("--out").arg(&video);
        self.call(eval.arg("--force"))?;

        self.say("5/5 generate: images of the last snapshot of both runs");
        let mut results = vec![
            ("the two runs side by side", page),
            ("the same through time", video),
        ];
        for (run, path) in RUNS.iter().zip(runs) {
            let images = out.join(format!("{}.png", run.folder));
            let mut generate = self.program("generate");
            generate.arg("grid").arg("--network").arg(path);
            generate.args(["--checkpoint", "newest", "--seeds", "0-47", "--out"]);
            self.call(generate.arg(&images))?;
            results.push((run.name, images));
        }
        Ok(results)
    }

    fn say(&self, text: impl Display) {
        let secs = self.start.elapsed().as_secs();
        println!("\n[{} min {:02} s] {text}", secs / 60, secs % 60);
    }

    /// A command for one of the programs that were built.
    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs a program, with its output on the terminal; an error if it fails.
    fn call(&self, command: &mut Command) -> Result<()> {
        println!("$ {}", words(command));
        let status = status_of(command.stdin(Stdio::null())).map_err(Error::Failed)?;
        if !status.success() {
            let name = words(command);
            let name = name.split(' ').next().unwrap_or_default();
            return Err(Error::Failed(format!(
                "'{name}' failed ({status}); the same command goes on from here"
            )));
        }
        Ok(())
    }
}

/// A command as text, without the folder of its program.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let program = program.unwrap_or_default().display().to_string();
    let arguments = command.get_args().map(|word| word.display().to_string());
    let words: Vec<String> = std::iter::once(program).chain(arguments).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Options>> {
        let arguments: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        parse(&arguments)
    }

    #[test]
    fn options_are_read() {
        let expected = Options {
            out: "there".into(),
            kimg: 3,
            seed: 4,
            dump: Some("my images.zip".into()),
            is_release: true,
        };
        let arguments = [
            "--out",
            "there",
            "--kimg",
            "3",
            "--seed",
            "4",
            "--dump",
            "my images.zip",
            "--release",
        ];
        let arguments = arguments.map(OsString::from);
        assert_eq!(parse(&arguments).unwrap(), Some(expected));
        assert_eq!(parsed("--kimg 3 --help").unwrap(), None);
        for wrong in [
            "--kimg",
            "--kimg 0",
            "--kimg many",
            "--seed x",
            "here",
            "--out",
        ] {
            assert!(matches!(parsed(wrong), Err(Error::Usage(_))), "{wrong}");
        }
    }
}
