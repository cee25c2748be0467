//! Adam (arXiv:1412.6980), whose moments can be saved and restored.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use networks::Parameters;
use ops::update::{self, AdamParameter, AdamStep};

use crate::config::OptimizerConfig;
use crate::error::{Error, Result};
use crate::gradients::Gradients;

impl OptimizerConfig {
    /// The settings corrected for lazy regularization (arXiv:1912.04958, appendix B): every `interval` iterations the
    /// regularization phase makes an extra optimizer step. `interval` iterations then have `interval + 1` steps;
    /// learning rate and betas are corrected so that these `interval + 1` steps change the weights as much as
    /// `interval` steps would with the original settings.
    pub fn with_lazy_regularization(self, interval: usize) -> Self {
        let ratio = interval as f64 / (interval as f64 + 1.0);
        Self {
            lr: self.lr * ratio,
            betas: self.betas.map(|beta| beta.powf(ratio)),
            eps: self.eps,
        }
    }
}

/// The Adam optimizer for the trainable parameters of one network.
///
/// All weights are updated in place, on a GPU in one kernel launch. NaN in a gradient is replaced by 0 and infinity by
/// 1e5 with the same sign. A missing gradient counts as zero.
///
/// Training uses [`Adam::for_parameters`] and [`Adam::step_gradients`]. The trait [`candle_nn::Optimizer`] makes the
/// same steps for candle's variables and gradients:
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use candle_nn::Optimizer;
/// use training::{Adam, OptimizerConfig};
///
/// let x = Var::from_tensor(&Tensor::new(&[1f32, -3.0], &Device::Cpu)?)?;
/// let mut adam = Adam::new(vec![x.clone()], OptimizerConfig::new(0.25))?;
/// adam.backward_step(&x.sqr()?.sum_all()?)?;
/// // The first step has the length of the learning rate.
/// let [a, b] = x.to_vec1::<f32>()?[..] else { panic!() };
/// assert!((a - 0.75).abs() < 1e-6 && (b + 2.75).abs() < 1e-6);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub struct Adam {
    config: OptimizerConfig,
    names: Vec<String>,
    variables: Vec<Var>,
    /// First moments (moving averages of the gradients). `None` where `betas[0]` is 0: the moment is then the gradient.
    exp_avg: Option<Vec<Tensor>>,
    /// Second moments (moving averages of the squared gradients).
    exp_avg_sq: Vec<Tensor>,
    step: u64,
}

impl Adam {
    /// A new optimizer, at step 0, for the trainable parameters of a network.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn for_parameters(parameters: &Parameters, config: OptimizerConfig) -> Result<Self> {
        let (names, variables) = parameters
            .trainable()
            .map(|(name, var)| (name.to_owned(), var.clone()))
            .unzip();
        Ok(Self::named(names, variables, config)?)
    }

    fn named(
        names: Vec<String>,
        variables: Vec<Var>,
        config: OptimizerConfig,
    ) -> candle_core::Result<Self> {
        let zeros = || -> candle_core::Result<Vec<Tensor>> {
            let zeros = variables.iter().map(|var| Ok(var.zeros_like()?.detach()));
            zeros.collect()
        };
        Ok(Self {
            exp_avg: (config.betas[0] != 0.0).then(zeros).transpose()?,
            exp_avg_sq: zeros()?,
            config,
            names,
            variables,
            step: 0,
        })
    }

    /// Number of steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Updates the weights with the summed gradients of a phase.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn step_gradients(&mut self, grads: &Gradients) -> Result<()> {
        let grads: Vec<Option<&Tensor>> = grads.iter().collect();
        Ok(self.update(&grads)?)
    }

    /// Updates the weights; `grads` has one entry per variable, in the order of `self.variables`.
    fn update(&mut self, grads: &[Option<&Tensor>]) -> candle_core::Result<()> {
        self.step += 1;
        let [beta1, beta2] = self.config.betas;
        let steps = self.step as f64;
        let step = AdamStep {
            beta1,
            beta2,
            step_size: (self.config.lr / (1.0 - beta1.powf(steps))) as f32,
            root_correction: (1.0 - beta2.powf(steps)).sqrt() as f32,
            eps: self.config.eps as f32,
        };
        let parameters: Vec<AdamParameter<'_>> = grads
            .iter()
            .enumerate()
            .map(|(i, gradient)| AdamParameter {
                weight: self.variables[i].as_tensor(),
                gradient: *gradient,
                exp_avg: self.exp_avg.as_ref().map(|exp_avg| &exp_avg[i]),
                exp_avg_sq: &self.exp_avg_sq[i],
            })
            .collect();
        update::adam_step(&parameters, &step)
    }

    /// The moments, named `exp_avg.<parameter>` and `exp_avg_sq.<parameter>`; they share storage with the optimizer.
    pub fn tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let named = |prefix: &'static str, tensors| {
            let named = self.names.iter().zip(tensors);
            named.map(move |(name, tensor)| (format!("{prefix}.{name}"), tensor))
        };
        let first = self.exp_avg.as_deref().unwrap_or_default();
        named("exp_avg", first).chain(named("exp_avg_sq", self.exp_avg_sq.as_slice()))
    }

    /// Restores the moments and the number of steps. `saved` returns the saved moment for a name; the names are those
    /// of [`Adam::tensors`].
    ///
    /// # Errors
    /// `State` when a moment is missing or differs in shape from its parameter.
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

