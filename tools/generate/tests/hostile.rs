//! User errors: each message names the problem and says what to do.

mod common;

use common::{data, fails, names, official};

#[test]
fn wrong_flags_are_usage_errors() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    for (args, words) in [
        (vec!["images", "-n", &network, "-o", "x"], "--seeds"),
        (
            vec!["images", "-n", &network, "-o", "x", "--seeds", "5-1"],
            "backwards",
        ),
        (
            vec!["images", "-n", &network, "-o", "x", "--seeds", "a"],
            "whole number",
        ),
        (
            vec!["images", "-n", &network, "-o", "x", "--seeds", "0-9999999"],
            "1000000",
        ),
        (
            vec![
                "images",
                "-n",
                &network,
                "-o",
                "x",
                "--seeds=1",
                "--w=a.npz",
            ],
            "cannot be used with",
        ),
        (
            vec![
                "images",
                "-n",
                &network,
                "-o",
                "x",
                "--w=a.npz",
                "--trunc=0.5",
            ],
            "cannot be used with",
        ),
        (
            vec![
                "images",
                "-n",
                &network,
                "-o",
                "x",
                "--seeds=1",
                "--noise-mode=some",
            ],
            "random",
        ),
        (
            vec!["grid", "-n", &network, "--seeds=1", "--cols=0"],
            "--cols",
        ),
        (vec!["latent-walk", "-n", &network, "--fps=0"], "--fps"),
    ] {
        let err = fails(dir.path(), 2, &args);
        assert!(err.contains(words), "{args:?}: {err}");
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn wrong_files_and_folders_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let pkl = official();
    let whole = std::fs::read(&pkl).unwrap();
    std::fs::write(dir.path().join("cut.pkl"), &whole[..whole.len() - 9000]).unwrap();
    std::fs::write(dir.path().join("page.pkl"), "<!doctype html>").unwrap();
    std::fs::write(dir.path().join("text.npz"), "no archive").unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let images = |network: &str| {
        vec!["images", "-n", network, "-o", "x", "--seeds=1"]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let with = |more: &[&str]| {
        let mut args = vec!["images", "-n", &network, "-o", "x"];
        args.extend(more);
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let list = |args: &[&str]| args.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    for (args, words) in [
        (images("no.pkl"), "no.pkl: neither a file"),
        (images("ffhq512"), "KAOGAN_OFFLINE"),
        (images("cut.pkl"), "cut short"),
        (images("page.pkl"), "web page"),
        (images("."), "no network-snapshot"),
        (with(&["--seeds=1", "--device=cuda:99"]), "--device cuda:99"),
        (with(&["--seeds=1", "--generator=G"]), "has no generator"),
        (with(&["--seeds=1", "--trunc=inf"]), "--truncation-psi inf"),
        (with(&["--w=text.npz"]), "text.npz"),
        (with(&["--w=none.npz"]), "none.npz"),
        (with(&["--w=file"]), ".npz, .npy or .safetensors"),
        (
            list(&["images", "-n", &network, "--seeds=1", "-o", "file/below"]),
            "file/below",
        ),
        (
            list(&["grid", "-n", &network, "--seeds=1", "-o", "file/a.png"]),
            "cannot make the folder 'file'",
        ),
        (
            list(&["grid", "-n", &network, "--seeds=0-9999", "--cols=10000"]),
            "--cols",
        ),
        (
            list(&[
                "style-mix",
                "-n",
                &network,
                "--rows=1",
                "--cols=2",
                "--styles=0-8",
                "-o",
                "x",
            ]),
            "layers 0 to 7",
        ),
        (
            list(&["interpolate", "-n", &network, "--seeds=1"]),
            "at least two",
        ),
        (
            list(&["interpolate", "-n", &network, "--seeds=1,2", "-o", "a.avi"]),
            "a.avi",
        ),
        (
            list(&["interpolate", "-n", &network, "--seeds=1,2", "-o", "a.mp4"]),
            "ffmpeg is not installed",
        ),
        (
            list(&[
                "interpolate",
                "-n",
                &network,
                "--seeds=1,2",
                "--fps=60",
                "-o",
                "a.gif",
            ]),
            "1 to 50",
        ),
        (
            list(&["project", "-n", &network, "--target=file", "-o", "x"]),
            "cannot read the image file",
        ),
        (
            list(&["convert", &pkl, "a.ckpt"]),
            ".safetensors, .pkl (official), .pt",
        ),
        (list(&["convert", "cut.pkl", "a.safetensors"]), "cut short"),
        (list(&["describe", "file"]), "empty"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let err = fails(dir.path(), 1, &args);
        assert!(err.contains(words), "{args:?}: {err}");
        let last = err.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "{args:?}: {err}");
    }
    // There are no temporary files, and no file was replaced without --force.
    let left = names(dir.path());
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
    let err = fails(dir.path(), 1, &["convert", &network, "cut.pkl"]);
    assert!(err.contains("--force"), "{err}");
}

#[test]
fn an_output_never_replaces_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("n.safetensors");
    std::fs::copy(data("network.safetensors"), &network).unwrap();
    let target = image::RgbImage::from_pixel(8, 8, image::Rgb([200, 10, 90]));
    std::fs::create_dir(dir.path().join("out")).unwrap();
    target.save(dir.path().join("out/target.png")).unwrap();
    let before = (
        std::fs::read(&network).unwrap(),
        std::fs::read(dir.path().join("out/target.png")).unwrap(),
    );
    for args in [
        &[
            "project",
            "-n",
            "n.safetensors",
            "-t",
            "out/target.png",
            "-o",
            "out",
            "--steps=1",
        ][..],
        &["convert", "n.safetensors", "n.safetensors", "--force"],
    ] {
        let err = fails(dir.path(), 1, args);
        assert!(
            err.contains("is an input of this command"),
            "{args:?}: {err}"
        );
    }
    let after = (
        std::fs::read(&network).unwrap(),
        std::fs::read(dir.path().join("out/target.png")).unwrap(),
    );
    assert!(before == after);
    assert_eq!(names(dir.path()), ["n.safetensors", "out"]);
}

/// Builds a zip record (local or central): `PK12` and the fields that both kinds have.
fn zip_record(local: bool, name: &str, size: u32, offset: u32) -> Vec<u8> {
    let mut out = match local {
        true => b"PK\x03\x04".to_vec(),
        false => b"PK\x01\x02\x14\0".to_vec(),
    };
    // Version, flags, method, time, date, checksum. Overlapping members are refused before any checksum is computed.
    out.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    out.extend((name.len() as u32).to_le_bytes());
    if !local {
        out.extend([0; 10]);
        out.extend(offset.to_le_bytes());
    }
    out.extend(name.as_bytes());
    out
}

#[test]
fn checkpoints_that_decode_to_endless_data_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    // A pickle of `_codecs.encode`, nested 100,000 deep as a key.
    const DEEP: usize = 100_000;
    let mut deep = b"\x80\x02}c_codecs\nencode\nq\x000".to_vec();
    deep.extend(b"h\x00".repeat(DEEP));
    deep.extend(b"X\x01\0\0\0a");
    deep.extend(b"\x85R".repeat(DEEP));
    deep.extend(b"Ns.");
    write("deep.pkl", &deep);
    // A list of a million pairs that is the argument of `dict` 64 times.
    let mut shared = b"\x80\x02cbuiltins\ndict\nq\x00]q\x01(".to_vec();
    shared.extend(b"NN\x86".repeat(1_000_000));
    shared.extend(b"e0h\x00(");
    shared.extend(b"h\x01".repeat(64));
    shared.extend(b"tR.");
    write("shared.pkl", &shared);
    // 60,000 zip members that all refer to the same 64 MiB.
    const SIZE: u32 = 64 << 20;
    let pickle = b"\x80\x02}.";
    let mut zip = zip_record(true, "archive/data.pkl", 4, 0);
    zip.extend(pickle);
    let at = zip.len() as u32;
    zip.extend(zip_record(true, "archive/data/0", SIZE, 0));
    zip.resize(zip.len() + SIZE as usize, 0);
    let directory = zip.len() as u32;
    zip.extend(zip_record(false, "archive/data.pkl", 4, 0));
    for i in 0..60_000 {
        zip.extend(zip_record(false, &format!("archive/data/{i}"), SIZE, at));
    }
    let length = zip.len() as u32 - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([60_001u16.to_le_bytes(), 60_001u16.to_le_bytes()].concat());
    zip.extend([length.to_le_bytes(), directory.to_le_bytes()].concat());
    zip.extend([0, 0]);
    write("overlap.pt", &zip);
    for (name, words) in [
        ("deep.pkl", "holds none of G, D and G_ema"),
        ("shared.pkl", "stands in many places"),
        ("overlap.pt", "overlap: the file is damaged or hostile"),
    ] {
        let start = std::time::Instant::now();
        let error = fails(dir.path(), 1, &["describe", name]);
        assert!(error.contains(name) && error.contains(words), "{error}");
        let took = start.elapsed();
        assert!(
            took < std::time::Duration::from_secs(30),
            "{name}: {took:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn pipes_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    for path in [&pipe, &dir.path().join("pipe.npz")] {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    }
    let network = data("network.safetensors");
    for args in [
        vec!["describe", "pipe"],
        vec!["convert", "pipe", "x.safetensors"],
        vec!["images", "-n", "pipe", "-o", "x", "--seeds", "1"],
        vec!["images", "-n", &network, "-o", "x", "--w", "pipe.npz"],
        vec!["project", "-n", &network, "-t", "pipe", "-o", "x"],
    ] {
        let error = fails(dir.path(), 1, &args);
        assert!(
            error.contains("pipe") && error.contains("it is a pipe"),
            "{args:?}: {error}"
        );
    }
}

/// Writes a safetensors file with the convolutions of VGG16 under torchvision's names, all zero, without LPIPS weights.
fn write_vgg16_without_lpips(path: &std::path::Path) {
    // For each convolution: its index in `features`, and its number of output channels.
    const CONVOLUTIONS: [(usize, usize); 13] = [
        (0, 64),
        (2, 64),
        (5, 128),
        (7, 128),
        (10, 256),
        (12, 256),
        (14, 256),
        (17, 512),
        (19, 512),
        (21, 512),
        (24, 512),
        (26, 512),
        (28, 512),
    ];
    let (mut header, mut end, mut inputs) = (serde_json::Map::new(), 0, 3);
    for (at, outputs) in CONVOLUTIONS {
        for (part, shape) in [
            ("weight", vec![outputs, inputs, 3, 3]),
            ("bias", vec![outputs]),
        ] {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            header.insert(
                format!("features.{at}.{part}"),
                serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}),
            );
        }
        inputs = outputs;
    }
    let header = serde_json::Value::from(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + end, 0);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn vgg16_without_lpips_is_refused_for_projection() {
    let dir = tempfile::tempdir().unwrap();
    write_vgg16_without_lpips(&dir.path().join("vgg16.safetensors"));
    let target = image::RgbImage::from_pixel(8, 8, image::Rgb([200, 10, 90]));
    target.save(dir.path().join("target.png")).unwrap();
    let network = data("network.safetensors");
    let args = [
        "project",
        "-n",
        &network,
        "-t",
        "target.png",
        "-o",
        "out",
        "--perceptual",
        "vgg16.safetensors",
    ];
    let err = fails(dir.path(), 1, &args);
    // The message offers both solutions: the cache and a second file.
    assert!(
        err.contains("lack those of LPIPS")
            && err.contains("eval weights --from vgg.pth")
            && err.contains("each with --perceptual"),
        "{err}"
    );
    assert!(!dir.path().join("out/proj.png").exists());
}
