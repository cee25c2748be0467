//! The losses of StyleGAN2 (arXiv:1912.04958) and their gradients, phase by phase.
//!
//! Both penalties need a gradient of a gradient. They take the first gradient with frozen weights, and the second as an
//! ordinary backward pass of a directional derivative along it (`ops::second_order`).

use augment::{Augmentation, BatchShape};
use candle_core::{Tensor, Var};
use networks::{Discriminator, Generator, MappingOptions, mix_styles};
use ops::transfer::upload;
use ops::{Activation, BiasActOptions, Dual, Value};

use crate::config::LossConfig;
use crate::draws::{Draws, Noise};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::phase::{Phase, Trains};
use crate::readings::{Part, Readings};

/// A generator and a discriminator that are trained against each other, each also in a form without gradients.
pub struct Networks {
    /// The generator, its weights tracked.
    pub g: Generator,
    /// The same weights, not tracked.
    pub g_frozen: Generator,
    /// The discriminator, its weights tracked.
    pub d: Discriminator,
    /// The same weights, not tracked.
    pub d_frozen: Discriminator,
}

impl Networks {
    /// Both forms of two networks; the weights are shared.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn new(g: &Generator, d: &Discriminator) -> Result<Self> {
        Ok(Self {
            g: g.tracked()?,
            g_frozen: g.detached()?,
            d: d.tracked()?,
            d_frozen: d.detached()?,
        })
    }
}

/// What one accumulation round works on. Labels are `None` for unconditional networks.
pub struct Round {
    /// Real images, -1 to 1: `[batch, channels, side, side]`.
    pub real_img: Tensor,
    /// Their labels: `[batch, c_dim]`.
    pub real_c: Option<Tensor>,
    /// Latents: `[batch, z_dim]`.
    pub gen_z: Tensor,
    /// Labels of the images to generate: `[batch, c_dim]`.
    pub gen_c: Option<Tensor>,
}

/// The losses, with the one value that they remember.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Weights and decays.
    pub config: LossConfig,
    /// Moving mean of the path lengths.
    pub pl_mean: f32,
}

