//! Runs the program on a run made for the test: snapshots, statistics, a dataset.

mod common;

use common::{eval, fails, lines, ok, write_dataset, write_folder, write_run, write_snapshot};
use rng::RandomState;
use serde_json::Value;

#[test]
fn a_run_is_measured_once_and_goes_on_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 40);
    let run = root.join("00000-faces");
    write_run(&run, &root.join("faces.zip"), None, &[]);
    let args = [
        "run",
        "00000-faces",
        "--metrics",
        "fid20_full,kid20_full",
        "--features",
        "random-inception-small",
        "--bootstrap",
        "3",
    ];
    // The ticks are 0, 10 and 20. Multiples of 10 include all of them, multiples of 16 only the first; the last one
    // counts always.
    ok(root, &[&args[..], &["--every", "16"]].concat());
    let file = run.join("metric-fid20_full.jsonl");
    let first = lines(&file);
    let names: Vec<&str> = first
        .iter()
        .map(|l| l["snapshot_pkl"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "network-snapshot-000000.safetensors",
            "network-snapshot-000080.safetensors"
        ]
    );
    assert_eq!(first[0]["provenance"]["features"], "random-inception-small");
    assert_eq!(first[0]["provenance"]["comparable_with_published"], false);
    assert_eq!(
        first[0]["provenance"]["n_reals"], 40,
        "`_full` ignores the subset and the mirror"
    );
    assert!(first[0]["results"]["fid20_full"].as_f64().unwrap() > 0.0);
    assert!(first[0]["std"]["fid20_full"].as_f64().unwrap() > 0.0);
    assert_eq!(lines(&run.join("metric-kid20_full.jsonl")).len(), 2);

    // After a kill in the middle of a line, that line is measured again, with the same values.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 30]).unwrap();
    ok(root, &args);
    let again = lines(&file);
    assert_eq!(again.len(), 3);
    assert_eq!(again[2]["results"], first[1]["results"]);
    // Everything has been measured.
    let before = std::fs::read(&file).unwrap();
    assert_eq!(ok(root, &args), "");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // The same snapshot and seed, measured alone.
    let out = ok(
        root,
        &[
            "--json",
            "metrics",
            "--network",
            "00000-faces/network-snapshot-000080.safetensors",
            "--data",
            "faces.zip",
            "--metrics",
            "fid20_full",
            "--features",
            "random-inception-small",
            "--bootstrap",
            "3",
        ],
    );
    let line: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(line["results"], first[1]["results"]);
}

#[test]
fn a_run_is_measured_as_it_was_trained_and_stands_for_its_best_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 12);
    let run = root.join("runs/00000-faces");
    write_run(&run, &root.join("faces.zip"), None, &[]);
    let options = run.join("training_options.json");
    let text = std::fs::read_to_string(&options).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["metrics"] = serde_json::json!(["fid10_full"]);
    settings["features"] = "random-inception-small".into();
    std::fs::write(&options, settings.to_string()).unwrap();
    ok(root, &["run", "latest"]);
    let results = lines(&run.join("metric-fid10_full.jsonl"));
    assert_eq!(results.len(), 3);
    assert_eq!(
        results[0]["provenance"]["features"],
        "random-inception-small"
    );

    // The first snapshot belongs to the warm-up.
    let best = results[1..].iter().min_by(|a, b| {
        let fid = |line: &Value| line["results"]["fid10_full"].as_f64().unwrap();
        fid(a).total_cmp(&fid(b))
    });
    let best = best.unwrap();
    let common = "--data faces.zip --metrics fid10_full --features random-inception-small";
    for (network, expected) in [
        ("-n latest", best),
        ("-n runs/00000-faces --checkpoint newest", &results[2]),
        ("--network runs/latest --checkpoint 40", &results[1]),
    ] {
        let args = format!("--json metrics {network} {common}");
        let out = ok(root, &args.split(' ').collect::<Vec<_>>());
        let line: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        assert_eq!(line["results"], expected["results"], "{network}");
    }
    let args = format!("metrics -n latest --checkpoint 7 {common}");
    let error = fails(root, &args.split(' ').collect::<Vec<_>>());
    assert!(error.contains("there are 0, 40, 80"), "{error}");
}

