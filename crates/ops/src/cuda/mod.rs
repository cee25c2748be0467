//! Ops on NVIDIA GPUs.
//!
//! An op describes its work on a GPU as a [`plan`]: one of our kernels (`kernels/*.cu`), a convolution of cuDNN, or
//! other ops. [`execute`] runs plans. `build.rs` compiles the kernels to PTX with nvcc, which candle's own kernels need
//! anyway. So a running program compiles no source code, and GPUs that are newer than nvcc work too. Tests compile the
//! same source for the CPU ([`host`]) and compare it with the Rust kernels.

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
