//! Ops on NVIDIA GPUs.
//!
//! An op gives a [`plan`]: one of our kernels (`kernels/*.cu`), a convolution of cuDNN, or other ops. [`execute`]
//! carries plans out. `build.rs` compiles the kernels to PTX with the compiler that candle's own kernels need anyway,
//! so nothing is compiled from source where a program runs, and GPUs newer than the compiler work. Tests compile the
//! same source for the host ([`host`]) and compare it with the CPU's kernels.

#[cfg(any(feature = "cuda", test))]
mod autotune;
#[cfg(feature = "cuda")]
mod conv;
#[cfg(feature = "cuda")]
pub(crate) mod device;
#[cfg(feature = "cuda")]
mod element;
#[cfg(feature = "cuda")]
pub(crate) mod execute;
#[cfg(test)]
mod host;
#[cfg(feature = "cuda")]
mod launch;
pub(crate) mod normal;
pub(crate) mod plan;
pub(crate) mod table;
#[cfg(feature = "cuda")]
pub(crate) mod transfer;
#[cfg(feature = "cuda")]
pub(crate) mod update;
