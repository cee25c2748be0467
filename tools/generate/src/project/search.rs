//! Searches for the latent of an image (arXiv:1912.04958, appendix D): Adam optimizes `w`, starting at its mean.
//! Decreasing noise is added to `w`, and the learning rate rises and falls. The generator's noise maps are not
//! optimized.

use anyhow::{Context, ensure};
use candle_core::{DType, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use networks::{NormalSource, SynthesisOptions};
use ops::{Dual, Value};
use rng::RandomState;

use super::distance::TargetDistance;
use crate::latents::z_of_seeds;
use crate::model::{Mapping, Model};

/// Number of random latents from which the mean and the standard deviation of w are computed.
const W_SAMPLES: u32 = 10_000;
/// Largest learning rate.
const LEARNING_RATE: f64 = 0.1;
/// Fraction of the steps during which the learning rate rises from 0.
const RAMP_UP: f64 = 0.05;
/// Fraction of the steps, at the end, during which the learning rate falls to 0.
const RAMP_DOWN: f64 = 0.25;
/// Standard deviation of the noise on w in the first step, as a multiple of the standard deviation of w.
const NOISE: f64 = 0.05;
/// Fraction of the steps during which the noise decreases to 0.
const NOISE_RAMP: f64 = 0.75;

/// Mean and standard deviation of w over random latents.
pub struct WStatistics {
    /// `[1, w_dim]`, f64.
    mean: Tensor,
    /// Root mean square distance of w from the mean.
    deviation: f64,
}

impl WStatistics {
    /// Computes the statistics over the latents of 10,000 consecutive seeds, beginning with `seed`.
    pub fn of(model: &Model, mapping: &Mapping, seed: u32) -> anyhow::Result<Self> {
        let config = model.config();
        let mut sum = Tensor::zeros((1, config.w_dim), DType::F64, &model.device)?;
        let mut all = Vec::new();
        let seeds: Vec<u32> = (0..W_SAMPLES).map(|i| seed.wrapping_add(i)).collect();
        for seeds in seeds.chunks(1000) {
            let ws = model.ws(&z_of_seeds(seeds, config.z_dim, &model.device)?, mapping)?;
            let w = ws.narrow(1, 0, 1)?.squeeze(1)?.to_dtype(DType::F64)?;
            sum = (sum + w.sum_keepdim(0)?)?;
            all.push(w);
        }
        let mean = (sum / f64::from(W_SAMPLES))?;
        let squares = Tensor::cat(&all, 0)?
            .broadcast_sub(&mean)?
            .sqr()?
            .sum_all()?;
        let deviation = (squares.to_scalar::<f64>()? / f64::from(W_SAMPLES)).sqrt();
        Ok(Self { mean, deviation })
    }
}

/// The latent that a search has found.
pub struct Projection {
    /// `[1, num_ws, w_dim]`
    pub ws: Tensor,
    /// The image generated from `ws`: `[1, channels, resolution, resolution]`, values of about -1 to 1.
    pub images: Tensor,
    /// Distance of the image from the target.
    pub distance: f32,
    /// Distance between the target and the image of the first step.
    pub first_distance: f64,
}

/// A function that is called in each step with the step's number, from 0, and its image,
/// `[1, channels, resolution, resolution]`.
pub type OnStep<'a> = dyn FnMut(u32, &Tensor) -> anyhow::Result<()> + 'a;

/// The settings of a search.
pub struct Search<'a> {
    pub model: &'a Model,
    pub distance: &'a TargetDistance,
    pub statistics: WStatistics,
    pub n_steps: u32,
    /// Seed of the noise on w.
    pub seed: u32,
    /// Whether each layer gets its own w (`w+`), instead of one w for all layers.
    pub is_per_layer: bool,
}

