//! One iteration of training, and what it updates: the networks, their optimizers and the generator's moving average.

use std::time::Duration;

use candle_core::Tensor;
use networks::{Discriminator, Generator};
use ops::device_event::DeviceEvent;

use crate::config::{LossConfig, OptimizerConfig, TrainConfig};
use crate::deferred_scalars::{DeferredScalars, PendingScalars, ScalarSink};
use crate::draws::Draws;
use crate::ema::{ema_beta, update_average};
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::loss::{LossContext, Losses, MicroBatch, Networks};
use crate::optimizer::Adam;
use crate::phase::{Phase, TrainedNetwork};

/// The settings of a training iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnerOptions {
    /// Real images in one iteration.
    pub batch_size: usize,
    /// Images in a micro-batch; the gradients of the micro-batches are summed.
    pub batch_gpu: usize,
    /// The phases of an iteration in the order in which they run.
    pub phases: Vec<Phase>,
    /// Settings of the generator's Adam, before the correction for lazy regularization.
    pub g_optimizer: OptimizerConfig,
    /// Settings of the discriminator's Adam, before the correction for lazy regularization.
    pub d_optimizer: OptimizerConfig,
    /// Weights of the losses.
    pub loss: LossConfig,
    /// Half-life of the generator's moving average, in thousands of images.
    pub ema_kimg: f64,
    /// Upper limit of the half-life in `ema_kimg`, as a fraction of the images seen so far; `None` for no such limit.
    pub ema_rampup: Option<f64>,
}

impl LearnerOptions {
    /// The iteration settings of a run's configuration.
    pub fn of(config: &TrainConfig) -> Self {
        Self {
            batch_size: config.batch_size,
            batch_gpu: config.batch_gpu,
            phases: Phase::all(config),
            g_optimizer: config.g_optimizer,
            d_optimizer: config.d_optimizer,
            loss: config.loss,
            ema_kimg: config.ema_kimg,
            ema_rampup: config.ema_rampup,
        }
    }

    /// Returns the interval of the regularization phase of the network `trains`; `None` if this network has no
    /// regularization phase apart from its main phase.
    fn lazy_interval(&self, trains: TrainedNetwork) -> Option<usize> {
        let mut phases = self.phases.iter();
        let lazy =
            phases.find(|phase| phase.trains == trains && phase.regularize && !phase.main)?;
        Some(lazy.interval)
    }
}

/// The input of one iteration. Labels are `None` for unconditional networks.
pub struct IterationInput {
    /// Real images, values -1 to 1: `[batch, channels, resolution, resolution]`. All phases use the same images.
    pub real_img: Tensor,
    /// Labels of the real images: `[batch, c_dim]`.
    pub real_c: Option<Tensor>,
    /// Latents of all phases, including those that do not run in this iteration: `[phases * batch, z_dim]`, phase by
    /// phase.
    pub gen_z: Tensor,
    /// Labels of the images to generate, in the order of `gen_z`: `[phases * batch, c_dim]`.
    pub gen_c: Option<Tensor>,
}

impl IterationInput {
    /// Returns the images `start..start + len` of the batch, with the latents and labels for the phase at index
    /// `phase`; `batch` is the batch size.
    fn micro_batch(
        &self,
        phase: usize,
        batch: usize,
        start: usize,
        len: usize,
    ) -> Result<MicroBatch> {
        let gen_start = phase * batch + start;
        let part = |tensor: &Option<Tensor>, start| -> Result<Option<Tensor>> {
            let part = tensor.as_ref().map(|t| t.narrow(0, start, len));
            Ok(part.transpose()?)
        };
        Ok(MicroBatch {
            real_img: self.real_img.narrow(0, start, len)?.contiguous()?,
            real_c: part(&self.real_c, start)?,
            gen_z: self.gen_z.narrow(0, gen_start, len)?,
            gen_c: part(&self.gen_c, gen_start)?,
        })
    }
}

