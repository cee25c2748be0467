//! What users get wrong is told in one line that says what to do.

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
        (
            with(&["--seeds=1", "--generator=G"]),
            "has no such generator",
        ),
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
            "file/a.png",
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
            "cannot read the picture file",
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
    // Nothing half-made, and nothing replaced unasked.
    let left = names(dir.path());
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
    let err = fails(dir.path(), 1, &["convert", &network, "cut.pkl"]);
    assert!(err.contains("--force"), "{err}");
}

#[test]
fn an_output_never_takes_the_place_of_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("n.safetensors");
    std::fs::copy(data("network.safetensors"), &network).unwrap();
    let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([200, 10, 90]));
    std::fs::create_dir(dir.path().join("out")).unwrap();
    picture.save(dir.path().join("out/target.png")).unwrap();
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
