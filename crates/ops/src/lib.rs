//! Differentiable tensor ops for StyleGAN2 on candle, for CPUs and NVIDIA GPUs.
//!
//! Most ops exist in two forms: as a function on [`candle_core::Tensor`], which is recorded in candle's graph, and as a
//! method of [`Value`], which is recorded in a graph of this crate with a faster backward pass. [`Dual`] is a `Value`
//! with a directional derivative, for gradient penalties ([`second_order`]). The composed ops [`conv2d_resample()`] and
//! [`modulated_conv2d()`] track gradients only as methods of `Dual`. The training step also uses [`update`] (Adam,
//! moving averages), [`normal`] (random numbers that depend only on key, stream and position) and [`transfer`]
//! (asynchronous copies).
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use ops::{Activation, BiasActOptions, Conv2dOptions, Filter, UpFirDn2dOptions};
//!
//! let x = Tensor::zeros((2, 3, 16, 16), DType::F32, &Device::Cpu)?;
//! let weight = Tensor::zeros((8, 3, 3, 3), DType::F32, &Device::Cpu)?;
//! let bias = Tensor::ones(8, DType::F32, &Device::Cpu)?;
//! let same = Conv2dOptions { padding: 1, ..Default::default() };
//! let lrelu = BiasActOptions { activation: Activation::Lrelu, ..Default::default() };
//! let y = ops::bias_act(&ops::conv2d(&x, &weight, &same)?, Some(&bias), &lrelu)?;
//!
//! let half = UpFirDn2dOptions { down: [2; 2], padding: [1; 4], ..Default::default() };
//! let small = ops::upfirdn2d(&y, &Filter::resample(), &half)?;
//! assert_eq!(small.dims(), [2, 8, 8, 8]);
//! # Ok::<(), candle_core::Error>(())
//! ```

mod adam;
mod bias_act;
mod channels;
mod conv2d;
mod conv2d_resample;
mod cpu;
#[cfg(any(feature = "cuda", test))]
mod cuda;
pub mod device;
pub mod device_event;
mod grid_sample;
mod modulated_conv2d;
pub mod normal;
mod op;
mod scaled_conv2d;
pub mod second_order;
pub mod transfer;
pub mod update;
mod upfirdn2d;
mod value;
pub mod weight_cache;

pub use bias_act::{Activation, BiasActOptions, bias_act};
pub use channels::{add_noise, channel_dot, scale_channels, weighted_sum};
pub use conv2d::{Conv2dOptions, conv_transpose2d, conv2d, conv2d_weight_gradient};
pub use conv2d_resample::{ResampleOptions, conv2d_resample};
pub use grid_sample::{affine_grid, grid_sample};
pub use kernels::simd::{Isa, force_isa, isa};
pub use kernels::{ConvAlgorithm, conv_algorithm, set_conv_algorithm};
pub use modulated_conv2d::{ModulatedConv2dOptions, modulated_conv2d};
pub use second_order::Dual;
pub use upfirdn2d::{Filter, UpFirDn2dOptions, upfirdn2d};
pub use value::{Gradients, Value};
