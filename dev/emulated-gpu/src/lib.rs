//! A card that is none: NVIDIA's driver, cuBLAS, cuDNN and cuRAND as one shared library that computes on the processor.
//!
//! A program of kaogan that was built with the feature `cuda` loads those libraries at the first call, by name. With
//! this one under their names (`cargo xtask emulated-gpu`) every line that needs a card runs without one: kernels are
//! interpreted from their PTX, and each access is checked against the memory that was allocated.
//!
//! - [`memory`]: allocations, in the processor's memory, and whether an access is inside one.
//! - [`ptx`]: reads PTX and runs kernels, thread after thread.
//! - [`counts`]: launches, copies, and how often the host waited for a card without work.
//! - [`driver`], [`event`], [`blas`], [`dnn`], [`rand`]: the C functions that candle and kaogan call. Others are not there.
//!
//! Everything is done when a call returns, so races and missing synchronisation do not show; nor does speed. Facts are
//! from NVIDIA's documentation of PTX, the CUDA driver API, cuBLAS, cuDNN and cuRAND.

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

/// What the card calls itself: no number from it shall be taken for a real one.
pub const NAME: &str = "emulated GPU (kaogan)";

/// Says on stderr why a call fails; callers see a number only.
fn complain(what: &str) {
    eprintln!("emulated GPU: {what}");
}
