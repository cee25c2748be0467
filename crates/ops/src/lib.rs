//! Differentiable tensor ops for StyleGAN2 on candle.

mod algorithm;
mod conv2d;
mod cpu;
mod storage;
pub mod weight_cache;

pub use algorithm::{ConvAlgorithm, conv_algorithm, set_conv_algorithm};
pub use conv2d::{Conv2dOptions, conv_transpose2d, conv2d};
pub use cpu::simd::{Isa, force_isa, isa};
