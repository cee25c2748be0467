//! `cargo xtask pages`: shell completions and man pages, written by the programs themselves.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::{Error, Result, cargo, status_of};

/// Read by `cli`: a program that finds it writes its pages there and exits.
const PAGES_VARIABLE: &str = "KAOGAN_PAGES";

/// Writes the pages of all programs into a folder, `target/pages` unless one is given.
///
/// # Errors
/// When a program does not build or cannot write there.
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
