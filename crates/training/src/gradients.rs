//! Gradients of one phase, summed over micro-batches.

use candle_core::{Tensor, Var};
use networks::Parameters;

use crate::error::Result;

/// The gradients of one phase, summed over its micro-batches: one entry per trainable parameter, in the order of
/// `Parameters::trainable`.
pub struct Gradients {
    variables: Vec<Var>,
    sums: Vec<Option<Tensor>>,
}

impl Gradients {
    /// Creates an empty sum for each trainable parameter of a network.
    pub fn of(parameters: &Parameters) -> Self {
        let variables: Vec<Var> = parameters.trainable().map(|(_, var)| var.clone()).collect();
        let sums = vec![None; variables.len()];
        Self { variables, sums }
    }

    /// Adds the gradients of one backward pass to the sums.
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

    /// Whether no gradient was added. The phase then had no loss terms, and the optimizer must not make a step.
    pub fn is_empty(&self) -> bool {
        self.sums.iter().all(Option::is_none)
    }

    /// The summed gradient of each trainable parameter; `None` where no backward pass reached the parameter.
    pub fn iter(&self) -> impl Iterator<Item = Option<&Tensor>> {
        self.sums.iter().map(Option::as_ref)
    }
}
