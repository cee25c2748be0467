//! Memory stays within its budget, and an image at which the program dies does not stop the next run.
#![cfg(target_os = "linux")]

mod common;

use common::{command, drawing, encode, encode_any, input, manifest, ok};
use image::{DynamicImage, ImageFormat, RgbImage};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SETTINGS: &str =
    "--detector none --resolution 64 --detail off --blur off --dedup off --chroma off --blank off";

/// A large image in a small file.
fn large_png(path: &Path, side: u32) {
    let image = RgbImage::from_fn(side, side, |x, y| {
        image::Rgb([(x * 256 / side) as u8, (y * 256 / side) as u8, 90])
    });
    fs::write(path, encode(&image, ImageFormat::Png)).unwrap();
}

/// Runs `prep` with an address space of at most `mib` MiB.
fn prep_within(folder: &Path, mib: usize, args: &str) -> Output {
    Command::new("sh")
        .current_dir(folder)
        .args(["-c", "ulimit -v \"$1\"; shift; exec \"$@\"", "sh"])
        .arg((mib * 1024).to_string())
        .arg(env!("CARGO_BIN_EXE_prep"))
        .args(args.split_whitespace())
        .output()
        .unwrap()
}

#[test]
fn an_image_of_which_the_program_dies_is_tried_apart_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("dump")).unwrap();
    for seed in 0..6 {
        let png = encode(&drawing(seed, 96), ImageFormat::Png);
        fs::write(folder.join(format!("dump/{seed}.png")), png).unwrap();
    }
    large_png(&folder.join("dump/large.png"), 9000);
    let run = format!("run dump --out x.zip {SETTINGS} --threads 2");
    let first = prep_within(folder, 350, &run);
    assert_eq!(first.status.code(), None, "it should die: {first:?}");
    let second = prep_within(folder, 350, &run);
    assert!(second.status.success(), "{second:?}");
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let large = input(&lines, "large.png");
    assert_eq!(large["reason"], "crashed", "{large}");
    let detail = large["detail"].as_str().unwrap();
    assert!(
        detail.contains("signal 6") && detail.contains("memory"),
        "{detail}"
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line["face"].is_null() && line["decision"] == "kept")
            .count(),
        6
    );

    // A later run has more memory.
    ok(folder, &run);
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    assert_eq!(input(&lines, "large.png")["decision"], "kept");
}

#[test]
fn who_is_stopped_from_outside_is_not_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("dump")).unwrap();
    large_png(&folder.join("dump/a.png"), 6000);
    let run = format!("run dump --out x.zip {SETTINGS} --threads 1");
    let attempts = folder.join("x.journal/attempts.jsonl");
    for signal in ["-KILL", "-KILL", "-TERM"] {
        let before = fs::metadata(&attempts).ok().map(|found| found.ino());
        let mut child = command(folder, &run)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let is_begun = || {
            let found = fs::metadata(&attempts);
            found.is_ok_and(|found| found.len() > 0 && Some(found.ino()) != before)
        };
        while !is_begun() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let kill = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        child.wait().unwrap();
        assert_eq!(attempts.exists(), signal == "-KILL", "{signal}");
    }
    ok(folder, &run);
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    assert_eq!(input(&lines, "a.png")["decision"], "kept");
    assert!(!attempts.exists() || fs::metadata(&attempts).unwrap().len() > 0);
}