#[test]
fn folders_of_pictures_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_folder(&root.join("a"), 0..30);
    write_folder(&root.join("b"), 100..125);
    let measure = |a: &str, b: &str| -> Vec<Value> {
        let out = ok(
            root,
            &[
                "--json",
                "images",
                a,
                b,
                "--metrics",
                "fid,kid,mem",
                "--features",
                "random-inception-small",
                "--bootstrap",
                "0",
            ],
        );
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let same = measure("a", "a");
    assert!(
        same[0]["results"]["fid"].as_f64().unwrap().abs() < 1e-3,
        "{}",
        same[0]
    );
    assert_eq!(same[0]["provenance"]["covariance"], "n-1");
    let other = measure("a", "b");
    assert!(
        other[0]["results"]["fid"].as_f64().unwrap() > 0.01,
        "{}",
        other[0]
    );
    assert_eq!(other[0]["provenance"]["n_fakes"], 25);
    // The copies are found.
    assert_eq!(same[2]["results"]["mem_distance_ratio"].as_f64(), Some(0.0));
    assert!(other[2]["results"]["mem_distance_ratio"].as_f64().unwrap() > 0.3);
}

#[cfg(unix)]
#[test]
fn images_are_told_by_content_and_what_is_left_out_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_folder(&root.join("a"), 0..6);
    write_folder(&root.join("b"), 10..16);
    std::fs::rename(root.join("b/0010.png"), root.join("b/0010")).unwrap();
    std::fs::write(root.join("b/._0011.png"), b"\0\x05\x16\x07\0\x02\0\0").unwrap();
    std::os::unix::fs::symlink(root.join("a"), root.join("b/more")).unwrap();
    std::fs::write(root.join("page.zip"), b"<html>").unwrap();
    let arguments = |b| {
        let features = ["--features", "random-inception-small", "--bootstrap", "0"];
        let images = ["--json", "images", "a", b, "--metrics", "kid"];
        [images.as_slice(), &features].concat()
    };
    let output = eval(root, &arguments("b"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["provenance"]["n_fakes"], 6);
    assert!(
        text.contains("1 linked folder(s) left out") && text.contains("more"),
        "{text}"
    );
    assert!(text.contains("1 file(s) of the operating system"), "{text}");
    let error = fails(root, &arguments("page.zip"));
    assert!(error.contains("a web page"), "{error}");
}

#[test]
fn runs_are_compared_on_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let data = root.join("faces.zip");
    write_run(
        &root.join("00000-noaug"),
        &data,
        None,
        &[300.0, 20.0, 30.0, 180.0, 250.0, 260.0],
    );
    write_run(
        &root.join("00001-ada"),
        &data,
        Some(0.6),
        &[310.0, 25.0, 18.0, 15.0, 13.0, 12.0],
    );
    let said = ok(
        root,
        &[
            "compare",
            "00000-noaug",
            "00001-ada",
            "--out",
            "pages/compare.html",
        ],
    );
    assert!(
        said.starts_with("ADA geom is better: best fid50k_full 12 at kimg 80"),
        "{said}"
    );
    for part in [
        "no augmentation turned up at kimg 48. Snapshot to take: kimg 80 of 00001-ada",
        "no augmentation collapsed at kimg 48: fid50k_full 20 at kimg 16 became 180",
        "ADA geom is still improving",
        "no augmentation overfits",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let page = std::fs::read_to_string(root.join("pages/compare.html")).unwrap();
    for part in [
        "Verdict",
        "fid50k_full",
        "Loss/scores/real",
        "Progress/augment",
        "type=\"range\"",
        "ada_target",
        "data:image/jpeg;base64,",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    assert_eq!(page.matches("data-moment=").count(), 6);
    let plots = root.join("pages/compare-plots");
    let csv = std::fs::read_to_string(plots.join("fid50k_full_by_kimg.csv")).unwrap();
    assert!(csv.contains("ADA geom,80,12,"), "{csv}");
    assert!(
        image::open(plots.join("Loss_signs_real_by_kimg.png"))
            .unwrap()
            .width()
            > 1000
    );
}

#[test]
fn planted_leaks_are_named_and_films_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 300);
    let run = root.join("00000-faces");
    write_run(&run, &root.join("faces.zip"), Some(0.6), &[]);
    write_folder(&root.join("clean"), 1000..1200);
    write_folder(&root.join("noisy"), 2000..2200);
    for (i, entry) in std::fs::read_dir(root.join("noisy")).unwrap().enumerate() {
        let path = entry.unwrap().path();
        let mut image = image::open(&path).unwrap().to_rgb8();
        let mut random = RandomState::new(i as u32);
        for v in image.iter_mut().filter(|_| i % 2 == 0) {
            *v = (f64::from(*v) + 15.0 * random.standard_normal()).clamp(0.0, 255.0) as u8;
        }
        image.save(path).unwrap();
    }
    let leaks = |images: &str| -> Vec<String> {
        let out = ok(
            root,
            &["--json", "leak", "--data", "faces.zip", "--images", images],
        );
        let line: Value = serde_json::from_str(&out).unwrap();
        let found = line["categories"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["leaks"] == true);
        found
            .map(|c| c["category"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(leaks("clean"), Vec::<String>::new());
    assert_eq!(leaks("noisy"), ["noise"]);
    // The last snapshot of the run is checked; the result is written into the run's folder.
    ok(root, &["leak", "00000-faces", "--fakes", "60"]);
    assert_eq!(
        lines(&run.join("leaks.jsonl"))[0]["snapshot"],
        "network-snapshot-000080.safetensors"
    );

    ok(
        root,
        &[
            "video",
            "00000-faces",
            "00000-faces",
            "--out",
            "progress.webp",
            "--columns",
            "3",
            "--rows",
            "2",
        ],
    );
    let video = std::fs::read(root.join("progress.webp")).unwrap();
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&video)).unwrap();
    assert!(decoder.has_animation());
    let frames = image::AnimationDecoder::into_frames(decoder)
        .collect_frames()
        .unwrap();
    // There are three snapshots, and the last frame is shown for a second.
    assert_eq!(frames.len(), 3 + 4);
    assert_eq!(
        frames[0].buffer().dimensions(),
        (2 * 3 * 32 + 8, 2 * 32 + 44)
    );
    assert_ne!(frames[0].buffer(), frames[2].buffer());
}

