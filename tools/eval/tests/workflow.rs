//! The program on a run that is made here: snapshots, statistics, a dataset.

use std::path::Path;
use std::process::{Command, Output};

use candle_core::Device;
use dataset::{DatasetWriter, Image, WriterOptions};
use networks::{Generator, GeneratorConfig, MappingConfig, Snapshot};
use rng::RandomState;
use serde_json::{Value, json};

const SIDE: usize = 32;

fn eval(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eval"))
        .current_dir(folder)
        .env("KAOGAN_CACHE", folder.join("cache"))
        .args(args)
        .output()
        .expect("the program starts")
}

fn ok(folder: &Path, args: &[&str]) -> String {
    let output = eval(folder, args);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "eval {args:?}\n{out}\n{err}");
    out.into_owned()
}

fn fails(folder: &Path, args: &[&str]) -> String {
    let output = eval(folder, args);
    assert_eq!(output.status.code(), Some(1), "eval {args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file of results");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn picture(seed: u32) -> Image {
    let mut random = RandomState::new(seed);
    let colors: Vec<u8> = random
        .rand(12)
        .into_iter()
        .map(|v| (v * 255.0) as u8)
        .collect();
    let pixels = (0..SIDE * SIDE)
        .flat_map(|i| {
            let (x, y) = (i % SIDE, i / SIDE);
            let zone = usize::from(y > SIDE / 3) + 2 * usize::from(x.abs_diff(SIDE / 2) < 8);
            [0, 1, 2].map(|c| colors[zone * 3 + c].wrapping_add((x + y) as u8 / 4))
        })
        .collect();
    Image {
        width: SIDE,
        height: SIDE,
        channels: 3,
        pixels,
    }
}

fn write_dataset(path: &Path, n: u32) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for seed in 0..n {
        writer.add(seed as usize, &picture(seed), None).unwrap();
    }
    writer.finish().unwrap();
}

