//! Outputs replace earlier outputs, but files of the user only with `--force`, and inputs never.

mod common;

use std::path::Path;

use common::{data, fails, names, official, ok};

/// Commands, each with the name of an output file for which the user already has a file.
fn commands(network: &str) -> Vec<(Vec<String>, &'static str)> {
    let words = |text: &str| -> Vec<String> {
        let text = text.replace("NET", network);
        text.split(' ').map(str::to_owned).collect()
    };
    [
        ("images -n NET --seeds 3-4 -o out", "out/seed0004.png"),
        ("images -n NET --z z.safetensors -o out", "out/z0000.png"),
        ("images -n NET --w ws.safetensors -o out", "out/proj00.png"),
        ("grid -n NET --seeds 0-3", "grid.png"),
        ("grid -n NET --seeds 0-3 --out sheet.png", "sheet.png"),
        (
            "style-mix -n NET --rows 1 --cols 2 --styles 0 -o mix",
            "mix/grid.png",
        ),
        (
            "style-mix -n NET --rows 1 --cols 2 --styles 0 -o mix",
            "mix/1-2.png",
        ),
        (
            "style-mix -n NET --rows 1 --cols 2 --styles 0 -o mix",
            "mix/2-2.png",
        ),
        ("latent-walk -n NET --frames 3", "latent-walk.webp"),
        ("latent-walk -n NET --frames 3 -o walk.gif", "walk.gif"),
        ("latent-walk -n NET --frames 3 -o walk.png", "walk.png"),
        (
            "interpolate -n NET --seeds 1,2 --frames 2",
            "interpolate.webp",
        ),
        ("project -n NET -t face.png --steps 2 -o p", "p/target.png"),
        ("project -n NET -t face.png --steps 2 -o p", "p/proj.png"),
        (
            "project -n NET -t face.png --steps 2 -o p",
            "p/projected_w.npz",
        ),
        (
            "project -n NET -t face.png --steps 2 --film -o p",
            "p/proj.webp",
        ),
    ]
    .map(|(text, file)| (words(text), file))
    .into()
}

fn prepare(folder: &Path) {
    for name in ["z.safetensors", "ws.safetensors"] {
        std::fs::copy(data(name), folder.join(name)).unwrap();
    }
    image::RgbImage::from_pixel(20, 20, image::Rgb([90, 20, 200]))
        .save(folder.join("face.png"))
        .unwrap();
}

#[test]
fn files_of_the_user_are_replaced_by_force_only() {
    let network = data("network.safetensors");
    for (args, file) in commands(&network) {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let path = dir.path().join(file);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "of the user").unwrap();
        let before = names(path.parent().unwrap());
        let text = fails(dir.path(), 1, &args);
        assert!(
            text.contains(file) && text.contains("--force"),
            "{args:?}: {text}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"of the user");
        // No other file was written, either.
        assert_eq!(names(path.parent().unwrap()), before, "{args:?}");

        ok(dir.path(), &[&args[..], &["--force"]].concat());
        let first = std::fs::read(&path).unwrap();
        assert_ne!(first, b"of the user");
        // Running the command again replaces its own output.
        ok(dir.path(), &args);
        assert!(std::fs::read(&path).unwrap() == first, "{args:?}");
    }
}

#[test]
fn an_image_that_was_edited_belongs_to_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let args = ["images", "-n", &network, "--seeds", "7", "-o", "."];
    ok(dir.path(), &args);
    let path = dir.path().join("seed0007.png");
    let image = image::open(&path).unwrap();
    image.fliph().save(&path).unwrap();
    let text = fails(dir.path(), 1, &args);
    assert!(text.contains("seed0007.png"), "{text}");
    assert_eq!(image::open(&path).unwrap(), image.fliph());
}

#[test]
fn inputs_are_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    prepare(root);
    let network = data("network.safetensors");
    // Checkpoints are recognized by their content, so they may have any name.
    for name in ["grid.png", "walk.gif", "proj.png", "1-2.png"] {
        std::fs::copy(&network, root.join(name)).unwrap();
    }
    std::fs::copy(root.join("face.png"), root.join("target.png")).unwrap();
    std::fs::copy(official(), root.join("net.pkl")).unwrap();
    let snapshot = "network-snapshot-000001.safetensors";
    std::fs::create_dir(root.join("run")).unwrap();
    std::fs::copy(&network, root.join("run").join(snapshot)).unwrap();
    let in_run = format!("run/{snapshot}");
    for (args, file) in [
        ("grid -n grid.png --seeds 1", "grid.png"),
        ("latent-walk -n walk.gif --frames 2 -o walk.gif", "walk.gif"),
        ("style-mix -n 1-2.png --rows 1 --cols 2 -o .", "1-2.png"),
        ("project -n proj.png -t face.png -o .", "proj.png"),
        ("project -n NET -t target.png -o .", "target.png"),
        ("convert net.pkl net.pkl", "net.pkl"),
        ("convert run RUN", &in_run),
    ] {
        let args = args.replace("NET", &network).replace("RUN", &in_run);
        let args: Vec<&str> = args.split(' ').chain(["--force"]).collect();
        let before = std::fs::read(root.join(file)).unwrap();
        let text = fails(root, 1, &args);
        assert!(text.contains("is an input"), "{args:?}: {text}");
        assert!(
            std::fs::read(root.join(file)).unwrap() == before,
            "{args:?}"
        );
    }
}

#[test]
fn every_command_reports_damage_of_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    prepare(root);
    let network = data("network.safetensors");
    ok(root, &["convert", &network, "a.safetensors"]);
    let whole = std::fs::read(root.join("a.safetensors")).unwrap();
    let at = whole.len() / 2;
    let mut damaged = whole.clone();
    damaged[at] ^= 4;
    std::fs::write(root.join("a.safetensors"), &damaged).unwrap();
    for args in [
        "images -n a.safetensors --seeds 1 -o out",
        "grid -n a.safetensors --seeds 1",
        "style-mix -n a.safetensors --rows 1 --cols 2 -o out",
        "latent-walk -n a.safetensors --frames 2",
        "interpolate -n a.safetensors --seeds 1,2",
        "project -n a.safetensors -t face.png -o out",
        "convert a.safetensors b.pkl",
        "convert a.safetensors b.onnx",
        "describe a.safetensors",
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let text = fails(root, 1, &args);
        assert!(
            text.contains("a.safetensors: the file is damaged: its checksum")
                && text.contains("another snapshot"),
            "{args:?}: {text}"
        );
    }
    assert!(!root.join("b.pkl").exists() && !root.join("grid.png").exists());
    std::fs::write(root.join("a.safetensors"), &whole).unwrap();
    ok(root, &["grid", "-n", "a.safetensors", "--seeds", "1"]);
}