#[test]
fn a_watch_ends_with_a_run_that_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 20);
    let run = root.join("00000-faces");
    write_run(&run, &root.join("faces.zip"), None, &[]);
    // The run has reached 40 of 80 kimg, and has written nothing since yesterday.
    let stats = std::fs::read_to_string(run.join("stats.jsonl")).unwrap();
    let half: Vec<&str> = stats.lines().take(11).collect();
    std::fs::write(run.join("stats.jsonl"), half.join("\n") + "\n").unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    for entry in std::fs::read_dir(&run).unwrap() {
        let file = std::fs::File::options()
            .write(true)
            .open(entry.unwrap().path())
            .unwrap();
        file.set_modified(yesterday).unwrap();
    }
    let output = eval(
        root,
        &[
            "run",
            "00000-faces",
            "--watch",
            "--metrics",
            "kid10_full",
            "--features",
            "random-inception-small",
        ],
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("seems to have stopped"), "{told}");
    assert_eq!(lines(&run.join("metric-kid10_full.jsonl")).len(), 3);
}

#[test]
fn errors_say_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces.zip"), 4);
    write_snapshot(&root.join("g.safetensors"), 0);
    let error = fails(
        root,
        &[
            "metrics",
            "--network",
            "g.safetensors",
            "--data",
            "faces.zip",
        ],
    );
    assert!(
        error.contains("eval weights --from FILE") && error.contains("face-detector"),
        "{error}"
    );
    let error = fails(
        root,
        &[
            "metrics",
            "--network",
            "g.safetensors",
            "--data",
            "faces.zip",
            "--metrics",
            "ppl2_wend",
        ],
    );
    assert!(
        error.contains("vgg16.pt") && error.contains("eval weights --from FILE"),
        "{error}"
    );
    // The earlier name of `weights` works, too.
    let error = fails(root, &["inception", "--from", "g.safetensors"]);
    assert!(
        error.contains("pt_inception-2015-12-05-6726825d.pth"),
        "{error}"
    );
    write_folder(&root.join("one"), 0..1);
    let error = fails(
        root,
        &[
            "images",
            "faces.zip",
            "one",
            "--features",
            "random-inception-small",
        ],
    );
    assert!(
        error.contains("fid needs two images on each side"),
        "{error}"
    );
    let error = fails(root, &["run", "."]);
    assert!(error.contains("not a run folder"), "{error}");
    let usage = eval(
        root,
        &[
            "metrics",
            "--network",
            "g",
            "--data",
            "z",
            "--metrics",
            "fid50k_fool",
        ],
    );
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("fid50k_full"));
}
