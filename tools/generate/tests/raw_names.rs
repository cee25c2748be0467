//! Paths that are not UTF-8, in every flag that takes a path.
#![cfg(unix)]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use common::{generate, official, ok, png};

/// Runs `generate` with arguments given as bytes.
fn raw(folder: &std::path::Path, args: &[&[u8]]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_generate"))
        .current_dir(folder)
        .env("KAOGAN_FFMPEG", "")
        .env("KAOGAN_OFFLINE", "1")
        .env("KAOGAN_CACHE", folder)
        .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
        .output()
        .unwrap()
}

const NET: &[u8] = b"it's caf\xe9/net work.safetensors";

#[test]
fn every_path_may_be_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    ok(folder, &["convert", &official(), "net.safetensors"]);
    let below = |name: &[u8]| folder.join(OsStr::from_bytes(name));
    std::fs::create_dir(below(b"it's caf\xe9")).unwrap();
    std::fs::copy(folder.join("net.safetensors"), below(NET)).unwrap();
    let ok_raw = |args: &[&[u8]]| {
        let output = raw(folder, args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap()
    };
    ok(
        folder,
        &[
            "images",
            "-n",
            "net.safetensors",
            "--seeds",
            "1",
            "-o",
            "plain",
        ],
    );
    let out = "出力 ".bytes().chain([0xe9]).collect::<Vec<u8>>();
    ok_raw(&[
        b"images", b"-n", NET, b"--seeds", b"1", b"-o", &out, b"--json",
    ]);
    let image = below(&out).join("seed0001.png");
    assert_eq!(
        png(&image).pixels,
        png(&folder.join("plain/seed0001.png")).pixels
    );
    // A run folder, of which a snapshot is chosen.
    std::fs::create_dir(below(b"run\xff")).unwrap();
    std::fs::copy(
        below(NET),
        below(b"run\xff/network-snapshot-000004.safetensors"),
    )
    .unwrap();
    ok_raw(&[
        b"grid",
        b"-n",
        b"run\xff",
        b"--seeds",
        b"0-3",
        b"--out",
        b"g\xe9.png",
        b"--json",
    ]);
    assert!(below(b"g\xe9.png").is_file());
    ok_raw(&[b"describe", NET, b"--json"]);
    ok_raw(&[b"convert", NET, b"c\xe9.pkl", b"--json"]);
    assert!(below(b"c\xe9.pkl").is_file());
    ok_raw(&[
        b"project",
        b"-n",
        NET,
        b"--target",
        &[&out, &b"/seed0001.png"[..]].concat(),
        b"--steps",
        b"2",
        b"--outdir",
        b"p\xe9",
        b"--json",
    ]);
    ok_raw(&[
        b"images",
        b"-n",
        NET,
        b"--w",
        b"p\xe9/projected_w.npz",
        b"-o",
        b"again\xe9",
    ]);
    ok_raw(&[
        b"interpolate",
        b"-n",
        NET,
        b"--seeds",
        b"0-1",
        b"--frames",
        b"2",
        b"--out",
        b"f\xe9.png",
        b"--json",
    ]);
    // The message names a missing file.
    let output = raw(
        folder,
        &[
            b"images",
            b"-n",
            b"gone\xe9.pkl",
            b"--seeds",
            b"1",
            b"-o",
            b"x",
        ],
    );
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("gone") && text.contains("neither a file"),
        "{text}"
    );
}

#[test]
fn values_that_are_no_paths_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = raw(
        dir.path(),
        &[
            b"images", b"-n", b"a\xe9", b"--seeds", b"1\xe9", b"-o", b"x",
        ],
    );
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("--seeds '1\\xE9'") && !text.contains("-n '"),
        "{text}"
    );
    let output = generate(dir.path(), &["images", "-n", "", "--seeds", "1", "-o", "x"]);
    assert_eq!(output.status.code(), Some(2));
}
