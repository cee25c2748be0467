//! The numbers of an Adam step.

use candle_core::Tensor;

/// A weight with its gradient and its moments: tensors of one shape, f32.
#[derive(Clone, Copy)]
pub struct Moments<'a> {
    /// The weight itself.
    pub weight: &'a Tensor,
    /// `None` for zeros.
    pub gradient: Option<&'a Tensor>,
    /// The moving mean of the gradients; `None` where it is the gradient itself.
    pub mean: Option<&'a Tensor>,
    /// The moving mean of their squares.
    pub square: &'a Tensor,
}

/// The numbers of one step of Adam (arXiv:1412.6980).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// The share of the old mean that stays.
    pub beta1: f64,
    /// The share of the old mean of squares that stays.
    pub beta2: f64,
    /// The learning rate with the correction of the mean.
    pub step_size: f32,
    /// The root of the correction of the squares.
    pub root_correction: f32,
    /// Keeps from dividing by zero.
    pub eps: f32,
}

/// A share that stays, and the rest: each is rounded once.
pub(crate) fn shares(beta: f64) -> [f32; 2] {
    [beta as f32, (1.0 - beta) as f32]
}
