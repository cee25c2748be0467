//! With the feature `cuda`: compiles the kernels to PTX with NVIDIA's compiler.
//!
//! Sets the cfg `host_cxx` when a C++ compiler was found that can compile the kernels for the CPU, as tests do.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CXX");
    println!("cargo::rustc-check-cfg=cfg(host_cxx)");
    if host_compiler_works() {
        println!("cargo::rustc-cfg=host_cxx");
    }
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    for variable in ["CUDA_HOME", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=src/cuda/kernels");
    let nvcc = match env::var_os("CUDA_HOME") {
        Some(home) => Path::new(&home).join("bin/nvcc"),
        None => "nvcc".into(),
    };
    let capability = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "80".into());
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let output = Command::new(&nvcc)
        .args(["--ptx", "-O3", "-std=c++17"])
        .arg(format!("-arch=compute_{capability}"))
        .arg("src/cuda/kernels/all.cu")
        .arg("-o")
        .arg(Path::new(&out).join("kernels.ptx"))
        .output();
    match output {
        Err(error) => panic!(
            "the feature cuda needs NVIDIA's compiler, but '{}' does not start: {error}. \
             `cargo xtask cuda-toolkit` gets it and prints what to set; see docs/gpu.md",
            nvcc.display()
        ),
        Ok(output) if !output.status.success() => panic!(
            "'{}' failed:\n{}",
            nvcc.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
        Ok(_) => {}
    }
}

/// Whether the C++ compiler has the half-precision type `_Float16` (GCC 12, Clang 15).
fn host_compiler_works() -> bool {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".into());
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let source = Path::new(&out).join("probe.cpp");
    std::fs::write(&source, "_Float16 half(float x) { return x; }\n").is_ok()
        && Command::new(compiler)
            .args(["-std=c++17", "-fsyntax-only"])
            .arg(source)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}
