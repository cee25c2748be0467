//! An emulated GPU: NVIDIA's driver, cuBLAS, cuDNN and cuRAND as one shared library that computes on the CPU.
//!
//! Programs of kaogan that were built with the feature `cuda` load these libraries by name at their first call. When
//! this library is installed under those names (`cargo xtask emulated-gpu`), all GPU code runs without a GPU: kernels
//! are interpreted from their PTX, and each memory access is checked against the allocations.
//!
//! - [`memory`]: allocations in the CPU's memory, and the check whether an access is inside one.
//! - [`ptx`]: reads PTX and runs kernels, one thread after the other.
//! - [`counts`]: counts of launches, copies, and waits of the host that leave the GPU idle.
//! - [`driver`], [`event`], [`blas`], [`dnn`], [`rand`]: the C functions that candle and kaogan call, and no others.
//!
//! All work is done when a call returns, so races, missing synchronization and speed cannot be tested here. The
//! behavior follows NVIDIA's documentation of PTX, the CUDA driver API, cuBLAS, cuDNN and cuRAND.

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

/// The name of the emulated device, by which its results can be told from those of a real GPU.
pub const NAME: &str = "emulated GPU (kaogan)";

/// Prints to stderr why a call fails, since callers get only an error code.
fn complain(what: &str) {
    eprintln!("emulated GPU: {what}");
}
