//! CPU kernels on slices: convolutions, and building blocks for other CPU kernels of the workspace (SIMD vectors,
//! scratch buffers, parallel tasks). Nothing here depends on a tensor library.
//!
//! The f32 convolutions, except 1x1 ones with stride 1, copy NCHW input to scratch memory in blocks of `LANES` channels
//! (16 with AVX-512, otherwise 8), laid out as `[block][pixel][lane]`, so each SIMD lane holds one channel. f64
//! convolutions are slow and simple (`im2col`); they serve tests and finite differences.

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
