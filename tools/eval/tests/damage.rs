//! Runs the program on damaged or unusual input: damaged logs, event files of TensorFlow, equal images, a cache that
//! cannot be written.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{SIDE, write_folder, write_run};
use crc::{CRC_32_ISCSI, Crc};
use serde_json::Value;

fn eval_with_cache(folder: &Path, cache: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eval"))
        .current_dir(folder)
        .env("KAOGAN_CACHE", cache)
        .args(args)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `compare` and returns its JSON, its warnings and its page.
fn compare(root: &Path, run: &str) -> (Value, String, String) {
    let cache = root.join("cache");
    let args = ["--json", "compare", run, "--out", "page.html"];
    let output = eval_with_cache(root, &cache, &args);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let json = serde_json::from_slice(&output.stdout).unwrap();
    let page = std::fs::read_to_string(root.join("page.html")).unwrap();
    (json, told, page)
}

fn points(root: &Path, plot: &str) -> Vec<(f64, f64)> {
    let path = root.join("page-plots").join(format!("{plot}.csv"));
    let csv = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = csv.lines().skip(1).map(|line| {
        let words: Vec<&str> = line.split(',').collect();
        (words[1].parse().unwrap(), words[2].parse().unwrap())
    });
    lines.collect()
}

/// Encodes a message as a record of an event file.
fn record(content: &[u8]) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI);
    let masked = |bytes: &[u8]| {
        let sum = crc.checksum(bytes).rotate_right(15);
        sum.wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (content.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), content, &masked(content)].concat()
}

/// Encodes a protobuf `Event` with one scalar.
fn event(step: u64, wall_time: f64, tag: &str, value: f32) -> Vec<u8> {
    let message =
        |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let value = [&[0x15][..], &value.to_le_bytes()].concat();
    let value = [message(1, tag.as_bytes()), value].concat();
    let mut number = vec![0x10];
    let mut step = step;
    while step >= 0x80 {
        number.push(step as u8 | 0x80);
        step >>= 7;
    }
    number.push(step as u8);
    let time = [&[0x09][..], &wall_time.to_le_bytes()].concat();
    record(&[time, number, message(5, &message(1, &value))].concat())
}

fn version(wall_time: f64) -> Vec<u8> {
    record(
        &[
            &[0x09][..],
            &wall_time.to_le_bytes(),
            &[0x1a, 13],
            b"brain.Event:2",
        ]
        .concat(),
    )
}

#[test]
fn events_of_tensorflow_are_plotted_at_their_kimg_and_hours() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let run = root.join("00003-stylegan2-ada-tf");
    std::fs::create_dir(&run).unwrap();
    let start = 1_700_000_000.0;
    let tag = "Loss/scores/real";
    let events = [
        version(start),
        event(0, start + 60.0, tag, 0.25),
        event(100_000, start + 1800.0, tag, 0.5),
        event(200_000, start + 3600.0, tag, 0.75),
    ];
    std::fs::write(
        run.join("events.out.tfevents.1700000000.host"),
        events.concat(),
    )
    .unwrap();
    let line = "{\"results\": {\"fid50k_full\": 12.5}, \"metric\": \"fid50k_full\", \"snapshot_pkl\": \"network-snapshot-000200.pkl\"}\n";
    std::fs::write(run.join("metric-fid50k_full.jsonl"), line).unwrap();
    let (json, told, _) = compare(root, "00003-stylegan2-ada-tf");
    assert_eq!(json["warnings"], serde_json::json!([]), "{told}");
    assert_eq!(
        points(root, "Loss_scores_real_by_kimg"),
        [(0.0, 0.25), (100.0, 0.5), (200.0, 0.75)]
    );
    assert_eq!(points(root, "fid50k_full_by_kimg"), [(200.0, 12.5)]);
    assert_eq!(points(root, "fid50k_full_by_minutes"), [(60.0, 12.5)]);
}

#[test]
fn damaged_records_of_events_are_counted_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let run = root.join("run");
    std::fs::create_dir(&run).unwrap();
    let mut wrong = event(8, 120.0, "Loss/G/loss", 2.0);
    let last = wrong.len() - 6;
    wrong[last] ^= 0xff;
    let whole = event(12, 180.0, "Loss/G/loss", 3.0);
    let events = [
        version(0.0),
        event(4, 60.0, "Loss/G/loss", 1.0),
        wrong,
        whole.clone(),
        whole[..20].to_vec(),
    ];
    std::fs::write(run.join("events.out.tfevents.1.host"), events.concat()).unwrap();
    let (json, told, page) = compare(root, "run");
    assert_eq!(
        points(root, "Loss_G_loss_by_kimg"),
        [(4.0, 1.0), (12.0, 3.0)]
    );
    for said in [&told, &page, &json["warnings"].to_string()] {
        assert!(said.contains("events.out.tfevents.1.host"), "{said}");
        assert!(said.contains("1 of 4 records are damaged"), "{said}");
        assert!(said.contains("last record is cut short"), "{said}");
    }
}

