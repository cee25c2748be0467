//! `cargo xtask demo`: a dump becomes a dataset, two generators learn, one page compares them. With the real programs.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{Error, Result, cargo, runs, status_of};

const USAGE: &str = "\
See it work: a synthetic dump becomes a dataset, two small runs train with and without ADA, one page compares them

Usage: cargo xtask demo [OPTIONS]

  --out DIR    Folder of all results; a demo that was interrupted goes on there [default: target/demo]
  --kimg N     Thousands of images that each of the two runs sees [default: 24]
  --dump PATH  Images with faces, a folder or an archive, instead of the synthetic dump
  --release    Build optimized: a longer build, a shorter run
  -h, --help   Print this
";

/// Sizes of the demo.
#[derive(Debug, PartialEq)]
struct Options {
    out: PathBuf,
    kimg: u64,
    dump: Option<PathBuf>,
    is_release: bool,
}

/// The two runs: the folder that each lies in, and its flags.
const RUNS: [(&str, &[&str]); 2] = [
    ("ada", &["--aug", "ada", "--augpipe", "blit,geom"]),
    ("noaug", &["--aug", "noaug"]),
];

/// Small enough to learn something within minutes of a laptop's CPU.
const SMALL: &str = "--cfg tiny32 --cbase 512 --cmax 64 --mirror --snap 5 --state-every 2";

const PLAN: &str = "\
The demo builds the programs from source (on two cores about 8 minutes the first time, then seconds) and runs them
(about 8 minutes): it draws 405 illustrations, finds and packs their faces, trains two small generators with and
without ADA, measures both and draws the pages. Stop it at any time: the same command goes on from there.";

/// Runs the demo.
///
/// # Errors
/// When a program fails; its results so far stay, and the next call goes on there.
pub fn run(arguments: &[OsString]) -> Result<()> {
    let Some(options) = parse(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    println!("{PLAN}\n");
    let out = &options.out;
    std::fs::create_dir_all(out)
        .map_err(|e| Error::Failed(format!("cannot make '{}': {e}", out.display())))?;
    let start = Instant::now();
    let packages = [&cargo::PROGRAMS[..], &["synthetic-dump"]].concat();
    let demo = Demo {
        programs: cargo::build(&packages, options.is_release)?,
        start,
    };
    demo.say("1/5 drawing a small dump of illustrations");
    let dump = match &options.dump {
        Some(dump) => dump.clone(),
        None => {
            let dump = out.join("dump");
            demo.call(demo.program("synthetic-dump").arg(&dump))?;
            dump.join("pictures")
        }
    };

    demo.say(
        "2/5 prep: finding faces, cropping, dropping copies and grayscale images, packing at 32 px",
    );
    let data = out.join("faces32.zip");
    if !data.exists() {
        let mut prep = demo.program("prep");
        prep.arg("run").arg(&dump).arg("--out").arg(&data);
        demo.call(prep.args(["--resolution", "32"]))?;
    }

    let kimg = options.kimg.to_string();
    demo.say(format_args!(
        "3/5 train: {kimg} kimg with ADA (blit,geom), then {kimg} kimg without augmentation"
    ));
    for (name, flags) in RUNS {
        let outdir = out.join(name);
        let seen = runs::newest(&outdir).and_then(|run| runs::seen_nimg(&run));
        // A longer demo lets finished runs go on.
        if seen.is_some_and(|nimg| nimg >= options.kimg * 1000) {
            continue;
        }
        let mut train = demo.program("train");
        train.arg("--outdir").arg(&outdir).args(["--kimg", &kimg]);
        match seen {
            Some(_) => train.args(["--resume", "latest"]),
            None => train
                .arg("--data")
                .arg(&data)
                .args(SMALL.split(' '))
                .args(flags),
        };
        demo.call(&mut train)?;
    }

    demo.say("4/5 eval: every snapshot of both runs, with features that need no download");
    let mut compared = Vec::new();
    for (name, _) in RUNS {
        let outdir = out.join(name);
        let run = runs::newest(&outdir)
            .ok_or_else(|| Error::Failed(format!("no run in '{}'", outdir.display())))?;
        let mut eval = demo.program("eval");
        eval.arg("run").arg(&run);
        eval.args(["--metrics", "fid500_full", "--features", "face-detector"]);
        demo.call(&mut eval)?;
        compared.push(run);
    }
    let page = out.join("compare.html");
    let mut eval = demo.program("eval");
    eval.arg("compare").args(&compared).arg("--out").arg(&page);
    // A page of an earlier version has no mark by which it is known again.
    demo.call(eval.arg("--force"))?;

    demo.say("5/5 generate: images of the run with ADA");
    let images = out.join("images.png");
    let mut generate = demo.program("generate");
    generate.arg("grid").arg("--network").arg(&compared[0]);
    demo.call(generate.args(["--seeds", "0-47", "--out"]).arg(&images))?;

    let secs = start.elapsed().as_secs();
    println!("\nDone in {} min {} s.", secs / 60, secs % 60);
    println!(
        "  images dropped, with reasons  {}",
        out.join("faces32.report.html").display()
    );
    println!("  the two runs side by side     {}", page.display());
    println!("  images of the generator       {}", images.display());
    println!(
        "\nThis was a toy: 32 px, a tiny network, {kimg} kimg. A real run sees thousands of kimg on a GPU. Next, with your \
         own images:\n  cargo prep run YOUR_IMAGES --out faces.zip --resolution 64\n  \
         cargo train --data faces.zip --outdir runs --cfg tiny64 --mirror"
    );
    Ok(())
}

/// The options; none when the help is asked for.
fn parse(arguments: &[OsString]) -> Result<Option<Options>> {
    let usage = |message: String| Error::Usage(format!("{message}\n\n{USAGE}"));
    let mut options = Options {
        out: "target/demo".into(),
        kimg: 24,
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
    fn say(&self, text: impl Display) {
        let secs = self.start.elapsed().as_secs();
        println!("\n[{} min {:02} s] {text}", secs / 60, secs % 60);
    }

    /// One of the programs that were built.
    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs a program; its progress goes to the terminal.
    fn call(&self, command: &mut Command) -> Result<()> {
        let name = Path::new(command.get_program()).file_name();
        let name = name.unwrap_or_default().display().to_string();
        let arguments = command.get_args().map(|word| word.display());
        let words: Vec<String> = arguments.map(|word| word.to_string()).collect();
        println!("$ {name} {}", words.join(" "));
        let status = status_of(command.stdin(Stdio::null())).map_err(Error::Failed)?;
        if !status.success() {
            return Err(Error::Failed(format!(
                "'{name}' failed ({status}); the same command goes on from here"
            )));
        }
        Ok(())
    }
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
            dump: Some("my images.zip".into()),
            is_release: true,
        };
        let arguments = [
            "--out",
            "there",
            "--kimg",
            "3",
            "--dump",
            "my images.zip",
            "--release",
        ];
        let arguments = arguments.map(OsString::from);
        assert_eq!(parse(&arguments).unwrap(), Some(expected));
        assert_eq!(parsed("--kimg 3 --help").unwrap(), None);
        for wrong in ["--kimg", "--kimg 0", "--kimg many", "here", "--out"] {
            assert!(matches!(parsed(wrong), Err(Error::Usage(_))), "{wrong}");
        }
    }
}
