//! Kills `eval run` repeatedly: no result is lost, and the final results equal those of an uninterrupted run.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{ok, write_dataset, write_run};
use rng::RandomState;
use serde_json::Value;

const ARGS: [&str; 9] = [
    "--json",
    "run",
    "00000-faces",
    "--metrics",
    "kid30_full,fid10_full,ppl2_8wend,pr20_3_full",
    "--features",
    "random-inception-small",
    "--bootstrap",
    "2",
];

/// The results by snapshot and metric, from the complete lines of the result files.
fn results(run: &Path) -> BTreeMap<(String, String), Vec<Value>> {
    let mut all: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for entry in std::fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("metric-") && name.ends_with(".jsonl") {
            let text = std::fs::read_to_string(path).unwrap();
            for line in text.lines() {
                if let Ok(line) = serde_json::from_str::<Value>(line) {
                    all.entry(key(&line)).or_default().push(line);
                }
            }
        }
    }
    all
}

fn key(line: &Value) -> (String, String) {
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    (text("snapshot_pkl"), text("metric"))
}

/// Starts the program, waits for `n` result lines and then for `wait`, and kills it. Returns all lines that it printed.
fn killed(root: &Path, n: usize, wait: Duration) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_eval"))
        .current_dir(root)
        .env("KAOGAN_CACHE", root.join("cache"))
        .args(ARGS)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read: Vec<Value> = lines
        .by_ref()
        .take(n)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
    // Lines that it printed before the kill; the last one may be cut off.
    read.extend(lines.filter_map(|line| serde_json::from_str(&line.ok()?).ok()));
    read
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    let run = root.join("00000-faces");
    write_run(&run, &root.join("faces.zip"), None, &[]);

    let mut random = RandomState::new(7);
    let mut known = 0;
    for attempt in 0..10 {
        // Kill at any moment, or right after the next result.
        let (n, wait) = match attempt % 2 {
            0 => (0, random.index(900)),
            _ => (1, random.index(30)),
        };
        let written = killed(root, n, Duration::from_millis(wait as u64));
        let kept = results(&run);
        for line in &written {
            let stored = kept.get(&key(line)).expect("a reported result is stored");
            assert_eq!(stored.last().unwrap(), line);
        }
        // Results stored by an earlier attempt remain, and each attempt adds those that it printed.
        assert!(kept.len() >= known + n.min(12 - known), "{attempt}");
        known = kept.len();
    }
    ok(root, &ARGS);
    let killed = results(&run);

    // An uninterrupted run, with a new cache.
    std::fs::remove_dir_all(root.join("cache")).unwrap();
    for entry in std::fs::read_dir(&run).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "jsonl") && !path.ends_with("stats.jsonl") {
            std::fs::remove_file(path).unwrap();
        }
    }
    ok(root, &ARGS);
    let alone = results(&run);
    assert_eq!(alone.len(), 3 * 4);
    assert!(killed.keys().eq(alone.keys()));
    for (key, lines) in &killed {
        assert_eq!(lines.len(), 1, "{key:?} was measured twice");
        assert_eq!(lines[0]["results"], alone[key][0]["results"], "{key:?}");
        assert_eq!(lines[0]["std"], alone[key][0]["std"], "{key:?}");
    }
}
