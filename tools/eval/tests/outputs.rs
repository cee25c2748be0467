//! Outputs replace earlier outputs, but files of the user only with `--force`, and inputs never. Damage to files that
//! are read is detected.

mod common;

use common::{eval, fails, lines, ok, write_dataset, write_folder, write_run};

const METRICS: [&str; 10] = [
    "metrics",
    "--data",
    "faces.zip",
    "--metrics",
    "fid20_full",
    "--features",
    "random-inception-small",
    "--bootstrap",
    "0",
    "--network",
];

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

#[test]
fn files_of_the_user_are_replaced_by_force_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    write_run(&root.join("a"), &root.join("faces.zip"), None, &[4.0, 3.0]);
    let video = "video a --columns 2 --rows 1 --fps 1 -o";
    for (args, file) in [
        ("compare a".to_owned(), "compare.html"),
        ("compare a -o page.html".to_owned(), "page.html"),
        (
            "compare a".to_owned(),
            "compare-plots/fid50k_full_by_kimg.png",
        ),
        (
            "compare a".to_owned(),
            "compare-plots/fid50k_full_by_kimg.csv",
        ),
        (format!("{video} film.webp"), "film.webp"),
        (format!("{video} film.gif"), "film.gif"),
        (format!("{video} film.png"), "film.png"),
    ] {
        let args = words(&args);
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "of the user").unwrap();
        let told = fails(root, &args);
        assert!(
            told.contains(file) && told.contains("--force"),
            "{args:?}: {told}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"of the user");
        ok(root, &[&args[..], &["--force"]].concat());
        let first = std::fs::read(&path).unwrap();
        ok(root, &args);
        assert!(std::fs::read(&path).unwrap() == first, "{args:?}");
    }
    for args in [
        "compare a -o a/stats.jsonl --force",
        "compare a -o a/network-snapshot-000040.safetensors --force",
        "video a -o a/fakes000040.png --force",
    ] {
        let told = fails(root, &words(args));
        assert!(told.contains("is an input"), "{args}: {told}");
    }
}

#[test]
fn results_are_appended_to_files_of_results_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    write_run(&root.join("a"), &root.join("faces.zip"), None, &[]);
    let measure = |out: &'static str| {
        let snapshot = "a/network-snapshot-000040.safetensors";
        [&METRICS[..], &[snapshot, "--out", out]].concat()
    };
    for (name, content) in [
        ("dataset.json", "{\"labels\": null}"),
        ("pretty.json", "{\n  \"labels\": null\n}\n"),
        ("stats.jsonl", "{\"Loss/G/loss\": {\"mean\": 1}}\n"),
        ("notes.txt", "of the user\nmore\n"),
    ] {
        std::fs::write(root.join(name), content).unwrap();
        let told = fails(root, &measure(name));
        assert!(
            told.contains(name) && told.contains("another file"),
            "{told}"
        );
        assert_eq!(std::fs::read_to_string(root.join(name)).unwrap(), content);
    }
    let told = fails(root, &measure("faces.zip"));
    assert!(told.contains("is an input"), "{told}");
    ok(root, &measure("results.jsonl"));
    ok(root, &measure("results.jsonl"));
    assert_eq!(lines(&root.join("results.jsonl")).len(), 2);
}

#[test]
fn a_flipped_bit_in_the_cache_changes_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_folder(&root.join("a"), 0..8);
    write_folder(&root.join("b"), 20..28);
    let args = words(
        "--json images a b --metrics fid,kid --features random-inception-small --bootstrap 0",
    );
    let measure = || {
        let output = eval(root, &args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        let results: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["results"].take())
            .collect();
        (results, told)
    };
    let (first, told) = measure();
    assert!(first.len() == 2 && !told.contains("damaged"), "{told}");
    let (again, told) = measure();
    assert!(again == first && !told.contains("damaged"), "{told}");
    let cached = std::fs::read_dir(root.join("cache/metrics/real-stats"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .unwrap();
    let whole = std::fs::read(&cached).unwrap();
    let mut random = rng::RandomState::new(1);
    for _ in 0..4 {
        let bit = random.randint(0, 8 * whole.len() as i64) as usize;
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&cached, damaged).unwrap();
        let (results, told) = measure();
        let name = cached.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(results, first, "bit {bit}");
        assert!(
            told.contains("is damaged") && told.contains(&name),
            "bit {bit}: {told}"
        );
        // The cache file was written again.
        assert!(std::fs::read(&cached).unwrap() == whole, "bit {bit}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_loses_no_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    write_run(&root.join("a"), &root.join("faces.zip"), None, &[]);
    // A file in place of the cache folder.
    std::fs::write(root.join("cache"), "").unwrap();
    let metrics = "fid20_full,kid20_full,pr20_3_full,dc20_5_full,mem20_full";
    let n = metrics.split(',').count();
    let network = format!(
        "--json metrics --data faces.zip --metrics {metrics} --features random-inception-small --bootstrap 0 \
         --network a/network-snapshot-000040.safetensors"
    );
    let run = format!(
        "--json run a --every 1000 --metrics {metrics} --features random-inception-small --bootstrap 0"
    );
    for (args, n) in [(network, n), (run, 2 * n)] {
        let output = eval(root, &words(&args));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args}: {told}");
        let results = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(results, n, "{args}: {told}");
        let warnings = told.matches("set KAOGAN_CACHE to a folder").count();
        assert!(
            warnings == 1 && told.contains("real-stats"),
            "{args}: {told}"
        );
    }
    assert_eq!(lines(&root.join("a/metric-kid20_full.jsonl")).len(), 2);
}

#[test]
fn a_damaged_snapshot_is_named_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    write_run(&root.join("a"), &root.join("faces.zip"), None, &[]);
    let name = "a/network-snapshot-000080.safetensors";
    let mut bytes = std::fs::read(root.join(name)).unwrap();
    let at = bytes.len() - 1000;
    bytes[at] ^= 1;
    std::fs::write(root.join(name), bytes).unwrap();
    let metrics = [&METRICS[..], &[name]].concat();
    let run = "run a --metrics fid20_full --features random-inception-small --bootstrap 0";
    for args in [
        metrics,
        words(run),
        words("video a --columns 2 --rows 1 -o film.webp"),
        words("leak a --checkpoint newest --reals 20 --fakes 10"),
    ] {
        let told = fails(root, &args);
        assert!(
            told.contains("network-snapshot-000080.safetensors: the file is damaged"),
            "{args:?}: {told}"
        );
    }
    assert!(!root.join("film.webp").exists());
    // The snapshots before it were measured.
    assert_eq!(lines(&root.join("a/metric-fid20_full.jsonl")).len(), 2);
}
