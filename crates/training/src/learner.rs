//! Two networks, their optimizers and their moving average: what one iteration changes.

use std::time::Duration;

use candle_core::Tensor;
use networks::{Discriminator, Generator};
use ops::device_event::DeviceEvent;

use crate::config::{LossConfig, OptimizerConfig, TrainConfig};
use crate::draws::Draws;
use crate::ema::{ema_beta, update_average};
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::loss::{Losses, Networks, Round};
use crate::optimizer::Adam;
use crate::phase::{Phase, Trains};
use crate::readings::{Readings, Report, SentReadings};

/// The settings of an iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnerOptions {
    /// Images of one step.
    pub batch_size: usize,
    /// Images at once; the gradients of the rounds are summed.
    pub batch_gpu: usize,
    /// The phases in their order.
    pub phases: Vec<Phase>,
    /// The generator's Adam, before the correction for lazy regularization.
    pub g_optimizer: OptimizerConfig,
    /// The discriminator's.
    pub d_optimizer: OptimizerConfig,
    /// Weights of the losses.
    pub loss: LossConfig,
    /// Half-life of the moving average, in thousands of images.
    pub ema_kimg: f64,
    /// The half-life is at most this share of the images seen.
    pub ema_rampup: Option<f64>,
}

impl LearnerOptions {
    /// Those of a run.
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

    /// The interval of the regularization phase of a network, where it has one of its own.
    fn lazy_interval(&self, trains: Trains) -> Option<usize> {
        let mut phases = self.phases.iter();
        let lazy =
            phases.find(|phase| phase.trains == trains && phase.regularize && !phase.main)?;
        Some(lazy.interval)
    }
}

/// What one iteration works on. Labels are `None` for unconditional networks.
pub struct IterationInput {
    /// Real images, -1 to 1: `[batch, channels, side, side]`. All phases share them.
    pub real_img: Tensor,
    /// Their labels: `[batch, c_dim]`.
    pub real_c: Option<Tensor>,
    /// Latents of all phases, also of those that are skipped: `[phases * batch, z_dim]`.
    pub gen_z: Tensor,
    /// Labels to generate: `[phases * batch, c_dim]`.
    pub gen_c: Option<Tensor>,
}

impl IterationInput {
    /// One round of one phase.
    fn round(&self, phase: usize, batch: usize, start: usize, len: usize) -> Result<Round> {
        let gen_start = phase * batch + start;
        let part = |tensor: &Option<Tensor>, start| -> Result<Option<Tensor>> {
            let part = tensor.as_ref().map(|t| t.narrow(0, start, len));
            Ok(part.transpose()?)
        };
        Ok(Round {
            real_img: self.real_img.narrow(0, start, len)?.contiguous()?,
            real_c: part(&self.real_c, start)?,
            gen_z: self.gen_z.narrow(0, gen_start, len)?,
            gen_c: part(&self.gen_c, gen_start)?,
        })
    }
}

/// What an iteration tells, which a card may still be at.
pub struct Iteration {
    readings: SentReadings,
    /// Official names, beginnings and ends.
    phases: Vec<(&'static str, DeviceEvent, DeviceEvent)>,
}

impl Iteration {
    /// Waits until the losses are computed, reports them and gives the time that each phase took.
    ///
    /// # Errors
    /// What the device says of the iteration.
    pub fn report(self, report: &mut Report<'_>) -> Result<Vec<(&'static str, Duration)>> {
        self.readings.report(report)?;
        let times = self.phases.iter();
        times
            .map(|(name, start, end)| Ok((*name, start.elapsed_until(end)?)))
            .collect()
    }
}

/// Everything that training changes about the networks.
pub struct Learner {
    options: LearnerOptions,
    /// Generator and discriminator.
    pub networks: Networks,
    /// Moving average of the generator.
    pub g_ema: Generator,
    /// The losses and the mean path length.
    pub losses: Losses,
    /// The generator's optimizer, shared by its phases.
    pub g_adam: Adam,
    /// The discriminator's.
    pub d_adam: Adam,
    /// Iterations made.
    pub batch_idx: u64,
    /// Real images seen.
    pub cur_nimg: u64,
}

impl Learner {
    /// A learner that starts from these networks. The weights are shared, those of the average are not changed.
    ///
    /// # Errors
    /// When the batch does not divide into rounds; when the tensor library fails.
    pub fn new(
        options: LearnerOptions,
        g: &Generator,
        d: &Discriminator,
        g_ema: Generator,
    ) -> Result<Self> {
        let (batch, round) = (options.batch_size, options.batch_gpu);
        if round == 0 || !batch.is_multiple_of(round) {
            return Err(Error::setting(
                "batch-gpu",
                format!("a batch of {batch} does not divide into rounds of {round}"),
            ));
        }
        let lazy = |adam: OptimizerConfig, trains| match options.lazy_interval(trains) {
            Some(interval) => adam.with_lazy_regularization(interval),
            None => adam,
        };
        let g_adam = lazy(options.g_optimizer, Trains::Generator);
        let d_adam = lazy(options.d_optimizer, Trains::Discriminator);
        Ok(Self {
            networks: Networks::new(g, d)?,
            g_ema: g_ema.detached()?,
            losses: Losses {
                config: options.loss,
                pl_mean: 0.0,
            },
            g_adam: Adam::new(g.parameters(), g_adam)?,
            d_adam: Adam::new(d.parameters(), d_adam)?,
            options,
            batch_idx: 0,
            cur_nimg: 0,
        })
    }

    /// Settings.
    pub fn options(&self) -> &LearnerOptions {
        &self.options
    }

    /// Makes one iteration: the phases whose turn it is, then the moving average. A card may still be at it on return.
    ///
    /// # Errors
    /// When the input does not fit the networks.
    pub fn iterate(&mut self, input: &IterationInput, draws: &mut dyn Draws) -> Result<Iteration> {
        let device = input.real_img.device();
        let mut readings = Readings::default();
        let mut phases = Vec::new();
        for (index, phase) in self.options.phases.clone().iter().enumerate() {
            if self.batch_idx.is_multiple_of(phase.interval as u64) {
                let start = DeviceEvent::record(device)?;
                self.run_phase(index, phase, input, draws, &mut readings)?;
                phases.push((phase.name(), start, DeviceEvent::record(device)?));
            }
        }
        let beta = self.ema_beta();
        update_average(&self.g_ema, &self.networks.g_frozen, beta)?;
        self.cur_nimg += self.options.batch_size as u64;
        self.batch_idx += 1;
        Ok(Iteration {
            readings: readings.send()?,
            phases,
        })
    }

    /// How much of the moving average stays in the next iteration.
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
        readings: &mut Readings,
    ) -> Result<()> {
        let (batch, round_len) = (self.options.batch_size, self.options.batch_gpu);
        let parameters = match phase.trains {
            Trains::Generator => self.networks.g.parameters(),
            Trains::Discriminator => self.networks.d.parameters(),
        };
        let mut gradients = Gradients::of(parameters);
        {
            // No weight changes before the optimizer's step.
            let _weights_stay = ops::weight_cache::scope();
            for start in (0..batch).step_by(round_len) {
                let round = input.round(index, batch, start, round_len)?;
                self.losses.accumulate(
                    phase,
                    phase.interval as f64,
                    &self.networks,
                    &round,
                    draws,
                    &mut gradients,
                    readings,
                )?;
            }
        }
        if gradients.is_empty() {
            return Ok(());
        }
        match phase.trains {
            Trains::Generator => self.g_adam.step(&gradients),
            Trains::Discriminator => self.d_adam.step(&gradients),
        }
    }
}
