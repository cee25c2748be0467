//! The losses of StyleGAN2 (arXiv:1912.04958) and their gradients, phase by phase.
//!
//! The path length and R1 penalties need the gradient of a gradient. The inner gradient is computed first, with frozen
//! weights. The outer gradient then comes from an ordinary backward pass through the directional derivative along the
//! inner gradient (`ops::second_order`).

use augment::{Augmentation, BatchShape};
use candle_core::{Tensor, Var};
use networks::{Discriminator, Generator, MappingOptions, mix_styles};
use ops::transfer::upload;
use ops::{Activation, BiasActOptions, Dual, Value};

use crate::config::LossConfig;
use crate::deferred_scalars::{DeferredScalars, ScalarBuffer};
use crate::draws::{Draws, Noise};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::phase::{Phase, TrainedNetwork};

/// A generator and a discriminator in training, each in two forms that share weights: with and without gradients.
pub struct Networks {
    /// The generator; gradients of its weights are computed.
    pub g: Generator,
    /// The generator with the same weights, for which no gradients are computed.
    pub g_frozen: Generator,
    /// The discriminator; gradients of its weights are computed.
    pub d: Discriminator,
    /// The discriminator with the same weights, for which no gradients are computed.
    pub d_frozen: Discriminator,
}

impl Networks {
    /// Makes both forms of each network; they share the weights of `g` and `d`.
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

/// The part of a batch that passes through the networks at once; the gradients of a batch are the sum over its
/// micro-batches. Labels are `None` for unconditional networks.
pub struct MicroBatch {
    /// Real images, values -1 to 1: `[batch, channels, resolution, resolution]`; `batch` is the size of the
    /// micro-batch.
    pub real_img: Tensor,
    /// Labels of the real images: `[batch, c_dim]`.
    pub real_c: Option<Tensor>,
    /// Latents of the images to generate: `[batch, z_dim]`.
    pub gen_z: Tensor,
    /// Labels of the images to generate: `[batch, c_dim]`.
    pub gen_c: Option<Tensor>,
}

/// The inputs and outputs of [`Losses::accumulate`].
pub struct LossContext<'a> {
    /// The networks.
    pub networks: &'a Networks,
    /// The images, latents and labels.
    pub batch: &'a MicroBatch,
    /// Factor on the loss: the interval of the phase, which makes up for the iterations in which the phase does not run
    /// (lazy regularization).
    pub gain: f64,
    /// Source of random numbers: style mixing, noise, augmentation.
    pub draws: &'a mut dyn Draws,
    /// Gradients of the network that the phase trains; the gradients of this micro-batch are added to them.
    pub grads: &'a mut Gradients,
    /// Receives losses, penalties and logits under NVIDIA's names.
    pub scalars: &'a mut DeferredScalars,
}

/// The losses of both networks. Their only state is the mean path length.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Weights of the losses, and the decay of the mean path length.
    pub config: LossConfig,
    /// Moving average of the path lengths, over micro-batches.
    pub pl_mean: f32,
}

