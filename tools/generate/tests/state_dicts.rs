//! Images from files of other programs that lack noise maps, contain a bare state dict, or have prefixes in tensor
//! names; and files whose content does not match their names.

mod common;

use std::path::Path;

use common::{fails, generate, official, ok, png};

/// Encodes tensors as a safetensors file.
fn safetensors(tensors: &[(String, interop::Tensor)]) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(&tensor.data);
        header.push(format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":{:?},\"data_offsets\":[{start},{}]}}",
            tensor.shape,
            data.len()
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &data,
    ]
    .concat()
}

/// Generates an image with a noise mode; returns its pixels and stderr.
fn image(folder: &Path, network: &str, noise: &str) -> (Vec<u8>, String) {
    let out = format!("{network}-{noise}");
    let args = [
        "images",
        "-n",
        network,
        "--seeds",
        "3",
        "--noise-mode",
        noise,
        "-o",
        &out,
    ];
    let output = generate(folder, &args);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{network} {noise}: {text}");
    (png(&folder.join(out).join("seed0003.png")).pixels, text)
}

#[test]
fn files_without_noise_maps_make_the_images_of_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    ok(folder, &["convert", &official(), "whole.pt"]);
    let whole = interop::read_tensors(&folder.join("whole.pt"))
        .unwrap()
        .tensors;
    let of_ema = |keep: &dyn Fn(&str) -> bool, prefix: &str| -> Vec<(String, interop::Tensor)> {
        let all = whole.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix("g_ema.").filter(|name| keep(name))?;
            Some((format!("{prefix}{name}"), tensor.clone()))
        });
        all.collect()
    };
    let is_no_noise = |name: &str| !name.starts_with("noises.");
    for (file, prefix) in [
        ("below.safetensors", "g_ema."),
        ("wrapped.safetensors", "g_ema.module."),
        ("bare.safetensors", ""),
        ("bare-wrapped.safetensors", "module."),
        ("lightning.safetensors", "state_dict.generator_ema."),
    ] {
        std::fs::write(
            folder.join(file),
            safetensors(&of_ema(&is_no_noise, prefix)),
        )
        .unwrap();
        for noise in ["none", "random"] {
            let (pixels, _) = image(folder, file, noise);
            assert_eq!(pixels, image(folder, "whole.pt", noise).0, "{file} {noise}");
        }
        let (pixels, text) = image(folder, file, "const");
        assert!(text.contains("noise maps were drawn with seed 0"), "{text}");
        assert_eq!(
            pixels,
            image(folder, file, "const").0,
            "the same every time"
        );
    }
    // A file converted from such a file still causes the warning where its noise is used.
    ok(folder, &["convert", "bare.safetensors", "ours.safetensors"]);
    let (_, text) = image(folder, "ours.safetensors", "none");
    assert!(!text.contains("noise maps"), "{text}");
    let (_, text) = image(folder, "ours.safetensors", "const");
    assert!(text.contains("noise maps were drawn anew"), "{text}");
    // A file with all noise maps causes no warning.
    std::fs::write(
        folder.join("all.safetensors"),
        safetensors(&of_ema(&|_| true, "module.")),
    )
    .unwrap();
    let (pixels, text) = image(folder, "all.safetensors", "const");
    assert_eq!(pixels, image(folder, "whole.pt", "const").0);
    assert!(!text.contains("noise maps"), "{text}");
}

#[test]
fn files_that_are_not_complete_checkpoints_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for name in ["whole.pt", "whole.safetensors", "whole.pkl"] {
        ok(folder, &["convert", &official(), name]);
    }
    let cut = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        bytes[..bytes.len() * 2 / 3].to_vec()
    };
    let page = b"<!DOCTYPE html>\n<html><head><title>Google Drive - Virus scan warning</title></head></html>";
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    for (bytes, words) in [
        (cut("whole.pt"), "cut short"),
        (cut("whole.safetensors"), "cut short"),
        (cut("whole.pkl"), "cut short"),
        (page.to_vec(), "this is a web page"),
        (pointer.to_vec(), "git lfs pull"),
        (Vec::new(), "the file is empty"),
        (vec![0; 9000], "only zero bytes"),
        (
            b"Quota exceeded for this file".to_vec(),
            "this is text (\"Quota exceeded",
        ),
    ] {
        for ending in ["pt", "pth", "safetensors", "pkl"] {
            let name = format!("network.{ending}");
            std::fs::write(folder.join(&name), &bytes).unwrap();
            for args in [
                &["images", "-n", &name, "--seeds", "1", "-o", "out"][..],
                &["describe", &name],
                &["convert", &name, "other.safetensors"],
                &["convert", &name, "other.onnx"],
            ] {
                let text = fails(folder, 1, args);
                assert!(
                    text.contains(words) && text.contains(&name),
                    "{args:?}: {text}"
                );
            }
        }
        for name in ["w.npz", "w.npy", "w.safetensors"] {
            std::fs::write(folder.join(name), &bytes).unwrap();
            let args = ["images", "-n", "whole.pkl", "--w", name, "-o", "out"];
            let text = fails(folder, 1, &args);
            // A cut checkpoint is not a cut .npy file, and need not be described as such.
            let is_reported =
                text.contains(words) || (words == "cut short" && text.contains("neither .npz"));
            assert!(is_reported && text.contains(name), "{name}: {text}");
        }
    }
}
