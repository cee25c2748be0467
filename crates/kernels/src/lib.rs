//! CPU kernels on slices: convolutions, and what other CPU kernels of the workspace are built on (SIMD vectors, scratch
//! buffers, parallel tasks). Nothing here depends on a tensor library.
//!
//! f32 kernels copy NCHW input to scratch memory in blocks of `LANES` channels (16 with AVX-512, otherwise 8), laid out
//! as `[block][pixel][lane]`, with register transposes. f64 convolutions are slow and simple (`im2col`); they serve
//! tests and finite differences.

// Tiles of registers are indexed by row and column, and kernels take each buffer as an argument of its own.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

mod algorithm_setting;
mod bias;
pub mod conv;
mod direct;
mod geometry;
mod im2col;
mod layout;
mod matmul;
pub mod parallel;
mod pointwise;
pub mod scratch;
pub mod simd;
mod winograd;

pub use algorithm_setting::{ConvAlgorithm, conv_algorithm, set_conv_algorithm};
pub use bias::{add_bias, add_rectified};
