//! Videos and projection.

mod common;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use common::{data, names, ok, png};
use image::AnimationDecoder;
use image::codecs::webp::WebPDecoder;

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = BufReader::new(File::open(path).unwrap());
    let frames = WebPDecoder::new(file).unwrap().into_frames();
    let frames = frames.collect_frames().unwrap();
    let rgb = |f: &image::Frame| {
        f.buffer()
            .pixels()
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect()
    };
    frames.iter().map(rgb).collect()
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

/// For a video that repeats: the mean difference of successive frames, and that of frames far apart.
fn differences(video: &[Vec<u8>]) -> (f64, f64) {
    let n = video.len();
    let near = (0..n).map(|i| distance(&video[i], &video[(i + 1) % n]));
    let far = (0..n).map(|i| distance(&video[i], &video[(i + n / 2) % n]));
    (near.sum::<f64>() / n as f64, far.sum::<f64>() / n as f64)
}

#[test]
fn walks_begin_at_the_seed_and_close() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    ok(
        dir.path(),
        &["images", "-n", &network, "--seeds=5,8", "-o", "."],
    );
    let seed = |n: u32| png(&dir.path().join(format!("seed{n:04}.png"))).pixels;
    for path in ["circular", "noise-loop"] {
        let out = format!("{path}.webp");
        ok(
            dir.path(),
            &[
                "latent-walk",
                "-n",
                &network,
                "--seed=5",
                "--path",
                path,
                "--frames=40",
                "--windings=1",
                "--fps=20",
                "--out",
                &out,
            ],
        );
        let video = frames(&dir.path().join(&out));
        assert_eq!(video.len(), 40);
        let (near, far) = differences(&video);
        assert!(near < far / 3.0, "{path}: {near} {far}");
        if path == "circular" {
            assert_eq!(video[0], seed(5));
        }
    }
    for path in ["straight", "slerp"] {
        let text = ok(
            dir.path(),
            &[
                "interpolate",
                "-n",
                &network,
                "--seeds=5,8",
                "--path",
                path,
                "--frames=20",
                "--json",
            ],
        );
        // ffmpeg is not available in this test.
        assert!(
            text.contains("\"interpolate.webp\"") && text.contains("\"frames\":40"),
            "{text}"
        );
        let video = frames(&dir.path().join("interpolate.webp"));
        let (near, far) = differences(&video);
        assert!(near < far / 3.0, "{path}: {near} {far}");
        assert!(
            distance(&video[0], &seed(5)) < 0.1 && distance(&video[20], &seed(8)) < 0.1,
            "{path}"
        );
    }
    let text = ok(
        dir.path(),
        &[
            "interpolate",
            "-n",
            &network,
            "--seeds=5,8,9",
            "--frames=3",
            "--once",
            "-o",
            "once.gif",
        ],
    );
    assert!(text.starts_with("7 frames"), "{text}");
}

#[test]
fn a_generated_image_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    ok(
        dir.path(),
        &[
            "images",
            "-n",
            &network,
            "--seeds=5",
            "-o",
            ".",
            "--trunc=0.4",
        ],
    );
    let text = ok(
        dir.path(),
        &[
            "project",
            "-n",
            &network,
            "--target=seed0005.png",
            "--steps=120",
            "--outdir=found",
            "--video",
            "--json",
        ],
    );
    let text: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (first, last) = (&text["first_distance"], &text["distance"]);
    assert!(
        last.as_f64().unwrap() < 0.2 * first.as_f64().unwrap(),
        "{first} {last}"
    );
    assert!(
        text["loss"]
            .as_str()
            .unwrap()
            .contains("no perceptual network")
    );
    let folder = dir.path().join("found");
    assert_eq!(
        names(&folder),
        ["proj.png", "proj.webp", "projected_w.npz", "target.png"]
    );
    assert_eq!(
        png(&folder.join("target.png")).pixels,
        png(&dir.path().join("seed0005.png")).pixels
    );
    assert_eq!(frames(&folder.join("proj.webp")).len(), 120);
    // Generating from the latent that was found gives the same image.
    ok(
        dir.path(),
        &[
            "images",
            "-n",
            &network,
            "--w=found/projected_w.npz",
            "-o",
            "again",
        ],
    );
    assert_eq!(
        png(&dir.path().join("again/proj00.png")).pixels,
        png(&folder.join("proj.png")).pixels
    );
}
