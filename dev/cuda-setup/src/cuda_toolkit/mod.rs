//! `cargo xtask cuda-toolkit`: unpacks NVIDIA's compiler and libraries from Python wheels into one folder, without an
//! installation.
//!
//! The wheels contain no unversioned `lib*.so`, so the linker does not find the libraries themselves. The folder gets
//! archives for it that load the libraries at their first call ([`lazy`]). A program built with CUDA therefore starts
//! on a machine without a driver.

mod lazy;

pub use lazy::libraries;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The wheels to install. 13.0 is the first major version whose wheels share one folder; it supports GPUs from Turing
/// on.
const WHEELS: [&str; 9] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cuda-nvrtc==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cublas==13.0.*",
    "nvidia-curand==10.4.0.*",
    "nvidia-cudnn-cu13==9.21.*",
];

/// Options of `cargo xtask cuda-toolkit`.
#[derive(clap::Args)]
pub struct ToolkitArgs {
    /// Where the tree is made (about 3.5 GB); one that is complete is kept
    #[arg(default_value = "target/cuda-toolkit")]
    dir: PathBuf,
    /// Python with pip
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The oldest GPUs that the build supports: compute capability times ten
    ///
    /// 80 is Ampere (A100, RTX 30); 75 is Turing, without bf16. Newer GPUs compile for themselves at the first start.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(75..=121))]
    compute_cap: u32,
}

/// Creates the folder and prints the environment in which `cargo build --features cuda` finds it.
///
/// # Errors
/// When Python has no pip, a download fails, or the tools of a C compiler (`cc`, `ar`, `nm`) are missing.
pub fn run(args: &ToolkitArgs) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "cuda-toolkit: the wheels are unpacked for x86-64 Linux only; elsewhere install NVIDIA's CUDA toolkit 13"
    );
    fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make '{}'", args.dir.display()))?;
    let dir = fs::canonicalize(&args.dir)?;
    let home = dir.join("nvidia/cu13");
    let complete = dir.join("complete");
    if !complete.exists() {
        install(&args.python, &dir)?;
        allow_execution(&home.join("bin"))?;
        allow_execution(&home.join("nvvm/bin"))?;
        link(Path::new("lib"), &home.join("lib64"))?;
        lazy::write(&home, &dir.join("nvidia/cudnn/lib"))?;
        let nvcc = home.join("bin/nvcc");
        let version = output(Command::new(&nvcc).arg("--version"))?;
        ensure!(
            version.contains("release 13.0"),
            "'{}' is not nvcc 13.0",
            nvcc.display()
        );
        fs::write(&complete, version)?;
    }
    for variable in [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ] {
        cli::outln!("export {variable}='{}'", home.display());
    }
    // Most of a stripped release build are candle's kernels for quantized models; this option compresses them to a
    // third.
    cli::outln!("export NVCC_APPEND_FLAGS='--compress-mode=size'");
    cli::outln!("export CUDA_COMPUTE_CAP={}", args.compute_cap);
    cli::outln!("export PATH='{}':\"$PATH\"", home.join("bin").display());
    cli::outln!(
        "export LD_LIBRARY_PATH='{}:{}'\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"",
        home.join("lib").display(),
        dir.join("nvidia/cudnn/lib").display()
    );
    Ok(())
}

/// Downloads the wheels and unpacks them into `dir`.
fn install(python: &Path, dir: &Path) -> Result<()> {
    let status = Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--upgrade",
        ])
        .args(["--only-binary", ":all:", "--target"])
        .arg(dir)
        .args(WHEELS)
        // Only the environment may be printed to stdout, so the output of pip is dropped.
        .stdout(std::process::Stdio::null())
        .status()
        .with_context(|| {
            format!(
                "cannot start '{}'; name a Python with --python",
                python.display()
            )
        })?;
    if !status.success() {
        bail!("pip did not install NVIDIA's wheels ({status}); it says why above");
    }
    Ok(())
}

/// Makes all files in `dir` executable, since unpacked wheels do not keep that permission.
fn allow_execution(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for entry in fs::read_dir(dir).with_context(|| format!("no '{}'", dir.display()))? {
            let path = entry?.path();
            if path.is_file() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
    }
    Ok(())
}

/// Makes a symbolic link at `at` to `to`, and replaces an earlier one.
fn link(to: &Path, at: &Path) -> Result<()> {
    if at.is_symlink() {
        fs::remove_file(at)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(to, at)
        .with_context(|| format!("cannot link '{}'", at.display()))?;
    Ok(())
}

/// Runs a program and returns what it prints to stdout.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start '{name}'"))?;
    if !output.status.success() {
        bail!(
            "{name} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
