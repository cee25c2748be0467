//! `cargo xtask pages`: shell completions and man pages, written by the programs themselves.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::programs;

/// Writes the pages of all programs into a folder.
///
/// # Errors
/// When a program does not build or cannot write there.
pub fn run(dir: &Path) -> Result<()> {
    let built = programs::build(false)?;
    for name in programs::NAMES {
        let program = built.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let status = Command::new(&program)
            .env(cli::PAGES_VARIABLE, dir)
            .status();
        let status = status.with_context(|| format!("cannot start '{}'", program.display()))?;
        if !status.success() {
            bail!("{name} did not write its pages");
        }
    }
    cli::outln!(
        "completions for bash, zsh, fish and PowerShell in {0}/completions, man pages in {0}/man",
        dir.display()
    );
    Ok(())
}
