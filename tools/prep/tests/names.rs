//! Names of files: encodings, backslashes, repeated names, and files with the extension of an archive that are none.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{drawing, encode, input, manifest, ok, prep};
use image::ImageFormat;
use test_support::zips::raw_zip;

const RUN: &str = "run dump --out x.zip -r 32 --detector none --dedup off --chroma off --blank off --text off \
                   --aspect off --blur off --detail off --max-upscale 100";

fn png(seed: u64) -> Vec<u8> {
    encode(&drawing(seed, 40), ImageFormat::Png)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The class label of each kept input.
fn labels(folder: &Path) -> BTreeMap<String, u64> {
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let kept = lines.iter().filter(|line| line["label"].is_u64());
    kept.map(|line| {
        let source = line["source"].as_str().unwrap().to_owned();
        (source, line["label"].as_u64().unwrap())
    })
    .collect()
}

#[test]
fn folders_of_any_encoding_are_classes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let images: Vec<Vec<u8>> = (0..7).map(png).collect();
    // Raw CP932, names without the UTF-8 flag; backslashes; two members of one name.
    let members = [
        (b"\x94\x4c/1.png".as_slice(), images[0].as_slice()),
        (b"\x8c\xa2/2.png", &images[1]),
        (b"cat\\3.png", &images[2]),
        (b"dog\\4.png", &images[3]),
        (b"dog/4.png", &images[4]),
        (b"dog/4.png", &images[5]),
        (b"../up.png", &images[6]),
        (b"..\\up.png", &images[6]),
        (b"C:\\up.png", &images[6]),
    ];
    write(&dump, "z.zip", &raw_zip(&members));
    let mut expected = vec![
        "z.zip/cat/3.png",
        "z.zip/dog/4.png",
        "z.zip/dog/4.png#2",
        "z.zip/dog/4.png#3",
        "z.zip/犬/2.png",
        "z.zip/猫/1.png",
    ];
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        for (i, name) in [
            b"\x83\x6c\x83\x52/1.png".as_slice(),
            b"\x83\x43\x83\x6b/1.png",
            "ネコ/1.png".as_bytes(),
            b"caf\xe9/1.png",
            b"caf\xe8/1.png",
        ]
        .iter()
        .enumerate()
        {
            let path = dump.join(std::ffi::OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, png(20 + i as u64)).unwrap();
        }
        expected.extend([
            "caf\\xE8/1.png",
            "caf\\xE9/1.png",
            "イヌ/1.png",
            "ネコ/1.png",
            "ネコ#2/1.png",
        ]);
    }
    ok(folder.path(), &format!("{RUN} --labels folder"));
    let labels = labels(folder.path());
    expected.sort_unstable();
    assert_eq!(labels.keys().collect::<Vec<_>>(), expected);
    let folders: BTreeMap<&str, u64> = labels
        .iter()
        .map(|(source, label)| (source.rsplit_once('/').unwrap().0, *label))
        .collect();
    // One class for each folder, by the order of their names.
    let classes: Vec<u64> = folders.values().copied().collect();
    assert_eq!(classes, (0..folders.len() as u64).collect::<Vec<_>>());
    let lines = manifest(&folder.path().join("x.manifest.jsonl"));
    for name in ["z.zip/../up.png", "z.zip/../up.png#2", "z.zip/C:/up.png"] {
        assert_eq!(input(&lines, name)["reason"], "unsafe_name", "{name}");
    }
}

#[test]
fn lists_may_be_of_any_encoding() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "dump/猫/1.png", &png(1));
    write(folder.path(), "dump/b/2.png", &png(2));
    let text = "dump\\猫\\1.png\r\ndump\\b\\2.png\r\n";
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes);
    let lists = [
        format!("\u{feff}{text}").into_bytes(),
        [vec![0xff, 0xfe], utf16.collect()].concat(),
        // CP932; 94 4C is 猫.
        b"dump\\\x94\x4c\\1.png\r\ndump/b/2.png\n".to_vec(),
    ];
    for list in lists {
        write(folder.path(), "list.txt", &list);
        ok(folder.path(), &RUN.replace("dump", "@list.txt"));
        let lines = manifest(&folder.path().join("x.manifest.jsonl"));
        for name in ["dump/猫/1.png", "dump/b/2.png"] {
            assert_eq!(input(&lines, name)["decision"], "kept", "{name}");
        }
    }
}

