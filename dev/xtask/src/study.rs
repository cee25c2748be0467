//! `cargo xtask study`: trains on little data and compares augmentations, training from scratch and from `drawn64`,
//! leaks of augmentations, data of a single character, and frozen layers.
//!
//! It takes hours on two cores and uses ordinary run folders; the same command continues where it stopped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Error, Result, cargo, runs, status_of};

const USAGE: &str = "\
Fine-tune and train on few images with different augmentations, and compare the runs

Usage: cargo xtask study [OPTIONS]

  --out DIR    Folder of all results; a study that was interrupted goes on there [default: target/study]
  --part NAME  Only one part: data, leak, character, freeze [default: all]
  --kimg N     Thousands of images that each run sees [default: 40]
  --sizes LIST Numbers of training images of the part `data` [default: 60,200,1000,5000]
  --seeds N    Runs of each setting of the part `data` [default: 2]
  --jobs N     Runs at the same time, one thread each [default: 2]
  --list       Print the runs and stop
  -h, --help   Print this
";

/// The options of the study.
#[derive(Debug, PartialEq)]
struct Options {
    out: PathBuf,
    part: Option<String>,
    kimg: u64,
    sizes: Vec<u32>,
    seeds: u32,
    jobs: usize,
    lists: bool,
}

/// The number of faces in the dataset. FID is computed against all of them, also where a run uses fewer.
const N_FACES: u32 = 5000;

/// The flags of every run.
const TRAINING: &str = "--cfg tiny64 --pl-weight 0 --snap 4 --state-every 4 --metrics fid1k_full,mem1k_full \
                        --features face-detector --threads 1 --workers 1 --quiet";

/// One training run of the study.
#[derive(Clone, Debug, PartialEq)]
struct StudyRun {
    part: &'static str,
    /// The name of the run, and of the folder that contains its run folder.
    name: String,
    data: &'static str,
    flags: Vec<String>,
}

/// The augmentations to compare: the name and the flags of each.
const AUGMENTATIONS: [(&str, &str); 4] = [
    ("none", "--aug noaug"),
    ("ada-bg", "--aug ada --augpipe blit,geom"),
    ("ada-bgc", "--aug ada --augpipe bgc"),
    ("fixed-bg", "--aug fixed --p 0.2 --augpipe blit,geom"),
];

const STARTS: [(&str, &str); 2] = [("scratch", ""), ("drawn64", "--init-from drawn64")];

/// All runs in the order in which they are started, the most informative first.
fn plan(options: &Options) -> Vec<StudyRun> {
    let words = |parts: &[&str]| -> Vec<String> {
        let parts = parts.iter().flat_map(|part| part.split_whitespace());
        parts.map(str::to_owned).collect()
    };
    let mut runs = Vec::new();
    for seed in 0..options.seeds {
        for (start, from) in STARTS.iter().rev() {
            for size in &options.sizes {
                for (augmentation, flags) in AUGMENTATIONS {
                    let subset = format!("--subset {size} --seed {seed}");
                    runs.push(StudyRun {
                        part: "data",
                        name: format!("data-{start}-{size}-{augmentation}-s{seed}"),
                        data: "faces",
                        flags: words(&[from, flags, &subset]),
                    });
                }
            }
        }
    }
    // Each is compared with the run without augmentation on the same number of images, after as much training.
    let mut leak = |name: String, flags: &str| {
        runs.push(StudyRun {
            part: "leak",
            name: format!("leak-{name}"),
            data: "faces",
            flags: words(&["--init-from drawn64 --subset 1000", flags]),
        });
    };
    leak("none".to_owned(), "--aug noaug");
    for category in ["blit", "geom", "color", "filter", "noise", "cutout"] {
        for p in ["0.2", "0.5", "0.8"] {
            let flags = format!("--aug fixed --p {p} --augpipe {category}");
            leak(format!("{category}-p{p}"), &flags);
        }
    }
    for (augmentation, flags) in &AUGMENTATIONS[..2] {
        runs.push(StudyRun {
            part: "character",
            name: format!("character-{augmentation}"),
            data: "character",
            flags: words(&["--init-from drawn64 --subset 60", flags]),
        });
    }
    for layers in ["0", "6"] {
        runs.push(StudyRun {
            part: "freeze",
            name: format!("freeze-{layers}"),
            data: "faces",
            flags: words(&[
                "--init-from drawn64 --subset 60 --aug ada --augpipe blit,geom --freezed",
                layers,
            ]),
        });
    }
    let is_wanted = |run: &StudyRun| options.part.as_deref().is_none_or(|part| part == run.part);
    runs.retain(is_wanted);
    runs
}

