//! Ops on NVIDIA cards.
//!
//! An op says what a card does for it in a [`plan`]: one of our kernels (`kernels/*.cu`), a convolution of cuDNN, or
//! other ops. [`card`] carries plans out. `build.rs` compiles the kernels to PTX with the compiler that candle's own
//! kernels need anyway, so nothing is compiled from source where a program runs, and cards newer than the compiler
//! work. The same source compiled for the host is what tests compare with the CPU's kernels: only [`card`] and
//! [`conv`] need a card to run at all.

#[cfg(feature = "cuda")]
pub(crate) mod card;
#[cfg(feature = "cuda")]
mod conv;
#[cfg(test)]
pub(crate) mod host;
pub(crate) mod normal;
pub(crate) mod plan;
pub(crate) mod table;
#[cfg(feature = "cuda")]
pub(crate) mod transfer;
#[cfg(any(feature = "cuda", test))]
mod trial;