impl Optimizer for Adam {
    type Config = OptimizerConfig;

    /// Optimizes those of `vars` that hold floating-point numbers, which must be f32; the others are ignored. Parameter
    /// names are `0`, `1`, ... in order.
    fn new(vars: Vec<Var>, config: OptimizerConfig) -> candle_core::Result<Self> {
        let vars = vars.into_iter().filter(|var| var.dtype().is_float());
        let variables: Vec<Var> = vars.collect();
        let names = (0..variables.len()).map(|i| i.to_string()).collect();
        Self::named(names, variables, config)
    }

    fn step(&mut self, grads: &GradStore) -> candle_core::Result<()> {
        let contiguous = self.variables.iter().map(|var| {
            let grad = grads.get(var).map(Tensor::contiguous);
            grad.transpose()
        });
        let grads = contiguous.collect::<candle_core::Result<Vec<Option<Tensor>>>>()?;
        let grads: Vec<Option<&Tensor>> = grads.iter().map(Option::as_ref).collect();
        self.update(&grads)
    }

    fn learning_rate(&self) -> f64 {
        self.config.lr
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.config.lr = lr;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::{AdamW, ParamsAdamW};

    use super::*;

    /// Minimizes `sum(scale (x - goal)^2)` with a learning rate that halves after 15 steps.
    fn minimized<O: Optimizer>(config: O::Config) -> Vec<f32> {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let x = Var::from_tensor(&tensor(&[0.0, 2.0, -1.0])).unwrap();
        let (goal, scale) = (tensor(&[1.0, -1.0, 0.5]), tensor(&[1.0, 10.0, 0.1]));
        let mut optimizer = O::new(vec![x.clone()], config).unwrap();
        for step in 0..30 {
            if step == 15 {
                optimizer.set_learning_rate(optimizer.learning_rate() / 2.0);
            }
            let loss = (x.sub(&goal).unwrap().sqr().unwrap() * &scale).unwrap();
            optimizer.backward_step(&loss.sum_all().unwrap()).unwrap();
        }
        x.to_vec1().unwrap()
    }

    #[test]
    fn through_the_trait_it_is_the_adam_of_candle() {
        let ours = minimized::<Adam>(OptimizerConfig {
            lr: 0.1,
            betas: [0.9, 0.99],
            eps: 1e-8,
        });
        let theirs = minimized::<AdamW>(ParamsAdamW {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
        });
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
        assert!((ours[0] - 1.0).abs() < 0.5, "{ours:?}");
    }

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
