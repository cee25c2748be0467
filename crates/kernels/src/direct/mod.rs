//! Convolution of any kernel size and stride without an im2col matrix: a kernel tap is an offset into packed input.
//!
//! [`forward`], [`input_gradient`] (a transposed convolution, one stride-1 product for each phase of the output grid)
//! and [`weight_gradient`].

mod forward;
mod weight_gradient;
mod weights;

pub(crate) use forward::{forward, input_gradient};
pub(crate) use weight_gradient::weight_gradient;
pub(crate) use weights::Weights;