/// The reported scalars and phase times of an iteration that a GPU may still be computing.
pub struct Iteration {
    scalars: PendingScalars,
    /// NVIDIA's name (`Gmain`), start and end of each phase that ran.
    phases: Vec<(&'static str, DeviceEvent, DeviceEvent)>,
}

impl Iteration {
    /// Waits until the iteration is computed, passes its scalars to `sink` and returns the name and time of each phase.
    ///
    /// # Errors
    /// When the iteration failed on its device.
    pub fn report(self, sink: &mut ScalarSink<'_>) -> Result<Vec<(&'static str, Duration)>> {
        self.scalars.report(sink)?;
        let times = self.phases.iter();
        times
            .map(|(name, start, end)| Ok((*name, start.elapsed_until(end)?)))
            .collect()
    }
}

/// Everything that a training iteration changes: weights, the optimizers' moments, `g_ema`, mean path length.
pub struct Learner {
    options: LearnerOptions,
    /// Generator and discriminator in training.
    pub networks: Networks,
    /// Moving average of the generator's weights.
    pub g_ema: Generator,
    /// Settings of the losses, and the mean path length.
    pub losses: Losses,
    /// The generator's optimizer, shared by its phases.
    pub g_adam: Adam,
    /// The discriminator's optimizer, shared by its phases.
    pub d_adam: Adam,
    /// Number of iterations made so far.
    pub batch_idx: u64,
    /// Number of real images seen so far.
    pub cur_nimg: u64,
}

impl Learner {
    /// Creates a learner that shares the weights of the given networks, and therefore trains these in place.
    ///
    /// # Errors
    /// `Setting` when the batch does not divide into micro-batches; `Tensor` when the tensor library fails.
    pub fn new(
        options: LearnerOptions,
        g: &Generator,
        d: &Discriminator,
        g_ema: Generator,
    ) -> Result<Self> {
        let (batch, batch_gpu) = (options.batch_size, options.batch_gpu);
        if batch_gpu == 0 || !batch.is_multiple_of(batch_gpu) {
            return Err(Error::setting(
                "batch-gpu",
                format!("a batch of {batch} does not divide into micro-batches of {batch_gpu}"),
            ));
        }
        let lazy = |adam: OptimizerConfig, trains| match options.lazy_interval(trains) {
            Some(interval) => adam.with_lazy_regularization(interval),
            None => adam,
        };
        let g_adam = lazy(options.g_optimizer, TrainedNetwork::Generator);
        let d_adam = lazy(options.d_optimizer, TrainedNetwork::Discriminator);
        Ok(Self {
            networks: Networks::new(g, d)?,
            g_ema: g_ema.detached()?,
            losses: Losses {
                config: options.loss,
                pl_mean: 0.0,
            },
            g_adam: Adam::for_parameters(g.parameters(), g_adam)?,
            d_adam: Adam::for_parameters(d.parameters(), d_adam)?,
            options,
            batch_idx: 0,
            cur_nimg: 0,
        })
    }

    /// The settings.
    pub fn options(&self) -> &LearnerOptions {
        &self.options
    }

    /// Makes one iteration: runs the phases that are due, then updates the moving average. On a GPU the work may
    /// continue after the function has returned.
    ///
    /// # Errors
    /// When the input does not fit the networks.
    pub fn iterate(&mut self, input: &IterationInput, draws: &mut dyn Draws) -> Result<Iteration> {
        let device = input.real_img.device();
        let mut scalars = DeferredScalars::default();
        let mut phases = Vec::new();
        for (index, phase) in self.options.phases.clone().iter().enumerate() {
            if self.batch_idx.is_multiple_of(phase.interval as u64) {
                let start = DeviceEvent::record(device)?;
                self.run_phase(index, phase, input, draws, &mut scalars)?;
                phases.push((phase.name(), start, DeviceEvent::record(device)?));
            }
        }
        let beta = self.ema_beta();
        update_average(&self.g_ema, &self.networks.g_frozen, beta)?;
        self.cur_nimg += self.options.batch_size as u64;
        self.batch_idx += 1;
        Ok(Iteration {
            scalars: scalars.send()?,
            phases,
        })
    }

    /// The weight of the old `g_ema` in the next iteration's update, see [`ema_beta`](crate::ema_beta).
    pub fn ema_beta(&self) -> f64 {
        let o = &self.options;
        ema_beta(o.batch_size, o.ema_kimg, o.ema_rampup, self.cur_nimg)
    }

    fn run_phase(
        &mut self,
        index: usize,
        phase: &Phase,
        input: &IterationInput,
        draws: &mut dyn Draws,
        scalars: &mut DeferredScalars,
    ) -> Result<()> {
        let (batch, batch_gpu) = (self.options.batch_size, self.options.batch_gpu);
        let parameters = match phase.trains {
            TrainedNetwork::Generator => self.networks.g.parameters(),
            TrainedNetwork::Discriminator => self.networks.d.parameters(),
        };
        let mut grads = Gradients::of(parameters);
        {
            // The weights do not change before the optimizer's step, so their transforms can be cached until then.
            let _weights_stay = ops::weight_cache::scope();
            for start in (0..batch).step_by(batch_gpu) {
                let mut context = LossContext {
                    networks: &self.networks,
                    batch: &input.micro_batch(index, batch, start, batch_gpu)?,
                    gain: phase.interval as f64,
                    draws: &mut *draws,
                    grads: &mut grads,
                    scalars: &mut *scalars,
                };
                self.losses.accumulate(phase, &mut context)?;
            }
        }
        if grads.is_empty() {
            return Ok(());
        }
        match phase.trains {
            TrainedNetwork::Generator => self.g_adam.step_gradients(&grads),
            TrainedNetwork::Discriminator => self.d_adam.step_gradients(&grads),
        }
    }
}
