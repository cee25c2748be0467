//! The results are the same bytes whatever the number of threads and however often a run is killed; nothing is decoded
//! twice.
#![cfg(unix)]

mod common;

use common::{command, drawing, jpeg, ok};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const SETTINGS: &str = "--detector none --resolution 64 --detail off --blur off";

fn dump(folder: &Path) {
    fs::create_dir_all(folder.join("dump")).unwrap();
    for seed in 0..60u64 {
        // Every fifth image is a worse copy of the one before.
        let (seed_drawn, quality) = if seed % 5 == 4 {
            (seed - 1, 60)
        } else {
            (seed, 90)
        };
        let image = drawing(1000 + seed_drawn, 160);
        fs::write(
            folder.join(format!("dump/{seed:03}.jpg")),
            jpeg(&image, quality),
        )
        .unwrap();
    }
    fs::write(folder.join("dump/broken.jpg"), b"\xff\xd8\xff").unwrap();
}

/// The contents of zip, manifest and report.
fn results(folder: &Path, out: &str) -> [Vec<u8>; 3] {
    [".zip", ".manifest.jsonl", ".report.html"]
        .map(|ending| fs::read(folder.join(format!("{out}{ending}"))).unwrap())
}

#[test]
fn killed_at_random_moments_and_on_any_number_of_threads_the_bytes_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dump(folder);
    ok(
        folder,
        &format!("run dump --out one/x.zip {SETTINGS} --threads 1"),
    );
    let expected = results(folder, "one/x");
    ok(
        folder,
        &format!("run dump --out three/x.zip {SETTINGS} --threads 3"),
    );
    assert!(
        results(folder, "three/x") == expected,
        "three threads give other bytes than one"
    );

    let mut killed = 0;
    for (round, delay) in [3u64, 40, 9, 120, 25, 300, 60, 500].into_iter().enumerate() {
        let threads = 1 + round % 3;
        let mut child = command(
            folder,
            &format!("run dump --out killed/x.zip {SETTINGS} --threads {threads}"),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // A line that is cut short at the end of the journal does no harm either.
        if round == 4 {
            let path = folder.join("killed/x.journal/records.jsonl");
            if let Ok(bytes) = fs::read(&path) {
                fs::write(&path, &bytes[..bytes.len().saturating_sub(7)]).unwrap();
            }
        }
    }
    assert!(killed > 0, "every run ended before it was killed");
    ok(folder, &format!("run dump --out killed/x.zip {SETTINGS}"));
    assert!(
        results(folder, "killed/x") == expected,
        "killed runs end in other bytes"
    );
}

#[test]
fn other_thresholds_decode_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dump(folder);
    let measured = |more: &str| -> (u64, u64) {
        let text = ok(
            folder,
            &format!("run dump --out x.zip {SETTINGS} --json {more}"),
        );
        let summary: serde_json::Value =
            serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (
            summary["n_measured"].as_u64().unwrap(),
            summary["n_kept"].as_u64().unwrap(),
        )
    };
    let (first, kept) = measured("");
    assert_eq!(first, 61);
    assert_eq!(kept, 48, "60 images, every fifth a copy");
    assert_eq!(
        measured("--chroma 40 --blank 0.5 --radius 4 --max-variants 0").0,
        0
    );
    assert_eq!(measured("--dedup off"), (0, 60));
    assert_eq!(measured("--png-level 3 --max-upscale 1"), (0, kept));
    // A changed file is measured again, and it alone.
    fs::write(folder.join("dump/000.jpg"), jpeg(&drawing(5000, 160), 90)).unwrap();
    assert_eq!(measured("").0, 1);
    // A damaged journal is repaired: the image is measured again.
    let blobs = folder.join("x.journal/blobs.bin");
    let mut bytes = fs::read(&blobs).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&blobs, bytes).unwrap();
    assert!(measured("").0 <= 1);
    ok(folder, "verify x.zip");
    // A setting that changes pixels makes every measurement anew.
    assert_eq!(measured("--matte 000000").0, 61);
}

#[test]
fn what_the_system_did_not_read_is_read_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dump(folder);
    let mut list = String::new();
    for seed in 0..60 {
        list += &format!("dump/{seed:03}.jpg\n");
    }
    fs::write(folder.join("list.txt"), list).unwrap();
    let run = |out: &str| format!("run @list.txt --out {out}/x.zip {SETTINGS}");
    ok(folder, &run("alone"));
    let expected = results(folder, "alone/x");

    // A part of the dump is missing.
    fs::create_dir(folder.join("away")).unwrap();
    let go = |from: &str, to: &str| {
        for seed in 0..5 {
            let name = format!("{seed:03}.jpg");
            fs::rename(folder.join(from).join(&name), folder.join(to).join(&name)).unwrap();
        }
    };
    go("dump", "away");
    let output = command(folder, &run("later")).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("5 of 60 inputs could not be read") && error.contains("000.jpg"),
        "{error}"
    );
    assert!(!folder.join("later/x.zip").exists());
    let manifest = fs::read_to_string(folder.join("later/x.manifest.jsonl")).unwrap();
    assert_eq!(manifest.matches("\"read_error\"").count(), 5);

    go("away", "dump");
    ok(folder, &run("later"));
    assert!(results(folder, "later/x") == expected);

    // When few files are missing, the others are packed.
    fs::rename(folder.join("dump/007.jpg"), folder.join("away/007.jpg")).unwrap();
    let said = ok(folder, &run("later"));
    assert!(said.contains("1 could not be read this time"), "{said}");
    fs::rename(folder.join("away/007.jpg"), folder.join("dump/007.jpg")).unwrap();
    ok(folder, &run("later"));
    assert!(results(folder, "later/x") == expected);
}