impl Losses {
    /// Adds the gradients of one round of a phase to `gradients`. The loss is the mean over the round times `gain`.
    ///
    /// # Errors
    /// When shapes do not fit the networks.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a step, each of its own kind"
    )]
    pub fn accumulate(
        &mut self,
        phase: &Phase,
        gain: f64,
        networks: &Networks,
        round: &Round,
        draws: &mut dyn Draws,
        gradients: &mut Gradients,
        readings: &mut Readings,
    ) -> Result<()> {
        match phase.trains {
            Trains::Generator => {
                if phase.main {
                    generator_main(gain, networks, round, draws, gradients, readings)?;
                }
                if phase.regularize && self.config.pl_weight != 0.0 {
                    self.path_length(gain, networks, round, draws, gradients, readings)?;
                }
            }
            Trains::Discriminator => {
                let fake_losses = match phase.main {
                    true => Some(discriminator_fake(
                        gain, networks, round, draws, gradients, readings,
                    )?),
                    false => None,
                };
                let r1 = phase.regularize && self.config.r1_gamma != 0.0;
                if phase.main || r1 {
                    let augmentation = draws.augmentation(BatchShape::of(&round.real_img)?)?;
                    let real = Real {
                        augmentation,
                        gain,
                        networks,
                        round,
                    };
                    if let Some(fake_losses) = fake_losses {
                        real.main(fake_losses, gradients, readings)?;
                    }
                    if r1 {
                        let gamma = self.config.r1_gamma;
                        real.r1_penalty(gamma, !phase.main, gradients, readings)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Path length regularization: changes of `w` shall change the image by the same amount everywhere.
    fn path_length(
        &mut self,
        gain: f64,
        networks: &Networks,
        round: &Round,
        draws: &mut dyn Draws,
        gradients: &mut Gradients,
        readings: &mut Readings,
    ) -> Result<()> {
        let batch = round.gen_z.dim(0)?;
        let batch = (batch / self.config.pl_batch_shrink.max(1)).max(1);
        let z = round.gen_z.narrow(0, 0, batch)?;
        let c = round
            .gen_c
            .as_ref()
            .map(|c| c.narrow(0, 0, batch))
            .transpose()?;
        let ws = styles(&networks.g, &z, c.as_ref(), draws)?;
        let noise = draws.noise();

        // J^T y: how the images' product with random y changes with ws.
        let moving = Var::from_tensor(ws.primal.tensor())?;
        let frozen = &networks.g_frozen.synthesis;
        let img = noise.with(|o| frozen.forward_dual(&moving.as_tensor().into(), o))?;
        let (_, _, height, width) = img.primal.dims4()?;
        let scale = 1.0 / ((height * width) as f64).sqrt();
        let y = (draws.path_noise(img.primal.dims())? * scale)?;
        let mut found = img.primal.backward_from(&y)?;
        let slope = found
            .remove(&moving)
            .map_or_else(|| moving.zeros_like(), Ok)?;

        // Lengths and the penalty, on the host: one number for each sample. The only numbers that a step waits for.
        let (_, num_ws, w_dim) = slope.dims3()?;
        let squares = slope.sqr()?.sum((1, 2))?.to_vec1::<f32>()?;
        let lengths: Vec<f32> = squares.iter().map(|s| (s / num_ws as f32).sqrt()).collect();
        let mean = lengths.iter().sum::<f32>() / batch as f32;
        let decay = self.config.pl_decay as f32;
        self.pl_mean += (mean - self.pl_mean) * decay;
        let offsets: Vec<f32> = lengths.iter().map(|length| length - self.pl_mean).collect();
        let penalties: Vec<f32> = offsets.iter().map(|offset| offset * offset).collect();
        let penalties = readings.part(&upload(penalties, batch, slope.device())?)?;
        readings.values("Loss/pl_penalty", penalties);
        let weight = self.config.pl_weight as f32;
        readings.times("Loss/G/reg", penalties, weight);

        // The loss's derivative in each length. The moving mean contains the lengths, too.
        let mean_offset = offsets.iter().sum::<f32>() / batch as f32;
        let outer = 2.0 * weight * gain as f32 / batch as f32;
        let factors = offsets
            .iter()
            .zip(&lengths)
            .map(|(offset, &length)| match length > 0.0 {
                true => outer * (offset - decay * mean_offset) / (num_ws as f32 * length),
                false => 0.0,
            });
        let factors = upload::<f32>(factors.collect(), (batch, 1, 1), slope.device())?;
        let direction = slope.broadcast_mul(&factors)?;
        debug_assert_eq!(direction.dims(), [batch, num_ws, w_dim]);

        let ws = Dual::new(ws.primal, direction)?;
        let img = noise.with(|o| networks.g.synthesis.forward_dual(&ws, o))?;
        gradients.add(img.tangent_or_zeros()?.backward_from(&y)?)
    }
}

/// Non-saturating logistic loss of the generator.
fn generator_main(
    gain: f64,
    networks: &Networks,
    round: &Round,
    draws: &mut dyn Draws,
    gradients: &mut Gradients,
    readings: &mut Readings,
) -> Result<()> {
    let img = generate(&networks.g, round, draws)?;
    let img = augmented(img, draws)?;
    let logits = networks.d_frozen.forward_dual(&img, round.gen_c.as_ref())?;
    let logits = logits.primal;
    readings.scores("fake", logits.tensor())?;
    let loss = softplus(&logits.neg()?)?;
    let part = readings.part(loss.tensor())?;
    readings.values("Loss/G/loss", part);
    gradients.add(mean_times(&loss, gain)?.backward()?)
}

/// The half of the discriminator's loss that is on generated images; gives that of each sample.
fn discriminator_fake(
    gain: f64,
    networks: &Networks,
    round: &Round,
    draws: &mut dyn Draws,
    gradients: &mut Gradients,
    readings: &mut Readings,
) -> Result<Part> {
    let img = generate(&networks.g_frozen, round, draws)?;
    let img = augmented(img, draws)?;
    let logits = networks.d.forward_dual(&img, round.gen_c.as_ref())?.primal;
    readings.scores("fake", logits.tensor())?;
    let loss = softplus(&logits)?;
    gradients.add(mean_times(&loss, gain)?.backward()?)?;
    readings.part(loss.tensor())
}

/// Real images on their way through one draw of the augmentation.
struct Real<'a> {
    augmentation: Option<Augmentation>,
    gain: f64,
    networks: &'a Networks,
    round: &'a Round,
}

impl Real<'_> {
    fn judge(&self, d: &Discriminator, img: &Dual) -> Result<Dual> {
        let c = self.round.real_c.as_ref();
        Ok(match &self.augmentation {
            Some(augmentation) => d.forward_dual(&augmentation.apply(img)?, c)?,
            None => d.forward_dual(img, c)?,
        })
    }

    /// The half of the discriminator's loss that is on real images; reports the sum of both.
    fn main(
        &self,
        fake_losses: Part,
        gradients: &mut Gradients,
        readings: &mut Readings,
    ) -> Result<()> {
        let logits = self
            .judge(&self.networks.d, &(&self.round.real_img).into())?
            .primal;
        readings.scores("real", logits.tensor())?;
        let loss = softplus(&logits.neg()?)?;
        let part = readings.part(loss.tensor())?;
        readings.sum("Loss/D/loss", part, fake_losses);
        gradients.add(mean_times(&loss, self.gain)?.backward()?)
    }

    /// R1 (arXiv:1801.04406): the squared slope of the discriminator at real images, through the augmentation.
    fn r1_penalty(
        &self,
        gamma: f64,
        with_scores: bool,
        gradients: &mut Gradients,
        readings: &mut Readings,
    ) -> Result<()> {
        let moving = Var::from_tensor(&self.round.real_img)?;
        let logits = self
            .judge(&self.networks.d_frozen, &moving.as_tensor().into())?
            .primal;
        if with_scores {
            readings.scores("real", logits.tensor())?;
        }
        let mut found = logits.sum_all()?.backward()?;
        let slope = found
            .remove(&moving)
            .map_or_else(|| moving.zeros_like(), Ok)?;
        let penalties = slope.sqr()?.sum((1, 2, 3))?;
        let n = penalties.elem_count();
        let penalties = readings.part(&penalties)?;
        readings.values("Loss/r1_penalty", penalties);
        readings.times("Loss/D/reg", penalties, gamma as f32 / 2.0);

        let img = Dual::new(&self.round.real_img, slope)?;
        let logits = self.judge(&self.networks.d, &img)?;
        let factor = self.gain * gamma / n as f64;
        let loss = logits.tangent_or_zeros()?.sum_all()?.scale(factor)?;
        gradients.add(loss.backward()?)
    }
}

/// `ws` of a batch in training: tracked mean, mixed styles.
fn styles(g: &Generator, z: &Tensor, c: Option<&Tensor>, draws: &mut dyn Draws) -> Result<Dual> {
    let track = MappingOptions {
        update_w_avg: true,
        ..MappingOptions::default()
    };
    let ws = g.mapping.forward_dual(&z.into(), c, &track)?;
    let num_ws = ws.primal.dim(1)?;
    let mixing = draws.style_mixing(z, num_ws)?;
    let Some(mixing) = mixing.filter(|mixing| mixing.cutoff < num_ws) else {
        return Ok(ws);
    };
    let other = &Dual::from(&mixing.z);
    let other = g
        .mapping
        .forward_dual(other, c, &MappingOptions::default())?;
    Ok(mix_styles(&ws, &other, mixing.cutoff)?)
}

fn generate(g: &Generator, round: &Round, draws: &mut dyn Draws) -> Result<Dual> {
    let ws = styles(g, &round.gen_z, round.gen_c.as_ref(), draws)?;
    let noise: Noise = draws.noise();
    Ok(noise.with(|options| g.synthesis.forward_dual(&ws, options))?)
}

fn augmented(img: Dual, draws: &mut dyn Draws) -> Result<Dual> {
    Ok(
        match draws.augmentation(BatchShape::of(img.primal.tensor())?)? {
            Some(augmentation) => augmentation.apply(&img)?,
            None => img,
        },
    )
}

fn softplus(x: &Value) -> Result<Value> {
    let options = BiasActOptions {
        activation: Activation::Softplus,
        gain: Some(1.0),
        ..BiasActOptions::default()
    };
    Ok(x.bias_act(None, &options)?)
}

/// The mean of all numbers, times `gain`.
fn mean_times(x: &Value, gain: f64) -> Result<Value> {
    Ok(x.sum_all()?.scale(gain / x.elem_count() as f64)?)
}
