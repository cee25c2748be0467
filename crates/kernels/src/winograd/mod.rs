//! Winograd convolution, 3x3 with stride 1: F(2x2, 3x3) and F(4x4, 3x3) (arXiv:1509.09308).
//!
//! An output of `M x M` pixels is computed from a tile of `A x A` input pixels, `A = M + 2`. The transforms turn tiles,
//! kernels and output gradients into `A x A` values each, called *points* here: the convolution becomes one matrix
//! product over the channels for each point. SIMD lanes hold different channels of the same pixel, so a transform is
//! plain vector arithmetic and works for any image size.
//!
//! [`forward`] computes the convolution and, with weights transformed for the input gradient, the input gradient.
//! [`weight_gradient`] uses F(3x3, 2x2) and F(3x3, 4x4). The rms error against f64, relative to the rms of the result,
//! is 3e-7 with [`F2`], as in a direct convolution, and 1.6e-6 with [`F4`].

mod forward;
mod points;
mod transform;
mod weight_gradient;
mod weights;

pub(crate) use forward::forward;
pub(crate) use transform::{F2, F4};
pub(crate) use weight_gradient::weight_gradient;
pub(crate) use weights::{Weights, transform_weights};
