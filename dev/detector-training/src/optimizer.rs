//! Adam (Kingma and Ba, arXiv:1412.6980) with decoupled decay, and a running mean of the weights.

use anyhow::Result;
use candle_core::backprop::GradStore;

use crate::network::Network;

const BETAS: (f64, f64) = (0.9, 0.99);
const EPSILON: f64 = 1e-8;
/// Gradients longer than this are shortened.
const MAX_LENGTH: f64 = 10.0;

/// The state of training besides the parameters.
pub struct Optimizer {
    step: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    /// Running mean of the parameters, which is what gets exported.
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

    /// One step; kernels shrink by `rate * decay`.
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
