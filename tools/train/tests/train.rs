//! Runs the binary: whole runs, kills at random moments, signals, closed pipes, a dry run, the augmentation preview.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{METRICS, RUN, SIDE, finished, folder, lines, read, run_dir, train};
use dataset::Image;
use rng::RandomState;

/// Number of kills in the kill test. Set `KAOGAN_KILLS` for more: `KAOGAN_KILLS=20 cargo test -p train kill`.
fn n_kills() -> usize {
    let number = std::env::var("KAOGAN_KILLS").ok();
    number.and_then(|n| n.parse().ok()).unwrap_or(3)
}

#[test]
fn kills_at_random_moments_lose_at_most_a_tick_and_change_nothing() {
    let dir = folder();
    let dir = dir.path();
    finished(train(dir, &format!("{RUN} {METRICS} --outdir whole")));
    let whole = run_dir(&dir.join("whole"));
    let last = "network-snapshot-000002.safetensors";
    let expected = read(&whole, last);
    let expected_stats = lines(&whole, "stats.jsonl");
    let results = |run: &Path| -> Vec<_> {
        let lines = lines(run, "metric-fid20_full.jsonl").into_iter();
        lines
            .map(|line| (line["snapshot_pkl"].clone(), line["results"].clone()))
            .collect()
    };
    let expected_results = results(&whole);
    assert_eq!(expected_results.len(), 2);

    let mut random = RandomState::new(7);
    let mut kills = 0;
    let mut attempt = 0;
    while kills < n_kills() {
        let outdir = format!("killed{attempt}");
        attempt += 1;
        let mut arguments = format!("{RUN} {METRICS} --outdir {outdir}");
        let mut seen = 0;
        loop {
            let mut child = train(dir, &arguments).spawn().unwrap();
            let wait = Duration::from_millis(20 + random.index(2000) as u64);
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
                true => run_folder::state_files(&run_dir(&run)).unwrap(),
                false => Vec::new(),
            };
            if let Some(newest) = states.last() {
                let nimg = run_folder::state_nimg(newest).unwrap();
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
        assert!(read(&run, last) == expected);
        assert_eq!(results(&run), expected_results);
        // No tick is written twice, and none is missing.
        let stats = lines(&run, "stats.jsonl");
        assert_eq!(stats.len(), expected_stats.len());
        for (line, expected) in stats.iter().zip(&expected_stats) {
            for name in ["Loss/D/loss", "Loss/pl_penalty", "Progress/diversity"] {
                assert_eq!(line[name], expected[name], "{name}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_saves_the_state_and_leaves_with_its_code() {
    use std::os::unix::process::CommandExt;
    let dir = folder();
    let dir = dir.path();
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let endless = RUN.replace("--kimg 2", "--kimg 2000");
        let mut command = train(dir, &format!("{endless} --outdir runs{signal}"));
        // Programs in the background of a script ignore Ctrl-C, and so do their children.
        // SAFETY: `signal` may be called between fork and exec.
        unsafe {
            command.pre_exec(move || match libc::signal(signal, libc::SIG_DFL) {
                libc::SIG_ERR => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let mut child = command.spawn().unwrap();
        // Training has begun when tick 0 is in the log.
        let begun = || {
            let run = run_folder::run_dirs(&dir.join(format!("runs{signal}"))).ok()?;
            let (_, run) = run.into_iter().next()?;
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
        let before = run_folder::state_files(&run).unwrap();
        // Wait for some steps, so that there is a new state to save.
        std::thread::sleep(Duration::from_secs(2));
        // SAFETY: a signal to a child that this test started.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_ne!(run_folder::state_files(&run).unwrap(), before);
    }
}

/// The reader closes the pipe, as in `train ... 2>&1 | head -1`.
#[cfg(unix)]
#[test]
fn a_reader_that_leaves_ends_nothing() {
    use std::process::Stdio;
    let dir = folder();
    let arguments = format!("{RUN} --outdir runs").replace("--quiet", "-v");
    let mut child = train(dir.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = read(&run_dir(&dir.path().join("runs")), "log.txt");
    assert!(String::from_utf8(log).unwrap().ends_with("Exiting...\n"));
}

#[test]
fn a_dry_run_measures_and_leaves_nothing() {
    let dir = folder();
    let dir = dir.path();
    let output = finished(train(dir, &format!("{RUN} --outdir runs --dry-run --json")));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["config"]["batch_size"], 8);
    assert!(result["sec_per_kimg"].as_f64().unwrap() > 0.0);
    assert!(!dir.join("runs").exists());
}

/// The prediction is within the stated factor of 2, for networks and batches that take much more memory than the
/// program.
#[cfg(target_os = "linux")]
#[test]
fn predicted_memory_is_what_a_step_takes() {
    let dir = folder();
    for sizes in [
        "--cbase 512 --cmax 64 --batch 32",
        "--cbase 2048 --cmax 128 --batch 16",
        "--cbase 1024 --cmax 64 --batch 16",
    ] {
        let arguments = format!("--data faces.zip --cfg tiny32 {sizes} --dry-run --json --quiet");
        let output = finished(train(dir.path(), &arguments));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let predicted = result["predicted_memory_bytes"]["total"].as_f64().unwrap();
        let peak = result["peak_memory_bytes"].as_f64().unwrap();
        let factor = peak / predicted;
        println!(
            "{sizes}: {:.0} MB, {factor:.2} of the prediction",
            peak / 1e6
        );
        assert!((0.5..2.0).contains(&factor), "{sizes}: {factor:.2}");
    }
}

#[test]
fn the_augment_preview_shows_images_and_their_augmentations() {
    let dir = folder();
    let dir = dir.path();
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
    // With probability 0 all columns are equal; with 0.9 only the first column is unchanged.
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
