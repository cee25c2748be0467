//! `cargo xtask emulated-gpu`: installs the emulated GPU under the names of all NVIDIA libraries.
//!
//! The archives of `cuda-toolkit` load libraries by name at the first call. A CUDA build therefore uses the libraries
//! in the first folder of the search path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cuda_toolkit::libraries;

/// Options of `cargo xtask emulated-gpu`.
#[derive(clap::Args)]
pub struct EmulatedArgs {
    /// Folder for the libraries
    #[arg(default_value = "target/emulated-gpu")]
    dir: PathBuf,
}

/// Builds the library, installs it, and prints the environment in which CUDA builds use it as a GPU.
///
/// # Errors
/// When the build fails or the folder cannot be written.
pub fn run(args: &EmulatedArgs) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "emulated-gpu: libraries are named as on Linux, where CUDA builds look for them"
    );
    let built = build()?;
    fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make '{}'", args.dir.display()))?;
    let dir = fs::canonicalize(&args.dir)?;
    lay(&built, &dir)?;
    cli::outln!(
        "export LD_LIBRARY_PATH='{}'\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"",
        dir.display()
    );
    Ok(())
}

/// Builds the library and returns its path.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "emulated-gpu", "--lib"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!(
            "emulated-gpu does not build ({}); cargo says why above",
            output.status
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let library = messages.lines().filter_map(shared_library).next_back();
    library.context("cargo built no libemulated_gpu.so")
}

/// The path of the shared library in a JSON message of cargo; `None` for other messages.
fn shared_library(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let files = message.get("filenames")?.as_array()?;
    let mut files = files.iter().filter_map(|file| file.as_str());
    let library = files.find(|file| file.ends_with("libemulated_gpu.so"))?;
    Some(library.into())
}

/// Copies the library into `dir` and links all names to it. It must be a single file that is loaded once, since the
/// functions of all libraries share the GPU's memory.
fn lay(built: &Path, dir: &Path) -> Result<()> {
    let library = dir.join("libemulated_gpu.so");
    let fresh = dir.join("libemulated_gpu.so.new");
    fs::copy(built, &fresh).with_context(|| format!("cannot write '{}'", fresh.display()))?;
    fs::rename(&fresh, &library)?;
    for name in libraries() {
        let at = dir.join(name);
        if at.is_symlink() {
            fs::remove_file(&at)?;
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("libemulated_gpu.so", &at)
            .with_context(|| format!("cannot link '{}'", at.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_what_cargo_says() {
        let message = r#"{"reason":"compiler-artifact","filenames":["/t/libemulated_gpu.rlib","/t/libemulated_gpu.so"]}"#;
        assert_eq!(
            shared_library(message),
            Some("/t/libemulated_gpu.so".into())
        );
        assert_eq!(shared_library(r#"{"reason":"build-finished"}"#), None);
        assert_eq!(shared_library("warning"), None);
    }

    #[cfg(unix)]
    #[test]
    fn all_names_are_one_file_and_a_second_time_replaces_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let built = dir.path().join("built.so");
        for text in ["one", "two"] {
            fs::write(&built, text).unwrap();
            lay(&built, dir.path()).unwrap();
            for name in libraries() {
                assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), text);
            }
        }
        assert!(libraries().any(|name| name == "libcuda.so.1"));
    }
}
