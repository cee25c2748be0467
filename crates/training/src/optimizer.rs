//! Adam (arXiv:1412.6980), with moments that can be saved.

use candle_core::{Tensor, Var};
use networks::Parameters;
use ops::update::{self, AdamParameter, AdamStep};

use crate::config::OptimizerConfig;
use crate::error::{Error, Result};
use crate::gradients::Gradients;

impl OptimizerConfig {
    /// The settings where a regularization step of its own follows every `interval` steps (arXiv:1912.04958, appendix
    /// B): a cycle then makes `interval + 1` steps and shall move as `interval` steps would.
    pub fn with_lazy_regularization(self, interval: usize) -> Self {
        let ratio = interval as f64 / (interval as f64 + 1.0);
        Self {
            lr: self.lr * ratio,
            betas: self.betas.map(|beta| beta.powf(ratio)),
            eps: self.eps,
        }
    }
}

/// Adam for the trainable parameters of one network.
pub struct Adam {
    options: OptimizerConfig,
    names: Vec<String>,
    variables: Vec<Var>,
    /// Moments means of the gradients; none are kept where `betas[0]` is 0, since the mean is then the gradient.
    exp_avg: Option<Vec<Tensor>>,
    /// Moments means of their squares.
    exp_avg_sq: Vec<Tensor>,
    step: u64,
}

impl Adam {
    /// An optimizer that has not made a step.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn new(parameters: &Parameters, options: OptimizerConfig) -> Result<Self> {
        let (names, variables): (Vec<String>, Vec<Var>) = parameters
            .trainable()
            .map(|(name, var)| (name.to_owned(), var.clone()))
            .unzip();
        let zeros = || -> Result<Vec<Tensor>> {
            let zeros = variables.iter().map(|var| Ok(var.zeros_like()?.detach()));
            zeros.collect()
        };
        Ok(Self {
            exp_avg: (options.betas[0] != 0.0).then(zeros).transpose()?,
            exp_avg_sq: zeros()?,
            options,
            names,
            variables,
            step: 0,
        })
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Moves the parameters. Gradients that are no number count as 0, infinite ones as 1e5 with their sign.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.step += 1;
        let [beta1, beta2] = self.options.betas;
        let steps = self.step as f64;
        let step = AdamStep {
            beta1,
            beta2,
            step_size: (self.options.lr / (1.0 - beta1.powf(steps))) as f32,
            root_correction: (1.0 - beta2.powf(steps)).sqrt() as f32,
            eps: self.options.eps as f32,
        };
        let parameters: Vec<AdamParameter<'_>> = gradients
            .iter()
            .enumerate()
            .map(|(i, gradient)| AdamParameter {
                weight: self.variables[i].as_tensor(),
                gradient,
                exp_avg: self.exp_avg.as_ref().map(|exp_avg| &exp_avg[i]),
                exp_avg_sq: &self.exp_avg_sq[i],
            })
            .collect();
        Ok(update::adam_step(&parameters, &step)?)
    }

    /// The moments under the names of the parameters, behind `exp_avg.` and `exp_avg_sq.`; the storage is shared.
    pub fn tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let named = |prefix: &'static str, tensors| {
            let named = self.names.iter().zip(tensors);
            named.map(move |(name, tensor)| (format!("{prefix}.{name}"), tensor))
        };
        let first = self.exp_avg.as_deref().unwrap_or_default();
        named("exp_avg", first).chain(named("exp_avg_sq", self.exp_avg_sq.as_slice()))
    }

    /// Continues from saved moments, looked up by the names of [`Adam::tensors`].
    ///
    /// # Errors
    /// `State` when a moment is missing or has another shape.
    pub fn restore(&mut self, step: u64, saved: impl Fn(&str) -> Option<Tensor>) -> Result<()> {
        let mut copies = Vec::new();
        for (name, tensor) in self.tensors() {
            let found = saved(&name).filter(|found| found.dims() == tensor.dims());
            let found = found.ok_or_else(|| {
                Error::state(format!("no moment '{name}' of shape {:?}", tensor.dims()))
            })?;
            copies.push((tensor.clone(), found.to_device(tensor.device())?));
        }
        let pairs: Vec<(&Tensor, &Tensor)> = copies.iter().map(|(to, from)| (to, from)).collect();
        update::copy(&pairs)?;
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lazy_regularization_slows_down() {
        // Values of the official program for intervals 4 and 16.
        let g = OptimizerConfig::new(0.002).with_lazy_regularization(4);
        assert!((g.lr - 0.0016).abs() < 1e-15);
        assert!((g.betas[1] - 0.991_991_967_822_865_7).abs() < 1e-15);
        assert_eq!(g.betas[0], 0.0);
        let d = OptimizerConfig::new(0.002).with_lazy_regularization(16);
        assert!((d.lr - 0.001_882_352_941_176_470_6).abs() < 1e-15);
        assert!((d.betas[1] - 0.990_585_457_307_433_2).abs() < 1e-15);
    }
}
