//! CPU kernels on slices: convolutions, and the vector types, buffers and tasks that other kernels are written with. No
//! tensors here.
//!
//! f32 kernels work on blocks of `LANES` channels (16 with AVX-512, else 8) in scratch memory, `[block][pixel][lane]`,
//! and turn NCHW into that layout and back with register transposes. f64 takes the plain path (`im2col`).

// Tiles of registers are indexed by row and column, and kernels take their buffers one by one.
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