/// Runs the study.
///
/// # Errors
/// When a program fails. Runs that have ended are kept, and the next call continues from there.
pub fn run(arguments: &[OsString]) -> Result<()> {
    let Some(options) = parse(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let plan = plan(&options);
    if options.lists {
        for run in &plan {
            println!("{}: {}", run.name, run.flags.join(" "));
        }
        return Ok(());
    }
    let packages = [&cargo::PROGRAMS[..], &["synthetic-dump"]].concat();
    let study = Study {
        programs: cargo::build(&packages, true)?,
        options: &options,
    };
    study.datasets(&plan)?;
    study.train(&plan)?;
    study.leaks(&plan)?;
    study.pages(&plan)
}

struct Study<'a> {
    programs: PathBuf,
    options: &'a Options,
}

impl Study<'_> {
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.stdin(Stdio::null());
        command
    }

    fn dataset(&self, name: &str) -> PathBuf {
        self.options.out.join(format!("{name}.zip"))
    }

    /// Draws and packs the datasets that the runs need.
    fn datasets(&self, plan: &[StudyRun]) -> Result<()> {
        let n_faces = N_FACES.to_string();
        for (name, flags) in [
            ("faces", &["--faces", &n_faces][..]),
            ("character", &["--faces", "1000", "--character", "1"]),
        ] {
            let data = self.dataset(name);
            if data.exists() || !plan.iter().any(|run| run.data == name) {
                continue;
            }
            let drawn = self.options.out.join(name);
            let mut draw = self.program("synthetic-dump");
            draw.arg(&drawn).args(["--seed", "2", "--style", "print"]);
            call(draw.args(flags))?;
            let mut prep = self.program("prep");
            prep.arg("run").arg(&drawn).arg("--out").arg(&data);
            call(prep.args(["--resolution", "64", "--detector", "none", "--dedup", "off"]))?;
        }
        Ok(())
    }

    /// The run folder of a run, if the run has seen all its images.
    fn ended(&self, run: &StudyRun) -> Option<PathBuf> {
        let folder = runs::newest(&self.options.out.join(&run.name))?;
        let has_ended = runs::seen_nimg(&folder)? >= self.options.kimg * 1000;
        has_ended.then_some(folder)
    }

    fn training(&self, run: &StudyRun) -> Command {
        let outdir = self.options.out.join(&run.name);
        let mut train = self.program("train");
        train.arg("--outdir").arg(&outdir);
        train.args(["--kimg", &self.options.kimg.to_string()]);
        let has_state = runs::newest(&outdir).and_then(|folder| runs::seen_nimg(&folder));
        match has_state {
            Some(_) => train.args(["--resume", "latest", "--threads", "1", "--quiet"]),
            None => train
                .arg("--data")
                .arg(self.dataset(run.data))
                .args(TRAINING.split_whitespace())
                .args(&run.flags),
        };
        train
    }

    /// Trains all runs that have not ended, up to `--jobs` at the same time.
    fn train(&self, plan: &[StudyRun]) -> Result<()> {
        let mut waiting = plan.iter().filter(|run| self.ended(run).is_none());
        let mut running: Vec<(&StudyRun, Child)> = Vec::new();
        loop {
            while running.len() < self.options.jobs
                && let Some(run) = waiting.next()
            {
                println!("{}", run.name);
                let child = self.training(run).spawn();
                let child = child.map_err(|e| Error::Failed(format!("cannot start train: {e}")))?;
                running.push((run, child));
            }
            if running.is_empty() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
            let mut i = 0;
            while let Some((run, child)) = running.get_mut(i) {
                let status = child.try_wait();
                match status.map_err(|e| Error::Failed(format!("cannot wait for train: {e}")))? {
                    None => i += 1,
                    Some(status) if status.success() => {
                        running.remove(i);
                    }
                    Some(status) => {
                        let message = format!(
                            "{} failed ({status}); the same command goes on from here",
                            run.name
                        );
                        running.remove(i);
                        for (_, child) in &mut running {
                            let _ = child.kill();
                            let _ = child.wait();
                        }
                        return Err(Error::Failed(message));
                    }
                }
            }
        }
    }

    /// Compares each run of the part `leak` with the run without augmentation, to find augmentations that leak.
    fn leaks(&self, plan: &[StudyRun]) -> Result<()> {
        let of_part: Vec<&StudyRun> = plan.iter().filter(|run| run.part == "leak").collect();
        let Some((baseline, others)) = of_part.split_first() else {
            return Ok(());
        };
        let Some(baseline) = self.ended(baseline) else {
            return Ok(());
        };
        for folder in others.iter().filter_map(|run| self.ended(run)) {
            if folder.join("leaks.jsonl").exists() {
                continue;
            }
            let mut eval = self.program("eval");
            eval.arg("leak")
                .arg(&folder)
                .arg("--baseline")
                .arg(&baseline);
            call(eval.args(["--checkpoint", "newest"]))?;
        }
        Ok(())
    }

    /// Writes a page of comparison for each group of runs.
    fn pages(&self, plan: &[StudyRun]) -> Result<()> {
        let mut pages: Vec<(String, Vec<PathBuf>)> = Vec::new();
        for run in plan {
            let Some(folder) = self.ended(run) else {
                continue;
            };
            let page = match run.name.rsplit_once("-s") {
                // The runs with the same start and dataset size share a page: all augmentations and seeds.
                Some((name, _)) if run.part == "data" => {
                    AUGMENTATIONS
                        .iter()
                        .fold(name.to_owned(), |name, (augmentation, _)| {
                            name.trim_end_matches(&format!("-{augmentation}"))
                                .to_owned()
                        })
                }
                _ => run.part.to_owned(),
            };
            match pages.iter_mut().find(|(name, _)| *name == page) {
                Some((_, folders)) => folders.push(folder),
                None => pages.push((page, vec![folder])),
            }
        }
        for (name, folders) in pages {
            let page = self.options.out.join(format!("{name}.html"));
            let mut eval = self.program("eval");
            eval.arg("compare").args(folders).arg("--out").arg(&page);
            call(eval.arg("--force"))?;
        }
        Ok(())
    }
}

