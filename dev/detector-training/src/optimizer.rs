//! Adam (Kingma and Ba, arXiv:1412.6980) with decoupled weight decay, and a moving average of the parameters.

use anyhow::Result;
use candle_core::backprop::GradStore;

use crate::network::Network;

const BETAS: (f64, f64) = (0.9, 0.99);
const EPSILON: f64 = 1e-8;
/// A gradient whose norm over all parameters exceeds this is scaled down to it.
const MAX_LENGTH: f64 = 10.0;

/// The state of the optimizer.
pub struct Optimizer {
    step: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    /// Exponential moving average of the parameters, in the form of [`Network::values`]; this is what is exported.
    pub mean: Vec<Vec<f32>>,
}

impl Optimizer {
    pub fn new(network: &Network) -> Result<Self> {
        let mean = network.values()?;
        Ok(Self {
            step: 0,
            moments: mean
                .iter()
                .map(|v| (vec![0.0; v.len()], vec![0.0; v.len()]))
                .collect(),
            mean,
        })
    }

    /// Performs one step of learning rate `rate`; kernels are also multiplied by `1 - rate * decay`.
    ///
    /// A step whose gradient is not finite is skipped.
    pub fn step(
        &mut self,
        network: &Network,
        gradients: &GradStore,
        rate: f64,
        decay: f64,
    ) -> Result<()> {
        self.step += 1;
        let mut values = network.values()?;
        let mut all = Vec::new();
        for (_, var) in &network.parameters {
            let gradient = gradients.get(var.as_tensor());
            all.push(
                gradient
                    .map(|g| g.flatten_all()?.to_vec1::<f32>())
                    .transpose()?,
            );
        }
        let squares = all
            .iter()
            .flatten()
            .flatten()
            .map(|&g| f64::from(g).powi(2));
        let length = squares.sum::<f64>().sqrt();
        if !length.is_finite() {
            return Ok(());
        }
        let shorten = (MAX_LENGTH / length.max(1e-12)).min(1.0) as f32;
        let correct = |beta: f64| 1.0 - beta.powi(self.step);
        let (correct_first, correct_second) = (correct(BETAS.0) as f32, correct(BETAS.1) as f32);
        let (first, second) = (BETAS.0 as f32, BETAS.1 as f32);
        let keep = 0.998f64.min(f64::from(self.step) / (f64::from(self.step) + 10.0)) as f32;
        for (i, gradient) in all.into_iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let is_kernel = network.parameters[i].0.ends_with(".weight");
            let shrink = if is_kernel {
                1.0 - (rate * decay) as f32
            } else {
                1.0
            };
            let (m, v) = &mut self.moments[i];
            let mean = &mut self.mean[i];
            for (j, g) in gradient.into_iter().enumerate() {
                let g = g * shorten;
                m[j] = first * m[j] + (1.0 - first) * g;
                v[j] = second * v[j] + (1.0 - second) * g * g;
                let step =
                    (m[j] / correct_first) / ((v[j] / correct_second).sqrt() + EPSILON as f32);
                let value = &mut values[i][j];
                *value = *value * shrink - rate as f32 * step;
                mean[j] = keep * mean[j] + (1.0 - keep) * *value;
            }
        }
        network.set_values(&values)
    }
}