#[test]
fn damaged_lines_and_results_without_a_snapshot_are_counted_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let run = root.join("run");
    write_run(&run, &root.join("faces.zip"), None, &[300.0, 20.0]);
    let stats = run.join("stats.jsonl");
    let lines = std::fs::read_to_string(&stats).unwrap();
    let mut lines: Vec<&str> = lines.lines().collect();
    lines[3] = &lines[3][..70];
    lines[7] = "\0\0\0\0 not a record";
    let last = lines.pop().unwrap();
    std::fs::write(&stats, format!("{}\n{}", lines.join("\n"), &last[..90])).unwrap();
    let metric = run.join("metric-fid50k_full.jsonl");
    let mut results = std::fs::read_to_string(&metric).unwrap();
    results += "{\"results\": {\"fid50k_full\": 7.5}, \"metric\": \"fid50k_full\", \"snapshot_pkl\": null}\n";
    results += "{\"results\": {\"fid50k_full\": 6.5}, \"metric\": \"fid50k_full\", \"snapshot_pkl\": null, \"kimg\": 64}\n";
    results += "{\"results\": {\"fid50k_fu";
    std::fs::write(&metric, results).unwrap();
    std::fs::write(run.join("training_options.json"), "{\"total_kimg\": 8").unwrap();
    let (json, told, page) = compare(root, "run");
    // There are 21 ticks, of which 3 are lost.
    assert_eq!(points(root, "Loss_G_loss_by_kimg").len(), 18);
    let found = points(root, "fid50k_full_by_kimg");
    assert_eq!(found, [(0.0, 300.0), (16.0, 20.0), (64.0, 6.5)]);
    assert_eq!(
        json["warnings"].as_array().unwrap().len(),
        4,
        "{}",
        json["warnings"]
    );
    for said in [&told, &page] {
        assert!(said.contains("3 of 21 lines are damaged"), "{said}");
        assert!(
            said.contains("line 4 is the first, and the last one is cut short"),
            "{said}"
        );
        assert!(said.contains("last line (5) is cut short"), "{said}");
        assert!(said.contains("1 of 4 results have no kimg"), "{said}");
        assert!(
            said.contains("fid50k_full 7.5 (snapshot_pkl is null)"),
            "{said}"
        );
        assert!(
            said.contains("the settings of this run are not known"),
            "{said}"
        );
    }
    // A folder with only damaged files is an error that says so.
    let other = root.join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("stats.jsonl"), "{\"Progress/ki").unwrap();
    let output = eval_with_cache(
        root,
        &root.join("cache"),
        &["compare", "other", "--out", "p.html"],
    );
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains("stats.jsonl") && told.contains("last line (1) is cut short"),
        "{told}"
    );
}

/// Values of every kind of metric when all real images are equal, or all images are.
#[test]
fn equal_images_give_numbers_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_folder(&root.join("several"), 0..24);
    for (name, shade) in [("equal", 77u8), ("black", 0)] {
        let path = root.join(name);
        std::fs::create_dir(&path).unwrap();
        for i in 0..24 {
            let image = image::RgbImage::from_pixel(
                SIDE as u32,
                SIDE as u32,
                image::Rgb([shade, shade / 2, 9]),
            );
            image.save(path.join(format!("{i}.png"))).unwrap();
        }
    }
    for (fakes, reals) in [
        ("several", "equal"),
        ("equal", "equal"),
        ("equal", "black"),
        ("equal", "several"),
    ] {
        let output = eval_with_cache(
            root,
            &root.join("cache"),
            &[
                "--json",
                "images",
                reals,
                fakes,
                "--metrics",
                "fid,kid,mem,dc5,pr3",
                "--features",
                "random-inception-small",
                "--bootstrap",
                "2",
            ],
        );
        let (out, told) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{told}");
        let mut n_null = 0;
        for line in out.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            for key in ["results", "std"] {
                for (name, value) in line[key].as_object().unwrap() {
                    match value.as_f64() {
                        Some(value) => assert!(value.abs() < 1e6, "{fakes} {reals} {name} {value}"),
                        None => {
                            n_null += 1;
                            assert_eq!(name, "mem_distance_ratio");
                        }
                    }
                }
            }
        }
        let are_equal = reals != "several";
        assert_eq!(n_null, usize::from(are_equal), "{fakes} {reals}\n{out}");
        assert_eq!(
            told.contains("the distance ratio is left out (null)"),
            are_equal,
            "{told}"
        );
        assert_eq!(
            told.contains("24 of 24 real images equal their nearest"),
            are_equal,
            "{told}"
        );
        let plain = eval_with_cache(
            root,
            &root.join("cache"),
            &[
                "images",
                reals,
                fakes,
                "--metrics",
                "mem",
                "--features",
                "random-inception-small",
            ],
        );
        let plain = text(&plain.stdout) + &text(&plain.stderr);
        assert!(!plain.contains("NaN") && !plain.contains("inf "), "{plain}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_costs_nothing_but_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_folder(&root.join("a"), 0..8);
    write_folder(&root.join("b"), 20..28);
    let args = [
        "--json",
        "images",
        "a",
        "b",
        "--metrics",
        "fid,kid",
        "--features",
        "random-inception-small",
        "--bootstrap",
        "0",
    ];
    let results = |out: &[u8]| -> Vec<Value> {
        let lines = text(out);
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["results"].clone()).collect()
    };
    let good = eval_with_cache(root, &root.join("cache"), &args);
    assert!(
        !text(&good.stderr).contains("KAOGAN_CACHE"),
        "{}",
        text(&good.stderr)
    );
    let wanted = results(&good.stdout);
    assert_eq!(wanted.len(), 2);
    // There is a file in place of the cache folder, of a folder above it, and of one below it.
    std::fs::write(root.join("file"), "").unwrap();
    let inside = root.join("occupied");
    let real_stats = std::fs::read_dir(root.join("cache"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join(real_stats), "").unwrap();
    for cache in [root.join("file"), root.join("file/below"), inside] {
        let output = eval_with_cache(root, &cache, &args);
        let told = text(&output.stderr);
        assert!(output.status.success(), "{}: {told}", cache.display());
        assert_eq!(results(&output.stdout), wanted, "{}", cache.display());
        assert_eq!(
            told.matches("set KAOGAN_CACHE to a folder").count(),
            1,
            "{told}"
        );
    }
}