fn write_folder(path: &Path, seeds: std::ops::Range<u32>) {
    std::fs::create_dir_all(path).unwrap();
    for seed in seeds {
        let image = picture(seed);
        image::save_buffer(
            path.join(format!("{seed:04}.png")),
            &image.pixels,
            SIDE as u32,
            SIDE as u32,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
    }
}

fn write_snapshot(path: &Path, seed: u32) {
    let config = GeneratorConfig {
        z_dim: 8,
        w_dim: 8,
        mapping: MappingConfig {
            num_layers: 2,
            ..MappingConfig::new(8)
        },
        channel_base: 256,
        channel_max: 16,
        ..GeneratorConfig::new(SIDE, 3)
    };
    let g_ema = Generator::new(&config, &mut RandomState::new(seed), &Device::Cpu).unwrap();
    let snapshot = Snapshot {
        g_ema: Some(g_ema),
        ..Default::default()
    };
    snapshot.save(path).unwrap();
}

/// Three snapshots, ticks of 4 kimg, grids of fakes. With `fids`, results as the reference writes them.
fn write_run(path: &Path, data: &Path, aug: Option<f64>, fids: &[f64]) {
    std::fs::create_dir_all(path).unwrap();
    let mut options = json!({
        "num_gpus": 1,
        "training_set_kwargs": {"path": data, "use_labels": false, "max_size": 30, "xflip": true, "resolution": SIDE},
        "total_kimg": 80,
        "batch_size": 8,
    });
    if let Some(target) = aug {
        options["ada_target"] = target.into();
    }
    std::fs::write(path.join("training_options.json"), options.to_string()).unwrap();
    let stats: String = (0..=20)
        .map(|tick| {
            let mean = |v: f64| json!({"num": 1, "mean": v, "std": 0.0});
            let kimg = 4.0 * tick as f64;
            let line = json!({
                "Loss/scores/fake": mean(-0.5 - 0.01 * kimg),
                "Loss/scores/real": mean(0.5 + 0.01 * kimg),
                "Loss/signs/real": mean(if aug.is_some() { 0.6 } else { 0.95 }),
                "Loss/G/loss": mean(1.0),
                "Progress/tick": mean(tick as f64),
                "Progress/kimg": mean(kimg),
                "Progress/augment": mean(if aug.is_some() { 0.005 * kimg } else { 0.0 }),
                "Timing/total_hours": mean(kimg / 10.0),
                "timestamp": 1.6e9 + kimg,
            });
            format!("{line}\n")
        })
        .collect();
    std::fs::write(path.join("stats.jsonl"), stats).unwrap();
    for (i, kimg) in [0, 40, 80].into_iter().enumerate() {
        write_snapshot(
            &path.join(format!("network-snapshot-{kimg:06}.safetensors")),
            i as u32,
        );
        let grid = image::RgbImage::from_fn(8 * SIDE as u32, 4 * SIDE as u32, |x, y| {
            image::Rgb([(x + kimg) as u8, y as u8, 90])
        });
        grid.save(path.join(format!("fakes{kimg:06}.png"))).unwrap();
    }
    let results: String = fids
        .iter()
        .enumerate()
        .map(|(i, fid)| {
            let line = json!({"results": {"fid50k_full": fid}, "metric": "fid50k_full", "total_time": 1.0,
                "snapshot_pkl": format!("network-snapshot-{:06}.pkl", i * 16), "timestamp": 1.6e9});
            format!("{line}\n")
        })
        .collect();
    if !fids.is_empty() {
        std::fs::write(path.join("metric-fid50k_full.jsonl"), results).unwrap();
    }
}

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
    // Ticks 0, 10 and 20: a multiple of 10 leaves none out, one of 16 only the first and the last.
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
    assert_eq!(first[0]["flavour"]["features"], "random-inception-small");
    assert_eq!(first[0]["flavour"]["comparable_with_published"], false);
    assert_eq!(
        first[0]["flavour"]["n_reals"], 40,
        "`_full` ignores the subset and the mirror"
    );
    assert!(first[0]["results"]["fid20_full"].as_f64().unwrap() > 0.0);
    assert!(first[0]["std"]["fid20_full"].as_f64().unwrap() > 0.0);
    assert_eq!(lines(&run.join("metric-kid20_full.jsonl")).len(), 2);

    // A kill in the middle of a line: that line is measured again, with the same numbers.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 30]).unwrap();
    ok(root, &args);
    let again = lines(&file);
    assert_eq!(again.len(), 3);
    assert_eq!(again[2]["results"], first[1]["results"]);
    // Nothing is left to do.
    let before = std::fs::read(&file).unwrap();
    assert_eq!(ok(root, &args), "");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // The same snapshot and seed alone.
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
    assert_eq!(same[0]["flavour"]["covariance"], "n-1");
    let other = measure("a", "b");
    assert!(
        other[0]["results"]["fid"].as_f64().unwrap() > 0.01,
        "{}",
        other[0]
    );
    assert_eq!(other[0]["flavour"]["n_fakes"], 25);
    // The copies are found.
    assert_eq!(same[2]["results"]["mem_distance_ratio"].as_f64(), Some(0.0));
    assert!(other[2]["results"]["mem_distance_ratio"].as_f64().unwrap() > 0.3);
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
        said.contains("00001-ada is better: best fid50k_full 12 at kimg 80"),
        "{said}"
    );
    assert!(
        said.contains("00000-noaug collapsed at kimg 48: fid50k_full rose from 20 (kimg 16)"),
        "{said}"
    );
    assert!(said.contains("00001-ada is still improving"), "{said}");
    assert!(said.contains("00000-noaug overfits"), "{said}");
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
    assert!(csv.contains("00001-ada,80,12,"), "{csv}");
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
    // The last snapshot of a run; the answer stays in its folder.
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
    let film = std::fs::read(root.join("progress.webp")).unwrap();
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&film)).unwrap();
    assert!(decoder.has_animation());
    let frames = image::AnimationDecoder::into_frames(decoder)
        .collect_frames()
        .unwrap();
    // Three snapshots, and the last one held for a second.
    assert_eq!(frames.len(), 3 + 4);
    assert_eq!(
        frames[0].buffer().dimensions(),
        (2 * 3 * 32 + 8, 2 * 32 + 24)
    );
    assert_ne!(frames[0].buffer(), frames[2].buffer());
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
        error.contains("eval weights --from FILE") && error.contains("random-inception"),
        "{error}"
    );
    let error = fails(root, &["inception", "--from", "g.safetensors"]);
    assert!(
        error.contains("pt_inception-2015-12-05-6726825d.pth"),
        "{error}"
    );
    let error = fails(root, &["run", "."]);
    assert!(error.contains("no folder of a run"), "{error}");
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
