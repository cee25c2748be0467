//! Compares images with those of NVIDIA's StyleGAN2-ADA, and with each other.

mod common;

use std::path::Path;

use common::{data, fails, names, official, ok, png};

/// Asserts that the pixels of images in a folder differ by at most 1 from those that NVIDIA's StyleGAN2-ADA made.
fn assert_golden(folder: &Path, files: [&str; 2], expected: &str) {
    let golden = interop::read_tensors(Path::new(&data("images.safetensors"))).unwrap();
    let golden = &golden.tensors[expected].data;
    for (file, golden) in files.iter().zip(golden.chunks(32 * 32 * 3)) {
        let pixels = png(&folder.join(file)).pixels;
        assert_eq!(pixels.len(), golden.len());
        let off = pixels.iter().zip(golden).map(|(a, b)| a.abs_diff(*b));
        assert!(off.max() <= Some(1), "{expected} {file}");
    }
}

#[test]
fn pixels_are_those_of_the_official_program() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let z = data("z.safetensors");
    for (expected, flags) in [
        ("psi1", "--truncation-psi 1"),
        ("psi0.7", "--trunc 0.7"),
        ("psi0.7_cutoff3", "--trunc 0.7 --truncation-cutoff 3"),
        ("none", "--noise-mode none"),
    ] {
        let mut args = vec!["images", "-n", &network, "--z", &z, "--outdir", expected];
        args.extend(flags.split(' '));
        ok(dir.path(), &args);
        let folder = dir.path().join(expected);
        assert_golden(&folder, ["z0000.png", "z0001.png"], expected);
    }
    let w = data("ws.safetensors");
    ok(
        dir.path(),
        &["images", "-n", &network, "--w", &w, "--outdir", "w"],
    );
    let folder = dir.path().join("w");
    assert_golden(&folder, ["proj00.png", "proj01.png"], "psi0.7");
}

#[test]
fn a_seed_gives_one_image_in_any_company() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let run = |out: &str, seeds: &str, batch: &str, noise: &str| {
        let args = [
            "images",
            "--network",
            &network,
            "--seeds",
            seeds,
            "--batch",
            batch,
            "--noise-mode",
            noise,
            "--trunc=0.5",
            "--outdir",
            out,
            "--json",
        ];
        ok(dir.path(), &args)
    };
    for noise in ["const", "random"] {
        let text = run("many", "0-4,9,4000000000", "3", noise);
        assert!(text.contains("\"images\":7"), "{text}");
        run("one", "9", "1", noise);
        let (many, one) = (dir.path().join("many"), dir.path().join("one"));
        let bytes = |folder: &Path| std::fs::read(folder.join("seed0009.png")).unwrap();
        assert_eq!(bytes(&many), bytes(&one), "{noise}");
        assert_eq!(names(&many).len(), 7);
        assert!(many.join("seed4000000000.png").exists());
        // Another seed gives another image.
        assert_ne!(
            png(&many.join("seed0000.png")).pixels,
            png(&many.join("seed0001.png")).pixels
        );
    }
    let image = png(&dir.path().join("one/seed0009.png"));
    assert_eq!((image.width, image.height), (32, 32));
    let texts = image.texts;
    assert_eq!(
        (texts["seed"].as_str(), texts["truncation_psi"].as_str()),
        ("9", "0.5")
    );
    assert_eq!(texts["noise_mode"], "random");
    assert_eq!(texts["network"], "G_ema of network.safetensors");
    let text = ok(dir.path(), &["describe", &network, "--json"]);
    assert!(text.contains(&texts["weights_sha256"]) && text.contains(&texts["checkpoint_sha256"]));
}

#[test]
fn a_grid_is_its_images() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    ok(
        dir.path(),
        &[
            "grid", "-n", &network, "--seeds", "3-7", "--cols", "2", "--batch", "3",
        ],
    );
    ok(
        dir.path(),
        &["images", "-n", &network, "--seeds", "3-7", "-o", "images"],
    );
    let grid = png(&dir.path().join("grid.png"));
    assert_eq!((grid.width, grid.height), (64, 96));
    assert_eq!(grid.texts["seeds"], "3,4,5,6,7");
    let tile = |row: usize, col: usize| -> Vec<u8> {
        (0..32)
            .flat_map(|y| {
                let start = ((row * 32 + y) * 64 + col * 32) * 3;
                grid.pixels[start..start + 96].to_vec()
            })
            .collect()
    };
    for (i, seed) in (3..8).enumerate() {
        let image = png(&dir.path().join(format!("images/seed{seed:04}.png")));
        assert_eq!(tile(i / 2, i % 2), image.pixels, "seed {seed}");
    }
    assert!(tile(2, 1).iter().all(|&v| v == 0));
}

