//! Finds and calls the programs of this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The programs that users call.
pub const PROGRAMS: [&str; 4] = ["prep", "train", "eval", "generate"];

/// A program that was built from this tree, in the profile of the test that asks.
///
/// # Panics
/// When the programs do not build.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // target/debug/deps/pipeline-0123 -> target/debug
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.ancestors().nth(2).expect("the target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet"]);
        for name in PROGRAMS {
            build.args(["--package", name]);
        }
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo starts");
        assert!(status.success(), "the programs do not build");
        folder.to_owned()
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A call in a folder; arguments are split at spaces.
pub fn call(dir: &Path, name: &str, arguments: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .env("KAOGAN_OFFLINE", "1")
        .env("KAOGAN_CACHE", dir.join("cache"))
        .env_remove("RUST_LOG");
    command
}

/// The output of a call that must succeed.
///
/// # Panics
/// With what the program said, when it fails.
pub fn finished(mut command: Command) -> Output {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
    output
}

/// Draws a dump of `n_works` and packs its faces as `faces.zip` at 32 px; the boxes are given, so that no detector matters.
///
/// # Panics
/// When one of them fails.
pub fn pack_faces(dir: &Path, n_works: usize) {
    synthetic_dump::Dump::with_works(0, n_works)
        .write_to(&dir.join("dump"), |_| {})
        .expect("the dump is written");
    let arguments =
        "run dump/pictures --detector boxes:dump/boxes.jsonl --out faces.zip --resolution 32";
    finished(call(dir, "prep", arguments));
}

/// What a program printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
