//! Differentiable tensor ops for StyleGAN2 on candle.

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
