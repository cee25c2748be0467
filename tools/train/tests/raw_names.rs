//! Paths that are not UTF-8.
#![cfg(unix)]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::{RUN, finished, folder, read, refused, run_dir, train};

#[test]
fn run_folders_have_any_name_and_paths_in_the_options_are_utf8() {
    let dir = folder();
    let root = dir.path();
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    let outdir = root.join(name(b"runs\xe9"));
    let mut call = train(root, RUN);
    call.arg("--outdir").arg(name(b"runs\xe9"));
    finished(call);
    let run = run_dir(&outdir);
    assert!(!read(&run, "stats.jsonl").is_empty());
    // By the path of its folder, and as the newest run.
    for what in [run.as_os_str(), OsStr::new("latest")] {
        let kimg = match what == "latest" {
            true => "4",
            false => "3",
        };
        let mut call = train(root, "--quiet --kimg");
        call.arg(kimg)
            .arg("--resume")
            .arg(what)
            .arg("--outdir")
            .arg(&outdir);
        finished(call);
    }
    let mut call = train(root, "augment-preview --data faces.zip --grid 2x2 --out");
    call.arg(name(b"sheet\xe9.png"));
    finished(call);
    // A run saves the path of its dataset as text.
    std::fs::copy(root.join("faces.zip"), root.join(name(b"f\xe9.zip"))).unwrap();
    let mut call = train(root, "--outdir runs --dry-run --data");
    call.arg(name(b"f\xe9.zip"));
    let message = refused(call, 1);
    assert!(
        message.contains("--data: 'f\\xE9.zip' is not UTF-8"),
        "{message}"
    );
    let mut call = train(root, "--data faces.zip --outdir runs --weights");
    call.arg(name(b"w\xe9.pt"));
    let message = refused(call, 2);
    assert!(message.contains("--weights 'w\\xE9.pt'"), "{message}");
    let mut call = train(root, "--data faces.zip --outdir runs --init-from");
    call.arg(name(b"n\xe9.pkl"));
    let message = refused(call, 2);
    assert!(message.contains("--init-from 'n\\xE9.pkl'"), "{message}");
}
