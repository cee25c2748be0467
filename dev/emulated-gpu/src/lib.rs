//! An emulated GPU: NVIDIA's driver, cuBLAS, cuDNN and cuRAND as one shared library that computes on the CPU.
//!
//! A program of kaogan that was built with the feature `cuda` loads those libraries by name at the first call. With
//! this one under their names (`cargo xtask emulated-gpu`) all GPU code runs without a GPU: kernels are
//! interpreted from their PTX, and each memory access is checked against the allocations.
//!
//! - [`memory`]: allocations, in the CPU's memory, and whether an access is inside one.
//! - [`ptx`]: reads PTX and runs kernels, thread after thread.
//! - [`counts`]: launches, copies, and waits of the host for an idle GPU.
//! - [`driver`], [`event`], [`blas`], [`dnn`], [`rand`]: the C functions that candle and kaogan call, and no others.
//!
//! All work is done when a call returns, so races, missing synchronization and speed cannot be tested. The behavior
//! follows NVIDIA's documentation of PTX, the CUDA driver API, cuBLAS, cuDNN and cuRAND.

pub mod blas;
mod codes;
pub mod counts;
pub mod dnn;
pub mod driver;
pub mod event;
mod float;
pub mod memory;
mod numbers;
pub mod ptx;
pub mod rand;

/// The name of the device, which tells its results from those of a real GPU.
pub const NAME: &str = "emulated GPU (kaogan)";

/// Prints on stderr why a call fails; callers get only an error code.
fn complain(what: &str) {
    eprintln!("emulated GPU: {what}");
}
