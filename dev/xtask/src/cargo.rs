//! Builds packages of this workspace.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// The programs for users.
pub const PROGRAMS: [&str; 4] = ["prep", "train", "eval", "generate"];

/// A command that runs the same cargo as the one that started this program.
pub fn command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds packages and returns the folder of their programs. The output of cargo is shown.
///
/// # Errors
/// When the build fails.
pub fn build(packages: &[&str], is_release: bool) -> Result<PathBuf> {
    let mut build = command();
    build.args(["build", "--locked"]);
    for package in packages {
        build.args(["--package", package]);
    }
    if is_release {
        build.arg("--release");
    }
    let status = build.stdin(Stdio::null()).status();
    let status = status.map_err(|e| Error::Failed(format!("cannot start cargo: {e}")))?;
    if !status.success() {
        return Err(Error::Failed(
            "the programs do not build; cargo says why above".to_owned(),
        ));
    }
    // The parent of the folder of this program, for example `target` for `target/debug/xtask`.
    let program = std::env::current_exe().ok();
    let target = program
        .as_deref()
        .and_then(|program| program.ancestors().nth(2))
        .ok_or_else(|| Error::Failed("the target folder cannot be told".to_owned()))?;
    Ok(target.join(if is_release { "release" } else { "debug" }))
}