#[cfg(unix)]
#[test]
fn files_of_a_run_that_are_too_large_or_no_files_are_named_and_left_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let result = |name: &str| serde_json::json!({"results": {name: 1.5}, "snapshot_pkl": "network-snapshot-000004.pkl"});
    let lines = format!("{}\n{}\n", result(&"m".repeat(300)), result("fid50k_full"));
    std::fs::write(run.join("metric-fid50k_full.jsonl"), lines).unwrap();
    // Sparse files take no space on the disk.
    for name in ["stats.jsonl", "training_options.json", "log.txt"] {
        let file = std::fs::File::create(run.join(name)).unwrap();
        file.set_len(1 << 30).unwrap();
    }
    let pipe = run.join("metric-kid50k_full.jsonl");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Neither the name of the run nor that of the page is UTF-8.
    let odd = root.path().join(OsStr::from_bytes(b"r\xff"));
    std::fs::rename(&run, &odd).unwrap();
    let page = root.path().join(OsStr::from_bytes(b"p\xff.html"));
    let output = Command::new(env!("CARGO_BIN_EXE_eval"))
        .args(["--json", "compare"])
        .args([odd.as_os_str(), "--out".as_ref(), page.as_os_str()])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for words in [
        "metric-fid50k_full.jsonl': 1 of 2 lines are damaged",
        "stats.jsonl' cannot be read: it has 1073741824 bytes or more, and at most 512 MiB are read",
        "training_options.json' is damaged (it has 1073741824 bytes",
        "log.txt' cannot be read: it has 1073741824 bytes",
        "metric-kid50k_full.jsonl' cannot be read: it is a pipe",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(page.exists());
}

#[test]
fn tick_lines_of_a_log_are_read_with_colors_and_counted_when_cut() {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let line = |tick: u32, time: &str, p: f64| {
        format!(
            "tick {tick:<5} kimg {:<8.1} time {time:<12} sec/tick 60.0    sec/kimg 15.00    maintenance 1.0    cpumem 3.20   gpumem 9.10   augment {p:.3}",
            4.0 * f64::from(tick)
        )
    };
    let log = [
        "Loading training set...\r\n".to_owned(),
        format!("{}\r\n", line(0, "1m 00s", 0.05)),
        format!("{}\r\n", line(1, "35m 00s", 0.1)),
        format!("\x1b[1;32m{}\x1b[0m\r\n", line(2, "1h 05m 00s", 0.15)),
        format!("{}\r\n", line(3, "1d 01h 30m", 0.2)),
        line(4, "1d 02h 30m", 0.25)[..30].to_owned(),
    ];
    std::fs::write(run.join("log.txt"), log.concat()).unwrap();
    let (told, text, _) = compare(root.path(), "run");
    let warnings = told["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].as_str().unwrap();
    assert!(
        warning.contains("run/log.txt")
            && warning.contains("1 of 5 tick lines")
            && warning.contains("line 6"),
        "{warning}"
    );
    assert!(text.contains("1 of 5 tick lines"), "{text}");
    assert_eq!(
        points(root.path(), "Progress_augment_by_kimg"),
        [(0.0, 0.05), (4.0, 0.1), (8.0, 0.15), (12.0, 0.2)]
    );
}