impl Search<'_> {
    /// Runs all steps of the search.
    ///
    /// # Errors
    /// When the distance becomes NaN or infinite, as with damaged weights; the errors of `on_step`.
    pub fn run(&self, on_step: &mut OnStep<'_>) -> anyhow::Result<Projection> {
        let config = self.model.config();
        let n_layers = match self.is_per_layer {
            true => config.num_ws(),
            false => 1,
        };
        let start = self.statistics.mean.to_dtype(DType::F32)?;
        let start = start.reshape((1, 1, config.w_dim))?;
        let w = Var::from_tensor(&start.repeat((1, n_layers, 1))?)?;
        // Adam (arXiv:1412.6980) with its usual settings.
        let adam = ParamsAdamW {
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        let mut adam = AdamW::new(vec![w.clone()], adam)?;
        let mut random = RandomState::new(self.seed);
        let bar = cli::Progress::new("projecting", Some(u64::from(self.n_steps)), "steps");
        let mut first_distance = None;
        for step in 0..self.n_steps {
            let time = f64::from(step) / f64::from(self.n_steps);
            adam.set_learning_rate(learning_rate(time));
            let (images, distance) = self.step(step, time, &w, &mut adam, &mut random)?;
            first_distance.get_or_insert(distance);
            on_step(step, &images)?;
            bar.set_message(format!("distance {distance:.4}"));
            bar.inc(1);
        }
        bar.finish();

        // The result is generated without noise on w.
        let ws = self.ws_of(&w.as_detached_tensor().into())?.into_tensor();
        let synthesis = &self.model.generator.synthesis;
        let images = synthesis.forward(&ws, SynthesisOptions::default())?;
        Ok(Projection {
            distance: self.distance.of(&images)?.to_scalar::<f32>()?,
            first_distance: first_distance.unwrap_or_default(),
            ws,
            images,
        })
    }

    /// Makes the step at `time`, which goes from 0 to 1 over the search. Returns the image from before the update of
    /// `w`, and its distance from the target.
    fn step(
        &self,
        step: u32,
        time: f64,
        w: &Var,
        adam: &mut AdamW,
        random: &mut RandomState,
    ) -> anyhow::Result<(Tensor, f64)> {
        let fade = (1.0 - time / NOISE_RAMP).max(0.0).powi(2);
        let mut noise = vec![0f32; w.elem_count()];
        random.fill_normal(&mut noise);
        let noise = Tensor::from_vec(noise, w.shape(), w.device())?;
        let noise = Value::from((noise * (self.statistics.deviation * NOISE * fade))?);
        let noisy = Value::from(w.as_tensor()).add(&noise)?;
        let ws = Dual::from(self.ws_of(&noisy)?);
        let synthesis = &self.model.generator.synthesis;
        let generated = synthesis.forward_dual(&ws, SynthesisOptions::default())?;
        // candle differentiates the distance, the crate `ops` differentiates the generator: pass the gradient with
        // respect to the image from candle to `ops`.
        let images = Var::from_tensor(generated.primal.tensor())?;
        let loss = self.distance.of(&images)?;
        let distance = f64::from(loss.to_scalar::<f32>()?);
        ensure!(
            distance.is_finite(),
            "the distance is NaN or infinite in step {step}: are the weights of {} damaged?",
            self.model.file
        );
        let mut grads = loss.backward()?;
        let image_grad = grads.get(&images).context("the distance is constant")?;
        let latent_grads = generated.primal.backward_from(image_grad)?;
        let w_grad = latent_grads
            .get(w)
            .context("the image does not depend on w")?;
        grads.insert(w, w_grad.detach());
        adam.step(&grads)?;
        Ok((images.detach(), distance))
    }

    /// Returns `w` as `[1, num_ws, w_dim]`: if all layers share one vector (`[1, 1, w_dim]`), it is repeated for each
    /// layer.
    fn ws_of(&self, w: &Value) -> candle_core::Result<Value> {
        match self.is_per_layer {
            true => Ok(w.clone()),
            false => Value::cat(&vec![w; self.model.config().num_ws()], 1),
        }
    }
}

/// The learning rate at `time`, 0 to 1: it rises linearly during the first steps and falls as a cosine during the last
/// ones.
fn learning_rate(time: f64) -> f64 {
    let down = ((1.0 - time) / RAMP_DOWN).min(1.0);
    let down = 0.5 - 0.5 * (down * std::f64::consts::PI).cos();
    LEARNING_RATE * down * (time / RAMP_UP).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_and_falls() {
        assert_eq!(learning_rate(0.0), 0.0);
        assert!((learning_rate(0.025) - 0.05).abs() < 1e-12);
        assert!((learning_rate(0.5) - 0.1).abs() < 1e-12);
        assert!((learning_rate(0.875) - 0.05).abs() < 1e-12);
        assert!(learning_rate(0.999) < 1e-5);
    }
}
