//! Makes a run for tests: snapshots, statistics, a dataset.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Output};

use candle_core::Device;
use dataset::{DatasetWriter, Image, WriterOptions};
use networks::{Generator, GeneratorConfig, MappingConfig, Snapshot};
use rng::RandomState;
use serde_json::{Value, json};

pub const SIDE: usize = 32;

pub fn eval(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eval"))
        .current_dir(folder)
        .env("KAOGAN_CACHE", folder.join("cache"))
        .args(args)
        .output()
        .expect("the program starts")
}

pub fn ok(folder: &Path, args: &[&str]) -> String {
    let output = eval(folder, args);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "eval {args:?}\n{out}\n{err}");
    out.into_owned()
}

pub fn fails(folder: &Path, args: &[&str]) -> String {
    let output = eval(folder, args);
    assert_eq!(output.status.code(), Some(1), "eval {args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file of results");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

pub fn picture(seed: u32) -> Image {
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

pub fn write_dataset(path: &Path, n: u32) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for seed in 0..n {
        writer.add(seed as usize, &picture(seed), None).unwrap();
    }
    writer.finish().unwrap();
}

pub fn write_folder(path: &Path, seeds: std::ops::Range<u32>) {
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

pub fn write_snapshot(path: &Path, seed: u32) {
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

/// Writes a run with three snapshots, ticks of 4 kimg and grids of generated images. `fids` are the FIDs of the
/// snapshots, in the format of NVIDIA's programs; none if it is empty.
pub fn write_run(path: &Path, data: &Path, aug: Option<f64>, fids: &[f64]) {
    std::fs::create_dir_all(path).unwrap();
    let mut options = json!({
        "num_gpus": 1,
        "training_set_kwargs": {"path": data, "use_labels": false, "max_size": 30, "xflip": true, "resolution": SIDE},
        "total_kimg": 80,
        "batch_size": 8,
    });
    if let Some(target) = aug {
        options["ada_target"] = target.into();
        options["augment_kwargs"] =
            json!({"class_name": "x", "scale": 1, "rotate": 1, "aniso": 1, "xfrac": 1});
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
