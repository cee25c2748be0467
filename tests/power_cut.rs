//! Power cuts: of files that grow, what was not synced is lost, cut or reads as zeros. Every tool ends with the bytes of
//! a run that nothing happened to.
//!
//! Files under their final names are whole, since they are synced before they are renamed; what grows is the journal of
//! `prep`, the logs of `train` and the results of `eval`. `KAOGAN_POWER_CUTS=100` makes 100 cuts for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::{call, finished, pack_faces};
use serde_json::Value;

fn n_cuts() -> u64 {
    let asked = std::env::var("KAOGAN_POWER_CUTS").ok();
    asked.map_or(6, |n| n.parse().expect("KAOGAN_POWER_CUTS is a number"))
}

/// SplitMix64: the same cuts each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Damages the end of a file from a random byte on, at least `synced` bytes from its start. Returns what was done.
fn cut(path: &Path, synced: u64, random: &mut Random) -> String {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len() as u64;
    let at = (synced + random.below((length - synced.min(length)) + 1)).min(length) as usize;
    let what = match random.below(4) {
        0 => "left",
        1 => {
            bytes.truncate(at);
            "cut"
        }
        2 => {
            bytes[at..].fill(0);
            "zeroed"
        }
        // Blocks are written in any order: one of them is missing, what follows is there.
        _ => {
            let end = (at + 64).min(bytes.len());
            bytes[at..end].fill(0);
            "holed"
        }
    };
    fs::write(path, bytes).unwrap();
    format!("{} {what} at {at} of {length}", path.display())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => _ = fs::copy(&path, &target).unwrap(),
        }
    }
}

/// The first line that differs.
fn first_difference(found: &[u8], expected: &[u8]) -> String {
    let lines = |bytes| {
        String::from_utf8_lossy(bytes)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (found, expected) = (lines(found), lines(expected));
    let same = found
        .iter()
        .zip(&expected)
        .take_while(|(a, b)| a == b)
        .count();
    format!(
        "line {same}: {:?} instead of {:?}",
        found.get(same),
        expected.get(same)
    )
}

fn grows(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.ends_with(".jsonl") || name.ends_with(".txt") || name.contains(".tfevents.")
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// A dataset that nothing happened to, and runs of `prep` on damaged copies of its journal.
struct Prep {
    folder: tempfile::TempDir,
    expected: [Vec<u8>; 3],
}

impl Prep {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        synthetic_dump::Dump::with_works(0, 12)
            .write_to(&folder.path().join("dump"), |_| {})
            .unwrap();
        let mut prep = Self {
            folder,
            expected: Default::default(),
        };
        prep.expected = prep.run("alone");
        prep
    }

    /// Packs into a folder; the results.
    fn run(&self, out: &str) -> [Vec<u8>; 3] {
        let dir = self.folder.path();
        let args = format!(
            "run dump/pictures --detector boxes:dump/boxes.jsonl --out {out}/faces.zip --resolution 32 --quiet"
        );
        finished(call(dir, "prep", &args));
        ["zip", "manifest.jsonl", "report.html"]
            .map(|ending| fs::read(dir.join(out).join(format!("faces.{ending}"))).unwrap())
    }

    /// Damages a copy of the journal and goes on from it: the results must be the same.
    fn goes_on_from(&self, damage: impl FnOnce(&Path) -> String) {
        let dir = self.folder.path();
        let _ = fs::remove_dir_all(dir.join("cut"));
        let journal = dir.join("cut/faces.journal");
        copy(&dir.join("alone/faces.journal"), &journal);
        let done = damage(&journal);
        for (found, expected) in self.run("cut").iter().zip(&self.expected) {
            assert!(
                found == expected,
                "{done}: {}",
                first_difference(found, expected)
            );
        }
    }
}

#[test]
fn prep_packs_the_same_dataset() {
    let prep = Prep::new();
    let mut random = Random(1);
    for i in 0..n_cuts() {
        prep.goes_on_from(|journal| {
            let paths = files_in(journal);
            let done: Vec<String> = paths.iter().map(|path| cut(path, 0, &mut random)).collect();
            format!("cut {i}: {done:?}")
        });
    }
}

/// Crops are read when they are packed, some thumbs only for the report.
#[test]
fn prep_measures_again_whatever_part_of_a_journal_is_damaged() {
    let prep = Prep::new();
    let blobs = prep.folder.path().join("alone/faces.journal/blobs.bin");
    let length = fs::metadata(blobs).unwrap().len();
    // A thumb has 96 x 96 pixels of 3 bytes: every second one is hit.
    for at in (100..length).step_by(2 * 96 * 96 * 3) {
        prep.goes_on_from(|journal| {
            let path = journal.join("blobs.bin");
            let mut bytes = fs::read(&path).unwrap();
            bytes[at as usize] ^= 1;
            fs::write(path, bytes).unwrap();
            format!("a bit of byte {at} of {length}")
        });
    }
}

/// What of a training run does not depend on the clock.
fn outcome(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut outcome = BTreeMap::new();
    for path in files_in(run) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".png") || name.starts_with("network-snapshot-") {
            outcome.insert(name, fs::read(&path).unwrap());
        } else if name == "stats.jsonl" {
            let lines = lines(&path).into_iter().map(|line| {
                let stats = line.as_object().unwrap().iter();
                let of_training = stats.filter(|(key, _)| {
                    key.starts_with("Loss/") || key.starts_with("Progress/kimg")
                });
                of_training
                    .map(|(key, value)| format!("{key} {value}\n"))
                    .collect::<String>()
            });
            outcome.insert(name, lines.collect::<String>().into_bytes());
        } else if name.starts_with("metric-") {
            // A result that was lost is made later than those behind it.
            let mut results: Vec<String> = lines(&path)
                .into_iter()
                .map(|line| format!("{} {}\n", line["snapshot_pkl"], line["results"]))
                .collect();
            results.sort();
            outcome.insert(name, results.concat().into_bytes());
        }
    }
    outcome
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