/// The largest resident memory of a run of `prep`, in MiB.
fn peak_mib(folder: &Path, args: &str) -> u64 {
    let mut child = command(folder, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Read while the program runs: before and after that, the system counts the memory of this test too.
    let of = |file: &str| format!("/proc/{}/{file}", child.id());
    let (program, status) = (of("exe"), of("status"));
    let mut peak = 0;
    loop {
        let is_prep = fs::read_link(&program).is_ok_and(|path| path.ends_with("prep"));
        let text = is_prep.then(|| fs::read_to_string(&status).ok()).flatten();
        let text = text.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "prep {args}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn all_threads_together_stay_within_the_memory_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, side, n) in [("small", 64, 1), ("large", 4000, 8)] {
        fs::create_dir(folder.join(name)).unwrap();
        large_png(&folder.join(name).join("0.png"), side);
        for i in 1..n {
            let path = |i: usize| folder.join(format!("{name}/{i}.png"));
            fs::copy(path(0), path(i)).unwrap();
        }
    }
    let run = |input: &str, out: &str, memory: &str| {
        let args = format!("run {input} --out {out}.zip {SETTINGS} --threads 8 --memory {memory}");
        peak_mib(folder, &args)
    };
    let least = run("small", "small", "10G");
    let free = run("large", "free", "10G");
    let bound = run("large", "bound", "300M");
    println!("{least} MiB without work, {free} without a limit, {bound} with 300");
    assert!(
        bound <= least + 300,
        "{bound} MiB, {least} MiB without work"
    );
    assert!(
        free > bound + 100,
        "{free} MiB without a limit, {bound} MiB with one"
    );
    let zips = ["free.zip", "bound.zip"].map(|zip| fs::read(folder.join(zip)).unwrap());
    assert!(zips[0] == zips[1], "the limit changes the result");

    // An image that needs more is dropped by this run, and kept by the next one, which has more memory.
    ok(
        folder,
        &format!("run large small --out few.zip {SETTINGS} --memory 50M"),
    );
    let lines = manifest(&folder.join("few.manifest.jsonl"));
    let line = input(&lines, "large/0.png");
    assert_eq!(line["reason"], "too_large", "{line}");
    assert!(
        line["detail"].as_str().unwrap().contains("--memory"),
        "{line}"
    );
    ok(
        folder,
        &format!("run large small --out few.zip {SETTINGS} --memory 1G"),
    );
    let lines = manifest(&folder.join("few.manifest.jsonl"));
    assert_eq!(input(&lines, "large/0.png")["decision"], "kept");
}

#[test]
fn the_need_of_every_format_is_known_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let side = 3000;
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 11;
    let rgb = DynamicImage::ImageRgb8(RgbImage::from_fn(side, side, |x, y| {
        image::Rgb([noise(x, y) as u8, noise(y, x) as u8, (x / 16) as u8])
    }));
    fs::create_dir(folder.join("least")).unwrap();
    large_png(&folder.join("least/0.png"), 64);
    let least = peak_mib(
        folder,
        &format!("run least --out least.zip {SETTINGS} --threads 1"),
    );
    let files = [
        ("png", encode_any(&rgb, ImageFormat::Png)),
        (
            "png-16",
            encode_any(
                &DynamicImage::ImageRgba16(rgb.to_rgba16()),
                ImageFormat::Png,
            ),
        ),
        (
            "png-gray",
            encode_any(&DynamicImage::ImageLuma8(rgb.to_luma8()), ImageFormat::Png),
        ),
        ("jpeg", encode_any(&rgb, ImageFormat::Jpeg)),
        ("webp", encode_any(&rgb, ImageFormat::WebP)),
        ("bmp", encode_any(&rgb, ImageFormat::Bmp)),
        ("gif", encode_any(&rgb, ImageFormat::Gif)),
        ("tiff", encode_any(&rgb, ImageFormat::Tiff)),
        (
            "tiff-16",
            encode_any(
                &DynamicImage::ImageRgba16(rgb.to_rgba16()),
                ImageFormat::Tiff,
            ),
        ),
    ];
    for (name, bytes) in files {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("0"), &bytes).unwrap();
        let peak = peak_mib(
            folder,
            &format!("run {name} --out {name}.zip {SETTINGS} --threads 1"),
        );
        let needed = decode::memory_needed(&bytes, &decode::DecodeOptions::default());
        let predicted = (needed + bytes.len() as u64) >> 20;
        println!(
            "{name}: {} MiB above {least}, {predicted} predicted",
            peak - least
        );
        assert!(
            peak <= least + predicted,
            "{name}: {peak} {least} {predicted}"
        );
        // An estimate far too high would keep threads waiting for nothing.
        assert!(
            predicted <= 4 * (peak - least),
            "{name}: {peak} {least} {predicted}"
        );
    }
}