#[test]
fn archives_that_are_none_are_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let whole = raw_zip(&[(b"a.png", &png(1))]);
    let cases: [(&str, &[u8], &str, &str); 8] = [
        (
            "page.zip",
            b"<!DOCTYPE html><html>",
            "a web page",
            "not_a_picture",
        ),
        ("empty.zip", b"", "an empty file", "not_a_picture"),
        (
            "lfs.zip",
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
            "not_a_picture",
        ),
        ("zeros.zip", &[0; 4096], "zero bytes", "not_a_picture"),
        ("rar.cbz", b"Rar!\x1a\x07\x01\x00", "RAR", "not_a_picture"),
        (
            "seven.zip",
            b"7z\xbc\xaf\x27\x1c\0\x04",
            "7z",
            "not_a_picture",
        ),
        ("gz.tar", b"\x1f\x8b\x08\0", "gzip", "not_a_picture"),
        (
            "cut.zip",
            &whole[..whole.len() - 30],
            "cut short",
            "unreadable",
        ),
    ];
    write(folder.path(), "dump/good.png", &png(2));
    // An image with the extension of an archive.
    write(folder.path(), "dump/image.zip", &png(3));
    for (name, bytes, _, _) in cases {
        write(folder.path(), &format!("dump/{name}"), bytes);
    }
    ok(folder.path(), RUN);
    let lines = manifest(&folder.path().join("x.manifest.jsonl"));
    assert_eq!(input(&lines, "image.zip")["decision"], "kept");
    for (name, _, word, reason) in cases {
        let line = input(&lines, name);
        assert_eq!(line["reason"], reason, "{name}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{name}: {detail}");
        for args in [
            RUN.replace("dump", &format!("dump/{name}")),
            format!("verify dump/{name}"),
            format!("inspect dump/{name}"),
        ] {
            let output = prep(folder.path(), &args);
            assert_eq!(output.status.code(), Some(1), "{args}");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(word), "{args}: {error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn paths_that_no_recipe_can_hold_are_named_and_all_others_work() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let below = |name: &[u8]| folder.join(OsStr::from_bytes(name));
    let run = |args: &[&[u8]]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_prep"))
            .current_dir(folder)
            .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told)
    };
    fs::create_dir(folder.join("in")).unwrap();
    fs::create_dir(below(b"in\xe9")).unwrap();
    let image = encode(&drawing(1, 300), ImageFormat::Png);
    fs::write(folder.join("in/a.png"), &image).unwrap();
    fs::write(below(b"in\xe9/a.png"), &image).unwrap();
    for (args, wanted) in [
        (
            &[&b"run"[..], b"in\xe9", b"-o", b"x.zip"][..],
            "input: 'in\\xE9' is not UTF-8",
        ),
        (
            &[b"run", b"in", b"-o", b"x\xe9.zip"],
            "--out: 'x\\xE9.zip' is not UTF-8",
        ),
        (
            &[b"run", b"in", b"-o", b"x.zip", b"--exclude", b"e\xe9.tsv"],
            "--exclude: 'e\\xE9.tsv' is not UTF-8",
        ),
        (
            &[
                b"run",
                b"in",
                b"-o",
                b"x.zip",
                b"--metadata",
                b"p\xe9.jsonl",
            ],
            "--metadata: 'p\\xE9.jsonl' is not UTF-8",
        ),
    ] {
        let (code, told) = run(args);
        assert!(code == Some(1) && told.contains(wanted), "{told}");
        assert!(!folder.join("x.zip").exists());
    }
    let (code, told) = run(&[
        b"run",
        b"in",
        b"-o",
        b"x.zip",
        b"--detector",
        b"onnx:m\xe9.onnx",
    ]);
    assert!(
        code == Some(2) && told.contains("--detector 'onnx:m\\xE9.onnx'"),
        "{told}"
    );
    // Names below a folder whose name is text may be any bytes, and so may all other file names.
    let recipe = "inputs = ['in']\nout = 'x.zip'\ndetector = 'none'\n[crop]\nresolution = 64\n";
    fs::write(below(b"r\xe9.toml"), recipe).unwrap();
    let (code, told) = run(&[b"run", b"--recipe", b"r\xe9.toml"]);
    assert_eq!(code, Some(0), "{told}");
    fs::copy(folder.join("x.zip"), below(b"x\xe9.zip")).unwrap();
    let manifest = folder.join("x.manifest.jsonl");
    fs::copy(&manifest, below(b"m\xe9.jsonl")).unwrap();
    for args in [
        &[&b"verify"[..], b"x\xe9.zip", b"--json"][..],
        &[b"diff", b"m\xe9.jsonl", b"x.manifest.jsonl", b"--json"],
    ] {
        let (code, told) = run(args);
        assert_eq!(code, Some(0), "{told}");
    }
}