/// The lengths that growing files had when a state was saved, from the header of its safetensors file.
fn synced_lengths(state: &Path) -> BTreeMap<String, u64> {
    let bytes = fs::read(state).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let texts = header["__metadata__"].as_object().unwrap();
    let lengths = texts.values().find_map(|text| {
        let value: Value = serde_json::from_str(text.as_str()?).ok()?;
        serde_json::from_value(value["progress"]["file_lengths"].clone()).ok()
    });
    lengths.expect("a state tells the lengths")
}

/// The length of the results up to a state: each is synced before the next state is saved.
fn measured_length(path: &Path, nimg: Option<u64>) -> u64 {
    let nimg = nimg.expect("a state has its number in its name");
    let text = fs::read_to_string(path).unwrap();
    let is_earlier = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["snapshot_pkl"].as_str().unwrap().to_owned();
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        1000 * digits.parse::<u64>().unwrap() <= nimg
    };
    let lines = text.split_inclusive('\n').take_while(is_earlier);
    lines.map(|line| line.len() as u64).sum()
}

#[test]
fn train_ends_with_the_same_networks_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pack_faces(dir, 12);
    let args = "--data faces.zip --cfg tiny32 --cbase 32 --cmax 4 --batch 8 --kimg 3 --tick 1 --snap 1 --state-every 1 \
                --keep-states 9 --grid 2x2 --metrics fid20_full --features random-inception-small --outdir alone --quiet";
    finished(call(dir, "train", args));
    let (_, alone) = run_folder::run_dirs(&dir.join("alone"))
        .unwrap()
        .pop()
        .unwrap();
    let expected = outcome(&alone);
    assert!(expected.len() > 8, "{:?}", expected.keys());
    let states = run_folder::state_files(&alone).unwrap();
    assert!(states.len() > 2, "{states:?}");
    let mut random = Random(2);
    for i in 0..n_cuts() {
        let cut_runs = dir.join("cut");
        let _ = fs::remove_dir_all(&cut_runs);
        let run = cut_runs.join(alone.file_name().unwrap());
        copy(&alone, &run);
        // The cut comes between this state and the next.
        let n_left = 1 + random.below(states.len() as u64 - 1) as usize;
        let mut oldest_first = states.clone();
        oldest_first.sort();
        for lost in &oldest_first[n_left..] {
            fs::remove_file(run.join(lost.file_name().unwrap())).unwrap();
        }
        let newest = &oldest_first[n_left - 1];
        let synced = synced_lengths(&run.join(newest.file_name().unwrap()));
        let mut done = vec![format!("{n_left} states")];
        for path in files_in(&run).iter().filter(|path| grows(path)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let known = match name.starts_with("metric-") {
                true => measured_length(path, run_folder::state_nimg(newest)),
                false => synced.get(&name).copied().unwrap_or(0),
            };
            done.push(cut(path, known, &mut random));
        }
        finished(call(dir, "train", "--resume latest --outdir cut --quiet"));
        let found = outcome(&run);
        for (name, bytes) in &expected {
            let text = |bytes: Option<&Vec<u8>>| {
                let is_text = name.ends_with(".jsonl");
                bytes
                    .filter(|_| is_text)
                    .map(|b| String::from_utf8_lossy(b).into_owned())
            };
            assert!(
                found.get(name) == Some(bytes),
                "cut {i}: {name} differs after {done:?}: {:?} instead of {:?}",
                text(found.get(name)),
                text(Some(bytes))
            );
        }
    }
}

#[test]
fn eval_measures_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pack_faces(dir, 12);
    let args = "--data faces.zip --cfg tiny32 --cbase 32 --cmax 4 --batch 8 --kimg 2 --tick 1 --snap 1 --grid 2x2 \
                --metrics none --outdir runs --quiet";
    finished(call(dir, "train", args));
    let (_, run) = run_folder::run_dirs(&dir.join("runs"))
        .unwrap()
        .pop()
        .unwrap();
    let measure = || {
        let args = format!(
            "run {} --metrics fid20_full,kid20_full --features random-inception-small --quiet",
            run.display()
        );
        finished(call(dir, "eval", &args));
    };
    let results = || {
        let mut results = BTreeMap::new();
        for path in files_in(&run) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("metric-") {
                for line in lines(&path) {
                    let key = format!("{name} {}", line["snapshot_pkl"]);
                    let before = results.insert(key, line["results"].to_string());
                    assert_eq!(before, None, "{name} has a result twice");
                }
            }
        }
        results
    };
    measure();
    let expected = results();
    assert!(expected.len() >= 6, "{expected:?}");
    let mut random = Random(3);
    for i in 0..n_cuts() {
        let mut done = Vec::new();
        for path in files_in(&run) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("metric-") {
                done.push(cut(&path, 0, &mut random));
            }
        }
        measure();
        assert_eq!(results(), expected, "cut {i}: {done:?}");
    }
}