#[test]
fn mixtures_take_layers_from_both() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let mix = |styles: &str, out: &str| {
        let args = [
            "style-mix",
            "-n",
            &network,
            "--rows=1,2",
            "--cols=5-7",
            "--styles",
            styles,
            "--outdir",
            out,
        ];
        ok(dir.path(), &args);
        dir.path().join(out)
    };
    // A network for 32 px has 8 layers.
    let (all, some) = (mix("0-7", "all"), mix("0-3", "some"));
    let mut expected: Vec<String> = vec!["grid.png".into()];
    for row in [1, 2] {
        expected.push(format!("{row}-{row}.png"));
        expected.extend([5, 6, 7].map(|col| format!("{row}-{col}.png")));
    }
    expected.extend([5, 6, 7].map(|col| format!("{col}-{col}.png")));
    expected.sort();
    assert_eq!(names(&all), expected);
    let pixels = |folder: &Path, name: &str| png(&folder.join(name)).pixels;
    assert_eq!(pixels(&all, "1-5.png"), pixels(&all, "5-5.png"));
    let mixed = pixels(&some, "1-5.png");
    assert!(mixed != pixels(&some, "5-5.png") && mixed != pixels(&some, "1-1.png"));
    let grid = png(&some.join("grid.png"));
    assert_eq!((grid.width, grid.height), (4 * 32, 3 * 32));
    assert_eq!(grid.pixels[..96], [0; 96]);
    assert_eq!(grid.pixels[96..192], pixels(&some, "5-5.png")[..96]);
}

#[test]
fn every_format_and_every_generator_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let pkl = official();
    for out in ["a.safetensors", "b.pkl"] {
        let from = if out == "b.pkl" {
            "a.safetensors"
        } else {
            &pkl
        };
        let text = ok(dir.path(), &["convert", from, out]);
        assert!(text.contains(out), "{text}");
    }
    let describe = |path: &str| -> Vec<String> {
        let text = ok(dir.path(), &["describe", path, "--json"]);
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        let networks = text["networks"].as_array().unwrap().iter();
        networks
            .map(|n| format!("{} {}", n["key"], n["checksum"]))
            .collect()
    };
    // Converting pkl to safetensors to pkl keeps the tensors.
    assert_eq!(describe(&pkl).len(), 3);
    assert_eq!(describe(&pkl), describe("a.safetensors"));
    assert_eq!(describe(&pkl), describe("b.pkl"));
    let shown = ok(dir.path(), &["describe", "b.pkl", "--tensors"]);
    assert!(shown.contains("mapping of 2 layers") && shown.contains("G_ema.mapping.w_avg [4]"));

    let image = |network: &str, flags: &[&str]| {
        let mut args = vec!["images", "-n", network, "--seeds=3", "-o", "out"];
        args.extend(flags);
        ok(dir.path(), &args);
        png(&dir.path().join("out/seed0003.png"))
    };
    let ema = image(&pkl, &[]);
    assert_eq!(image("b.pkl", &[]).pixels, ema.pixels);
    let g = image(&pkl, &["--generator", "G"]);
    assert_ne!(g.pixels, ema.pixels);
    assert_eq!(g.texts["network"], "G of official.pkl");

    // A run folder stands for its newest snapshot, the best one by a metric, or the requested one.
    std::fs::create_dir(dir.path().join("run")).unwrap();
    for (name, from) in [("000200", data("network.safetensors")), ("000400", pkl)] {
        let to = format!(
            "run/network-snapshot-{name}.{}",
            &from[from.rfind('.').unwrap() + 1..]
        );
        std::fs::copy(from, dir.path().join(to)).unwrap();
    }
    let network = |name: &str, flags: &[&str]| image(name, flags).texts["network"].clone();
    let (first, newest) = (
        "G_ema of network-snapshot-000200.safetensors",
        "G_ema of network-snapshot-000400.pkl",
    );
    assert_eq!(network("run", &[]), newest);
    let lines = [(200, 7.5), (400, 9.0)].map(|(kimg, fid)| {
        format!(
            r#"{{"results": {{"fid50k_full": {fid}}}, "snapshot_pkl": "network-snapshot-000{kimg}.pkl"}}"#
        )
    });
    let results = dir.path().join("run/metric-fid50k_full.jsonl");
    std::fs::write(results, lines.join("\n")).unwrap();
    assert_eq!(network("run", &[]), first);
    assert_eq!(network("run", &["--checkpoint", "newest"]), newest);
    assert_eq!(network("run", &["--checkpoint", "400"]), newest);
    let args = "images -n run --checkpoint 300 --seeds 3 -o out";
    let text = fails(dir.path(), 1, &args.split(' ').collect::<Vec<_>>());
    assert!(text.contains("there are 200, 400"), "{text}");
    // `latest` stands for the newest run in `runs`, which contains numbered folders.
    std::fs::create_dir(dir.path().join("runs")).unwrap();
    std::fs::rename(dir.path().join("run"), dir.path().join("runs/00000-a")).unwrap();
    assert_eq!(network("latest", &[]), first);
    let text = ok(
        dir.path(),
        &[
            "--json",
            "describe",
            "runs/latest",
            "--checkpoint",
            "newest",
        ],
    );
    assert!(text.contains("network-snapshot-000400.pkl"), "{text}");
}