impl Losses {
    /// Computes the loss of one micro-batch in a phase and adds its gradients to `context.grads`. The loss is the mean
    /// over the micro-batch times `context.gain`.
    ///
    /// # Errors
    /// When shapes do not fit the networks.
    pub fn accumulate(&mut self, phase: &Phase, context: &mut LossContext<'_>) -> Result<()> {
        match phase.trains {
            TrainedNetwork::Generator => {
                if phase.main {
                    context.generator_main()?;
                }
                if phase.regularize && self.config.pl_weight != 0.0 {
                    self.path_length(context)?;
                }
            }
            TrainedNetwork::Discriminator => {
                let fake_losses = match phase.main {
                    true => Some(context.discriminator_fake()?),
                    false => None,
                };
                let r1 = phase.regularize && self.config.r1_gamma != 0.0;
                if phase.main || r1 {
                    // The adversarial loss and the R1 penalty use the same augmentation of the real images.
                    let shape = BatchShape::of(&context.batch.real_img)?;
                    let augmentation = context.draws.augmentation(shape)?;
                    if let Some(fake_losses) = fake_losses {
                        context.discriminator_real(augmentation.as_ref(), fake_losses)?;
                    }
                    if r1 {
                        let gamma = self.config.r1_gamma;
                        context.r1_penalty(augmentation.as_ref(), gamma, !phase.main)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Path length regularization: penalizes differences between path lengths and their moving average `pl_mean`. A
    /// path length measures how strongly a step in `w` changes the image.
    fn path_length(&mut self, context: &mut LossContext<'_>) -> Result<()> {
        let (networks, gain) = (context.networks, context.gain);
        let batch = context.batch.gen_z.dim(0)?;
        let batch = (batch / self.config.pl_batch_shrink.max(1)).max(1);
        let z = context.batch.gen_z.narrow(0, 0, batch)?;
        let gen_c = context.batch.gen_c.as_ref();
        let c = gen_c.map(|c| c.narrow(0, 0, batch)).transpose()?;
        let ws = mixed_ws(&networks.g, &z, c.as_ref(), context.draws)?;
        let noise = context.draws.noise();

        // J^T y: the gradient with respect to ws of the inner product of the images and the random images y.
        let leaf = Var::from_tensor(ws.primal.tensor())?;
        let frozen = &networks.g_frozen.synthesis;
        let img = noise.with(|o| frozen.forward_dual(&leaf.as_tensor().into(), o))?;
        let (_, _, height, width) = img.primal.dims4()?;
        let scale = 1.0 / ((height * width) as f64).sqrt();
        let y = (context.draws.path_noise(img.primal.dims())? * scale)?;
        let mut grads = img.primal.backward_from(&y)?;
        let grad = grads.remove(&leaf).map_or_else(|| leaf.zeros_like(), Ok)?;

        // Compute lengths and penalties on the host, one of each per sample. No other part of the losses makes the host
        // wait for the device.
        let (_, num_ws, w_dim) = grad.dims3()?;
        let squares = grad.sqr()?.sum((1, 2))?.to_vec1::<f32>()?;
        let lengths: Vec<f32> = squares.iter().map(|s| (s / num_ws as f32).sqrt()).collect();
        let mean = lengths.iter().sum::<f32>() / batch as f32;
        let decay = self.config.pl_decay as f32;
        self.pl_mean += (mean - self.pl_mean) * decay;
        let offsets: Vec<f32> = lengths.iter().map(|length| length - self.pl_mean).collect();
        let penalties: Vec<f32> = offsets.iter().map(|offset| offset * offset).collect();
        let scalars = &mut *context.scalars;
        let penalties = scalars.buffer(&upload(penalties, batch, grad.device())?)?;
        scalars.report("Loss/pl_penalty", penalties);
        let weight = self.config.pl_weight as f32;
        scalars.report_scaled("Loss/G/reg", penalties, weight);

        // The derivative of the loss with respect to `grad` is `grad` times one factor per sample. The term with
        // `decay` arises because the moving average in the loss also depends on the lengths.
        let mean_offset = offsets.iter().sum::<f32>() / batch as f32;
        let outer = 2.0 * weight * gain as f32 / batch as f32;
        let factors = offsets
            .iter()
            .zip(&lengths)
            .map(|(offset, &length)| match length > 0.0 {
                true => outer * (offset - decay * mean_offset) / (num_ws as f32 * length),
                false => 0.0,
            });
        let factors = upload::<f32>(factors.collect(), (batch, 1, 1), grad.device())?;
        let direction = grad.broadcast_mul(&factors)?;
        debug_assert_eq!(direction.dims(), [batch, num_ws, w_dim]);

        let ws = Dual::new(ws.primal, direction)?;
        let img = noise.with(|o| networks.g.synthesis.forward_dual(&ws, o))?;
        let grads = img.tangent_or_zeros()?.backward_from(&y)?;
        context.grads.add(grads)
    }
}

impl LossContext<'_> {
    /// Non-saturating logistic loss of the generator, `softplus(-logits)`.
    fn generator_main(&mut self) -> Result<()> {
        let img = self.generate(&self.networks.g)?;
        let img = self.augment_fake(img)?;
        let gen_c = self.batch.gen_c.as_ref();
        let logits = self.networks.d_frozen.forward_dual(&img, gen_c)?.primal;
        self.scalars.report_scores("fake", logits.tensor())?;
        let loss = softplus(&logits.neg()?)?;
        let losses = self.scalars.buffer(loss.tensor())?;
        self.scalars.report("Loss/G/loss", losses);
        self.grads.add(mean_times(&loss, self.gain)?.backward()?)
    }

    /// The discriminator's loss on generated images, `softplus(logits)`. Returns the loss of each sample.
    fn discriminator_fake(&mut self) -> Result<ScalarBuffer> {
        let img = self.generate(&self.networks.g_frozen)?;
        let img = self.augment_fake(img)?;
        let gen_c = self.batch.gen_c.as_ref();
        let logits = self.networks.d.forward_dual(&img, gen_c)?.primal;
        self.scalars.report_scores("fake", logits.tensor())?;
        let loss = softplus(&logits)?;
        self.grads.add(mean_times(&loss, self.gain)?.backward()?)?;
        self.scalars.buffer(loss.tensor())
    }

    /// The discriminator's loss on real images, `softplus(-logits)`. Reports, for each sample, the sum of this loss and
    /// its value in `fake_losses`.
    fn discriminator_real(
        &mut self,
        augmentation: Option<&Augmentation>,
        fake_losses: ScalarBuffer,
    ) -> Result<()> {
        let img = (&self.batch.real_img).into();
        let logits = self.real_logits(&self.networks.d, &img, augmentation)?;
        let logits = logits.primal;
        self.scalars.report_scores("real", logits.tensor())?;
        let loss = softplus(&logits.neg()?)?;
        let losses = self.scalars.buffer(loss.tensor())?;
        self.scalars.report_sum("Loss/D/loss", losses, fake_losses);
        self.grads.add(mean_times(&loss, self.gain)?.backward()?)
    }

    /// R1 penalty (arXiv:1801.04406): the squared norm of the gradient of the logits with respect to the real images,
    /// times `gamma / 2`. The logits are computed from the augmented images; the gradient passes through the
    /// augmentation. With `with_scores` the logits are also reported.
    fn r1_penalty(
        &mut self,
        augmentation: Option<&Augmentation>,
        gamma: f64,
        with_scores: bool,
    ) -> Result<()> {
        let networks = self.networks;
        let leaf = Var::from_tensor(&self.batch.real_img)?;
        let img = leaf.as_tensor().into();
        let logits = self.real_logits(&networks.d_frozen, &img, augmentation)?;
        let logits = logits.primal;
        if with_scores {
            self.scalars.report_scores("real", logits.tensor())?;
        }
        let mut grads = logits.sum_all()?.backward()?;
        let grad = grads.remove(&leaf).map_or_else(|| leaf.zeros_like(), Ok)?;
        let penalties = grad.sqr()?.sum((1, 2, 3))?;
        let n = penalties.elem_count();
        let penalties = self.scalars.buffer(&penalties)?;
        self.scalars.report("Loss/r1_penalty", penalties);
        self.scalars
            .report_scaled("Loss/D/reg", penalties, gamma as f32 / 2.0);

        let img = Dual::new(&self.batch.real_img, grad)?;
        let logits = self.real_logits(&networks.d, &img, augmentation)?;
        let factor = self.gain * gamma / n as f64;
        let loss = logits.tangent_or_zeros()?.sum_all()?.scale(factor)?;
        self.grads.add(loss.backward()?)
    }

    /// Augments the real images `img` and computes the logits of the discriminator `d` for them.
    fn real_logits(
        &self,
        d: &Discriminator,
        img: &Dual,
        augmentation: Option<&Augmentation>,
    ) -> Result<Dual> {
        let c = self.batch.real_c.as_ref();
        Ok(match augmentation {
            Some(augmentation) => d.forward_dual(&augmentation.apply(img)?, c)?,
            None => d.forward_dual(img, c)?,
        })
    }

    /// Generates images from the micro-batch's latents, with style mixing and new noise.
    fn generate(&mut self, g: &Generator) -> Result<Dual> {
        let (z, c) = (&self.batch.gen_z, self.batch.gen_c.as_ref());
        let ws = mixed_ws(g, z, c, self.draws)?;
        let noise: Noise = self.draws.noise();
        Ok(noise.with(|options| g.synthesis.forward_dual(&ws, options))?)
    }

    /// Draws an augmentation for generated images and applies it to `img`.
    fn augment_fake(&mut self, img: Dual) -> Result<Dual> {
        let shape = BatchShape::of(img.primal.tensor())?;
        Ok(match self.draws.augmentation(shape)? {
            Some(augmentation) => augmentation.apply(&img)?,
            None => img,
        })
    }
}

/// Maps a batch of latents to `ws`, `[batch, num_ws, w_dim]`, with style mixing. Updates `w_avg`, the moving average of
/// `w`.
fn mixed_ws(g: &Generator, z: &Tensor, c: Option<&Tensor>, draws: &mut dyn Draws) -> Result<Dual> {
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

fn softplus(x: &Value) -> Result<Value> {
    let options = BiasActOptions {
        activation: Activation::Softplus,
        gain: Some(1.0),
        ..BiasActOptions::default()
    };
    Ok(x.bias_act(None, &options)?)
}

/// The mean of all elements, times `gain`.
fn mean_times(x: &Value, gain: f64) -> Result<Value> {
    Ok(x.sum_all()?.scale(gain / x.elem_count() as f64)?)
}
