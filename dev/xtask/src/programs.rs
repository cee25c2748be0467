//! The programs that users call, built from this tree.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Their names.
pub const NAMES: [&str; 4] = ["prep", "train", "eval", "generate"];

/// Builds the programs and returns their folder.
///
/// # Errors
/// When they do not build.
pub fn build(release: bool) -> Result<PathBuf> {
    cli::outln!("building prep, train, eval and generate (minutes the first time)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked"]);
    for program in NAMES {
        command.args(["--package", program]);
    }
    if release {
        command.arg("--release");
    }
    if !command.status().context("cannot start cargo")?.success() {
        bail!("the programs do not build");
    }
    let target = std::env::current_exe().context("cannot tell the target folder")?;
    let target = target
        .ancestors()
        .nth(2)
        .context("the target folder has no parent")?;
    Ok(target.join(if release { "release" } else { "debug" }))
}
