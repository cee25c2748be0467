//! The tensors and coefficients of an Adam step (arXiv:1412.6980).

use candle_core::Tensor;

/// A weight with its gradient and its moments: f32 tensors of one shape.
#[derive(Clone, Copy)]
pub struct AdamParameter<'a> {
    /// The weight itself.
    pub weight: &'a Tensor,
    /// Its gradient; `None` for zeros.
    pub gradient: Option<&'a Tensor>,
    /// The first moment, a moving average of gradients; `None` where `beta1` is 0, so that it equals the gradient.
    pub exp_avg: Option<&'a Tensor>,
    /// The second moment, a moving average of squared gradients.
    pub exp_avg_sq: &'a Tensor,
}

/// The coefficients of one Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// The decay of the first moment.
    pub beta1: f64,
    /// The decay of the second moment.
    pub beta2: f64,
    /// The learning rate, divided by the bias correction `1 - beta1^t`.
    pub step_size: f32,
    /// The square root of the bias correction `1 - beta2^t`.
    pub root_correction: f32,
    /// Added to the denominator.
    pub eps: f32,
}

/// `[beta, 1 - beta]`, each rounded once.
pub(crate) fn decay(beta: f64) -> [f32; 2] {
    [beta as f32, (1.0 - beta) as f32]
}