fn call(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).to_owned();
    let status = status_of(command).map_err(Error::Failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed(format!(
            "'{}' failed ({status}); the same command goes on from here",
            name.display()
        ))),
    }
}

/// Parses the options; `None` if the help is requested.
fn parse(arguments: &[OsString]) -> Result<Option<Options>> {
    let usage = |message: String| Error::Usage(format!("{message}\n\n{USAGE}"));
    let mut options = Options {
        out: "target/study".into(),
        part: None,
        kimg: 40,
        sizes: vec![60, 200, 1000, 5000],
        seeds: 2,
        jobs: 2,
        lists: false,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = argument.to_string_lossy();
        let mut value = || {
            let value = rest
                .next()
                .map(|value| value.to_string_lossy().into_owned());
            value.ok_or_else(|| usage(format!("{name} needs a value")))
        };
        let number = |text: String| {
            let number = text.parse::<u32>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| usage(format!("{name} '{text}' is not a number above 0")))
        };
        match &*name {
            "-h" | "--help" => return Ok(None),
            "--list" => options.lists = true,
            "--out" => options.out = value()?.into(),
            "--kimg" => options.kimg = number(value()?)?.into(),
            "--seeds" => options.seeds = number(value()?)?,
            "--jobs" => options.jobs = number(value()?)? as usize,
            "--sizes" => {
                let sizes = value()?;
                let sizes = sizes.split(',').map(|size| number(size.to_owned()));
                options.sizes = sizes.collect::<Result<_>>()?;
            }
            "--part" => {
                let part = value()?;
                if !["data", "leak", "character", "freeze"].contains(&&*part) {
                    return Err(usage(format!(
                        "--part '{part}': there are data, leak, character and freeze"
                    )));
                }
                options.part = Some(part);
            }
            _ => return Err(usage(format!("unexpected argument '{name}'"))),
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parsed(text: &str) -> Result<Option<Options>> {
        let arguments: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        parse(&arguments)
    }

    #[test]
    fn every_setting_has_a_run_of_its_own() {
        let options = parsed("--sizes 60,200 --seeds 2").unwrap().unwrap();
        let runs = plan(&options);
        let names: BTreeSet<&str> = runs.iter().map(|run| &run.name[..]).collect();
        assert_eq!(names.len(), runs.len());
        let count = |part: &str| runs.iter().filter(|run| run.part == part).count();
        let counts = ["data", "leak", "character", "freeze"].map(count);
        assert_eq!(counts, [2 * 2 * 4 * 2, 1 + 6 * 3, 2, 2]);
        let only = parsed("--part freeze").unwrap().unwrap();
        assert_eq!(plan(&only).len(), 2);
    }

    #[test]
    fn wrong_options_are_refused() {
        for wrong in [
            "--sizes",
            "--sizes 0",
            "--sizes 60,x",
            "--part all",
            "here",
            "--jobs 0",
        ] {
            assert!(matches!(parsed(wrong), Err(Error::Usage(_))), "{wrong}");
        }
    }
}
