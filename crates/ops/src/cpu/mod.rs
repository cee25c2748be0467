//! CPU kernels on slices; no tensors here.
//!
//! f32 kernels work on blocks of `LANES` channels (16 with AVX-512, else 8) in scratch memory, `[block][pixel][lane]`,
//! and turn NCHW into that layout and back with register transposes. f64 takes the plain path ([`im2col`]).

// Tiles of registers are indexed by row and column, and kernels take their buffers one by one.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

pub(crate) mod activation;
pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod direct;
pub(crate) mod grid_sample;
pub(crate) mod im2col;
pub(crate) mod layout;
pub(crate) mod matmul;
pub(crate) mod normal;
pub(crate) mod parallel;
pub(crate) mod pointwise;
pub(crate) mod scratch;
pub(crate) mod simd;
pub(crate) mod update;
pub(crate) mod upfirdn;
pub(crate) mod winograd;
