//! `cargo xtask pages`: makes the programs write their shell completions and man pages.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::{Error, Result, cargo, status_of};

/// The environment variable with the target folder. A program that finds it set writes its pages there and exits; the
/// crate `cli` does this.
const PAGES_VARIABLE: &str = "KAOGAN_PAGES";

/// Writes the pages of all programs into the folder that is given, or `target/pages`.
///
/// # Errors
/// When the arguments are wrong, or a program does not build or cannot write its pages.
pub fn run(arguments: &[OsString]) -> Result<()> {
    let dir = match arguments {
        [] => Path::new("target/pages"),
        [dir] if !dir.to_string_lossy().starts_with('-') => Path::new(dir),
        _ => {
            return Err(Error::Usage(
                "usage: cargo xtask pages [DIR], where DIR gets the folders completions and man"
                    .to_owned(),
            ));
        }
    };
    let built = cargo::build(&cargo::PROGRAMS, false)?;
    for name in cargo::PROGRAMS {
        let program = built.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let status = status_of(Command::new(&program).env(PAGES_VARIABLE, dir));
        if !status.map_err(Error::Failed)?.success() {
            return Err(Error::Failed(format!("{name} did not write its pages")));
        }
    }
    println!(
        "completions for bash, zsh, fish and PowerShell in {0}/completions, man pages in {0}/man",
        dir.display()
    );
    Ok(())
}
