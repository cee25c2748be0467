//! The binary: a run, kills at random moments, bad input.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use dataset::{DatasetWriter, Image, WriterOptions};
use rng::RandomState;

const SIDE: usize = 16;

fn write_faces(path: &Path) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for idx in 0..24 {
        let value = |i: usize| (i * (31 + 2 * idx) + idx * 17 + i * i / 7) as u8;
        let image = Image {
            width: SIDE,
            height: SIDE,
            channels: 3,
            pixels: (0..SIDE * SIDE * 3).map(value).collect(),
        };
        writer.add(idx, &image, None).unwrap();
    }
    writer.finish().unwrap();
}

fn train(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(dir).args(arguments.split_whitespace());
    command
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    output
}

/// A short run of a tiny network: 2 kimg in ticks of 1.
const RUN: &str = "--data faces.zip --cfg tiny32 --batch 8 --cbase 64 --cmax 8 --kimg 2 --tick 1 --snap 1 \
                   --state-every 1 --grid 2x2 --augpipe bgc --mirror --quiet";

fn run_dir(outdir: &Path) -> PathBuf {
    let mut runs = std::fs::read_dir(outdir).unwrap();
    runs.next().unwrap().unwrap().path()
}

/// How many times the kill test kills; more by hand: `KAOGAN_KILLS=20 cargo test -p train kill`.
fn n_kills() -> usize {
    let number = std::env::var("KAOGAN_KILLS").ok();
    number.and_then(|n| n.parse().ok()).unwrap_or(3)
}

#[test]
fn kills_at_random_moments_lose_at_most_a_tick_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_faces(&dir.join("faces.zip"));
    finished(train(dir, &format!("{RUN} --outdir whole")));
    let whole = run_dir(&dir.join("whole"));
    let last = "network-snapshot-000002.safetensors";
    let expected = std::fs::read(whole.join(last)).unwrap();
    let expected_stats = std::fs::read_to_string(whole.join("stats.jsonl")).unwrap();

    let mut random = RandomState::new(7);
    let mut kills = 0;
    let mut attempt = 0;
    while kills < n_kills() {
        let outdir = format!("killed{attempt}");
        attempt += 1;
        let mut arguments = format!("{RUN} --outdir {outdir}");
        let mut seen = 0;
        loop {
            let mut child = train(dir, &arguments).spawn().unwrap();
            let wait = Duration::from_millis(20 + random.index(1500) as u64);
            std::thread::sleep(wait);
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let run = dir.join(&outdir);
            let states = match run.exists() {
                true => training::state_files(&run_dir(&run)).unwrap(),
                false => Vec::new(),
            };
            if let Some(newest) = states.last() {
                let path = newest.file_stem().unwrap().to_string_lossy().into_owned();
                let nimg: usize = path.rsplit('-').next().unwrap().parse().unwrap();
                assert!(nimg >= seen, "a kill lost a saved state");
                seen = nimg;
                arguments = format!("--resume latest --outdir {outdir} --quiet");
            } else {
                std::fs::remove_dir_all(&run).ok();
            }
            if kills >= n_kills() {
                finished(train(dir, &arguments));
                break;
            }
        }
        let run = run_dir(&dir.join(&outdir));
        assert!(std::fs::read(run.join(last)).unwrap() == expected);
        // No tick is told twice, and none is missing.
        let stats = std::fs::read_to_string(run.join("stats.jsonl")).unwrap();
        assert_eq!(stats.lines().count(), expected_stats.lines().count());
        let losses = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            [line["Loss/D/loss"].clone(), line["Loss/pl_penalty"].clone()]
        };
        for (line, expected) in stats.lines().zip(expected_stats.lines()) {
            assert_eq!(losses(line), losses(expected));
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_saves_the_state_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_faces(&dir.join("faces.zip"));
    let endless = RUN.replace("--kimg 2", "--kimg 2000");
    let arguments = format!("{endless} --outdir runs");
    let mut child = train(dir, &arguments).spawn().unwrap();
    // The first lines of the log are there when it trains.
    let begun = || {
        let mut entries = std::fs::read_dir(dir.join("runs")).ok()?;
        let run = entries.next()?.ok()?.path();
        let log = std::fs::read_to_string(run.join("log.txt")).ok()?;
        log.contains("tick 0").then_some(run)
    };
    let run = loop {
        match begun() {
            Some(run) => break run,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let pid = i32::try_from(child.id()).unwrap();
    let before = training::state_files(&run).unwrap();
    // SAFETY: a signal to a child that this test started.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert!(child.wait().unwrap().success());
    assert_ne!(training::state_files(&run).unwrap(), before);
}

#[test]
fn bad_input_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_faces(&dir.join("faces.zip"));
    std::fs::write(dir.join("broken.zip"), b"PK nothing").unwrap();
    std::fs::write(dir.join("state.safetensors"), b"short").unwrap();
    let cases: [(&str, i32, &[&str]); 12] = [
        ("--outdir r", 1, &["--data", "prep"]),
        ("--data faces.zip", 1, &["--outdir"]),
        ("--data none.zip --outdir r", 1, &["none.zip"]),
        ("--data broken.zip --outdir r", 1, &["broken.zip"]),
        ("--data faces.zip --outdir r --cfg tiny", 1, &["tiny32"]),
        ("--data faces.zip --outdir r --augpipe blot", 1, &["blot"]),
        ("--data faces.zip --outdir r --aug some", 2, &["noaug"]),
        ("--data faces.zip --outdir r --cond", 1, &["cond"]),
        (
            "--data faces.zip --outdir r --batch 6 --batch-gpu 4",
            1,
            &["batch-gpu"],
        ),
        ("--data faces.zip --outdir r --device cuda:0", 1, &["cpu"]),
        ("--resume latest --outdir r", 1, &["--resume"]),
        ("--resume state.safetensors", 1, &["state.safetensors"]),
    ];
    for (arguments, code, words) in cases {
        let output = train(dir, arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        for word in words {
            assert!(text.contains(word), "{arguments}: {text}");
        }
    }
    assert!(!dir.join("r").exists(), "nothing was begun");
}

#[test]
fn a_dry_run_measures_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_faces(&dir.join("faces.zip"));
    let output = finished(train(dir, &format!("{RUN} --outdir runs --dry-run --json")));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["config"]["batch_size"], 8);
    assert!(result["sec_per_kimg"].as_f64().unwrap() > 0.0);
    assert!(!dir.join("runs").exists());
}

#[test]
fn the_augment_sheet_shows_the_pictures_and_what_becomes_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_faces(&dir.join("faces.zip"));
    let sheet = |p: f64| {
        finished(train(
            dir,
            &format!(
                "augment-preview --data faces.zip --augpipe blit,geom --p {p} --grid 4x3 --out s.png"
            ),
        ));
        let image = dataset::decode(&std::fs::read(dir.join("s.png")).unwrap()).unwrap();
        assert_eq!((image.width, image.height), (4 * SIDE, 3 * SIDE));
        image
    };
    // Without augmentation all columns are the same; with it the first one stays.
    let (plain, augmented) = (sheet(0.0), sheet(0.9));
    let column = |image: &Image, i: usize| -> Vec<u8> {
        let row_len = image.width * 3;
        let rows = image.pixels.chunks_exact(row_len);
        rows.flat_map(|row| row[i * SIDE * 3..(i + 1) * SIDE * 3].to_vec())
            .collect()
    };
    assert_eq!(column(&plain, 0), column(&plain, 3));
    assert_eq!(column(&plain, 0), column(&augmented, 0));
    assert_ne!(column(&augmented, 0), column(&augmented, 3));
}
