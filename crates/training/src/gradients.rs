use candle_core::{Tensor, Var};
use networks::Parameters;

use crate::error::Result;

/// The gradients of one phase, summed over its micro-batches, in the order of the trainable parameters.
pub struct Gradients {
    variables: Vec<Var>,
    sums: Vec<Option<Tensor>>,
}

impl Gradients {
    /// No gradients yet, for the trainable parameters of a network.
    pub fn of(parameters: &Parameters) -> Self {
        let variables: Vec<Var> = parameters.trainable().map(|(_, var)| var.clone()).collect();
        let sums = vec![None; variables.len()];
        Self { variables, sums }
    }

    /// Adds the gradients of one backward pass.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn add(&mut self, mut grads: ops::Gradients) -> Result<()> {
        for (var, sum) in self.variables.iter().zip(&mut self.sums) {
            if let Some(gradient) = grads.remove(var.as_tensor()) {
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                });
            }
        }
        Ok(())
    }

    /// Whether no gradient was added: the phase had nothing to do, and the optimizer must not make a step.
    pub fn is_empty(&self) -> bool {
        self.sums.iter().all(Option::is_none)
    }

    /// The gradient of each trainable parameter; `None` where it is zero.
    pub fn iter(&self) -> impl Iterator<Item = Option<&Tensor>> {
        self.sums.iter().map(Option::as_ref)
    }
}
