//! Convolution of any kernel size and stride without an im2col matrix: the input is packed in scratch memory, and each
//! kernel tap reads it at a fixed offset.
//!
//! [`forward`] computes the convolution, [`weight_gradient`] the gradient with respect to the weights.
//! [`input_gradient`] computes a transposed convolution; for stride `s`, the output pixels are divided into `s x s`
//! phases by their row and column modulo `s`, and each phase is a convolution of stride 1.

mod forward;
mod weight_gradient;
mod weights;

pub(crate) use forward::{forward, input_gradient};
pub(crate) use weight_gradient::weight_gradient;
pub(crate) use weights::Weights;
