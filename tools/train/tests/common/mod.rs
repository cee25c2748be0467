//! Runs the binary on a small dataset.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Width and height of the images in pixels.
pub const SIDE: usize = 16;

/// Flags of a short run of a tiny network: 2 kimg, with ticks of 1 kimg.
pub const RUN: &str = "--data faces.zip --cfg tiny32 --batch 8 --cbase 64 --cmax 8 --kimg 2 --tick 1 --snap 1 \
                       --state-every 1 --grid 2x2 --augpipe bgc --mirror=1 --quiet";

/// Flags for a metric whose feature network needs no downloaded weights.
pub const METRICS: &str = "--metrics fid20_full --features random-inception-small";

/// A temporary folder with the dataset `faces.zip`.
pub fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    test_support::faces::write_faces(&dir.path().join("faces.zip"), SIDE, false);
    dir
}

/// A call of `train` in the folder `dir`; `arguments` are split at spaces.
pub fn train(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .env("KAOGAN_OFFLINE", "1")
        .env("KAOGAN_CACHE", dir.join("cache"))
        .env_remove("RUST_LOG");
    command
}

/// Runs a call that must succeed and returns its output.
pub fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}");
    output
}

/// Runs a call that must fail with an exit code and returns its stderr.
pub fn refused(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// The only run folder in a folder.
pub fn run_dir(outdir: &Path) -> PathBuf {
    let mut runs = run_folder::run_dirs(outdir).unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0).1
}

/// The bytes of a file of a run.
pub fn read(run: &Path, name: &str) -> Vec<u8> {
    std::fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The JSON lines of a file of a run.
pub fn lines(run: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = String::from_utf8(read(run, name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
