//! The tensors and coefficients of an Adam step (arXiv:1412.6980).

use candle_core::Tensor;

/// One weight tensor with its gradient and its two moments: f32 tensors of the same shape.
#[derive(Clone, Copy)]
pub struct AdamParameter<'a> {
    /// The weight itself, updated in place.
    pub weight: &'a Tensor,
    /// The gradient of the weight; `None` stands for zeros.
    pub gradient: Option<&'a Tensor>,
    /// The first moment, a moving average of gradients, updated in place. With `None`, the gradient is used in its
    /// place, which is the same for `beta1 = 0`.
    pub exp_avg: Option<&'a Tensor>,
    /// The second moment, a moving average of squared gradients, updated in place.
    pub exp_avg_sq: &'a Tensor,
}

/// The coefficients of one Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// The decay rate of the first moment, in `0..1`.
    pub beta1: f64,
    /// The decay rate of the second moment, in `0..1`.
    pub beta2: f64,
    /// The learning rate divided by the bias correction `1 - beta1^t` of step `t`.
    pub step_size: f32,
    /// The square root of the bias correction `1 - beta2^t` of step `t`.
    pub root_correction: f32,
    /// A small number that is added to the denominator (epsilon).
    pub eps: f32,
}

/// `[beta, 1 - beta]`, each computed in f64 and rounded to f32 once.
pub(crate) fn decay(beta: f64) -> [f32; 2] {
    [beta as f32, (1.0 - beta) as f32]
}
