//! A run in memory: dataset, networks, augmentation and all random number generators. Equal seeds give equal results.

use std::sync::Arc;
use std::time::Duration;

use augment::{AdaController, AdaOptions, AugmentPipe};
use candle_core::{DType, Device, Tensor};
use dataset::{ImageDataset, Loader, LoaderOptions, SamplerState};
use networks::{Discriminator, Generator};
use ops::transfer::upload;
use run_folder::Stats;
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::draws::{RunDraws, SavedDraws, stream};
use crate::error::{Error, Result};
use crate::images::to_network_range;
use crate::learner::{Iteration, IterationInput, Learner, LearnerOptions};

/// The networks that a run starts from.
pub struct Start {
    /// Generator.
    pub g: Generator,
    /// Discriminator.
    pub d: Discriminator,
    /// Moving average of the generator, whose weights share no storage with `g`.
    pub g_ema: Generator,
}

impl Start {
    /// Networks with new random weights, determined by the seed of the configuration; `g_ema` equals `g`.
    ///
    /// # Errors
    /// When the settings of the networks are invalid.
    pub fn fresh(config: &TrainConfig, device: &Device) -> Result<Self> {
        let seed = config.random_seed;
        let g = Generator::new(&config.generator, &mut stream(seed, "G"), device)?;
        let d = Discriminator::new(&config.discriminator, &mut stream(seed, "D"), device)?;
        let g_ema = g.deep_copy()?;
        Ok(Self { g, d, g_ema })
    }
}

/// The state of a run except its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainerState {
    batch_idx: u64,
    cur_nimg: u64,
    /// The mean path length as the bits of an `f32`, because JSON cannot represent NaN.
    pl_mean_bits: u32,
    g_adam_steps: u64,
    d_adam_steps: u64,
    ada: Option<AdaController>,
    draws: SavedDraws,
    sampler: SamplerState,
    stats: Stats,
}

/// A run in memory, which makes one iteration after another. [`run`](crate::run) also writes the files of a run folder.
pub struct Trainer {
    config: TrainConfig,
    dataset: Arc<ImageDataset>,
    loader: Loader,
    learner: Learner,
    ada: Option<AdaController>,
    draws: RunDraws,
    pub(crate) stats: Stats,
    /// The last iteration, while its scalars are not yet in `stats`.
    pending: Option<Iteration>,
    /// NVIDIA's name and time of each phase of the latest iteration whose scalars are in `stats`.
    phase_times: Vec<(&'static str, Duration)>,
    device: Device,
}

impl Trainer {
    /// A new run on `device`, on which the networks of `start` must already be.
    ///
    /// # Errors
    /// `Setting` or `Network` when settings contradict each other or do not fit the dataset.
    pub fn new(
        config: &TrainConfig,
        dataset: Arc<ImageDataset>,
        start: Start,
        device: &Device,
    ) -> Result<Self> {
        Self::with_sampler(config, dataset, start, None, device)
    }

    /// Creates a run that starts from the networks of `start`. Sampling of the dataset continues from the state
    /// `sampler`; with `None` it begins anew.
    fn with_sampler(
        config: &TrainConfig,
        dataset: Arc<ImageDataset>,
        start: Start,
        sampler: Option<&SamplerState>,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        check_dataset(config, &dataset)?;
        ops::second_order::self_check()?;
        let options = loader_options(config);
        let loader = match sampler {
            Some(sampler) => Loader::restore(dataset.clone(), &options, sampler)?,
            None => Loader::new(dataset.clone(), &options)?,
        };
        let ada = config.ada_target.map(|target| AdaOptions {
            target,
            interval: config.ada_interval as u64,
            kimg: config.ada_kimg as f64,
            batch: config.batch_size,
            max_p: config.ada_max_p,
        });
        let ada = ada.filter(|_| config.augment.is_some());
        let pipe = config.augment.clone().map(AugmentPipe::from);
        let precision = config.precision(device);
        let learner = Learner::new(
            LearnerOptions::of(config),
            &start.g.with_precision(precision),
            &start.d.with_precision(precision),
            start.g_ema.with_precision(precision),
        )?;
        Ok(Self {
            learner,
            ada: ada
                .map(|options| AdaController::new(options, config.augment_p))
                .transpose()?,
            draws: RunDraws::new(
                config.random_seed,
                config.loss.style_mixing_prob,
                pipe,
                device,
            ),
            stats: Stats::default(),
            pending: None,
            phase_times: Vec::new(),
            config: config.clone(),
            dataset,
            loader,
            device: device.clone(),
        })
    }

    /// Makes one iteration. On a GPU the work may continue after the function has returned; the iteration's scalars
    /// enter the statistics during the next call, or in [`Trainer::synchronize`].
    ///
    /// # Errors
    /// `Dataset` when an image cannot be read: nothing has changed then, and the next call tries the same images again.
    /// Other errors when this iteration or the previous one failed in the tensor library.
    pub fn step(&mut self) -> Result<()> {
        let _layout_cache = ops::device::cache_layouts(&self.device);
        let input = self.next_input()?;
        self.draws.p = self.p();
        let iteration = self.learner.iterate(&input, &mut self.draws)?;
        self.collect_reports()?;
        self.pending = Some(iteration);
        let batch_idx = self.learner.batch_idx;
        if self.ada.as_ref().is_some_and(|ada| ada.is_due(batch_idx)) {
            self.collect_reports()?;
        }
        if let Some(ada) = &mut self.ada {
            ada.step(batch_idx);
        }
        Ok(())
    }

    /// Waits for the last iteration, adds its scalars to the statistics, and returns NVIDIA's name and the time of each
    /// of its phases.
    ///
    /// # Errors
    /// When the iteration failed on its device.
    pub fn synchronize(&mut self) -> Result<&[(&'static str, Duration)]> {
        self.collect_reports()?;
        Ok(&self.phase_times)
    }

    /// Waits for the iteration in `pending`, if any, and adds its scalars to the statistics and to adaptive
    /// augmentation.
    fn collect_reports(&mut self) -> Result<()> {
        let Some(iteration) = self.pending.take() else {
            return Ok(());
        };
        let (ada, stats) = (&mut self.ada, &mut self.stats);
        self.phase_times = iteration.report(&mut |name, values| {
            stats.report(name, values.iter().map(|&v| f64::from(v)));
            if let (Some(ada), "Loss/scores/real") = (ada.as_mut(), name) {
                ada.report(values.iter().copied());
            }
        })?;
        for (phase, time) in &self.phase_times {
            let milliseconds = time.as_secs_f64() * 1e3;
            stats.report(&format!("Timing/{phase}"), [milliseconds]);
        }
        Ok(())
    }

    fn next_input(&mut self) -> Result<IterationInput> {
        let batch = self.loader.next_batch()?;
        let [channels, height, width] = self.dataset.shape();
        let shape = (batch.indices.len(), channels, height, width);
        let n = self.learner.options().phases.len() * self.config.batch_size;
        let z_dim = self.config.generator.z_dim;
        let device = &self.device;
        let labels = |labels: Vec<f32>, n| -> Result<Option<Tensor>> {
            Ok(match self.dataset.label_dim() {
                0 => None,
                dim => Some(upload(labels, (n, dim), device)?),
            })
        };
        let real_img = to_network_range(batch.images, shape, device)?;
        let real_c = labels(batch.labels, batch.indices.len())?;
        let gen_z = crate::draws::normal(self.draws.latents(), &[n, z_dim], device)?;
        let gen_c = match self.dataset.label_dim() {
            0 => None,
            _ => labels(self.dataset.random_labels(n, self.draws.latents()), n)?,
        };
        Ok(IterationInput {
            real_img,
            real_c,
            gen_z,
            gen_c,
        })
    }

    /// The device of the networks.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The settings of the run.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The real images.
    pub fn dataset(&self) -> &Arc<ImageDataset> {
        &self.dataset
    }

    /// Networks, optimizers and the moving average.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// Current augmentation probability, at least 0; always 0 without augmentation. Adaptation without `ada_max_p` can
    /// raise it above 1.
    pub fn p(&self) -> f64 {
        match (&self.ada, &self.config.augment) {
            (Some(ada), _) => ada.p(),
            (None, Some(_)) => self.config.augment_p,
            (None, None) => 0.0,
        }
    }

    /// Mean sign of the discriminator's logits for real images at the last adjustment of adaptive augmentation (r_t of
    /// arXiv:2006.06676); `None` before the first adjustment and without adaptation.
    pub fn mean_sign(&self) -> Option<f64> {
        self.ada.as_ref().and_then(AdaController::mean_sign)
    }

    /// The state of the run except its tensors, to be saved.
    ///
    /// # Errors
    /// Those of [`Trainer::synchronize`].
    pub(crate) fn state(&mut self) -> Result<TrainerState> {
        self.synchronize()?;
        let learner = &self.learner;
        Ok(TrainerState {
            batch_idx: learner.batch_idx,
            cur_nimg: learner.cur_nimg,
            pl_mean_bits: learner.losses.pl_mean.to_bits(),
            g_adam_steps: learner.g_adam.steps(),
            d_adam_steps: learner.d_adam.steps(),
            ada: self.ada.clone(),
            draws: self.draws.save(),
            sampler: self.loader.save(),
            stats: self.stats.clone(),
        })
    }

    /// The tensors to be saved, by name; they share storage with the run.
    pub(crate) fn tensors(&self) -> Vec<(String, Tensor)> {
        let learner = &self.learner;
        let mut tensors = Vec::new();
        for (key, parameters) in [
            ("G", learner.networks.g.parameters()),
            ("D", learner.networks.d.parameters()),
            ("G_ema", learner.g_ema.parameters()),
        ] {
            let named = parameters.tensors();
            tensors.extend(named.map(|(name, tensor)| (format!("{key}.{name}"), tensor)));
        }
        for (key, adam) in [("G", &learner.g_adam), ("D", &learner.d_adam)] {
            let named = adam.tensors();
            tensors.extend(named.map(|(name, t)| (format!("adam.{key}.{name}"), t.clone())));
        }
        tensors
    }

    /// Rebuilds a run from the results of [`Trainer::state`] and [`Trainer::tensors`]; `tensors` returns the saved
    /// tensor with a given name.
    pub(crate) fn restore(
        config: &TrainConfig,
        dataset: Arc<ImageDataset>,
        state: TrainerState,
        tensors: impl Fn(&str) -> Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let weights = |key: &str, names: Vec<String>| -> Result<Vec<(String, Tensor)>> {
            let found = names.into_iter().map(|name| {
                let tensor = tensors(&format!("{key}.{name}"));
                let missing = || Error::state(format!("no tensor '{key}.{name}'"));
                Ok((name.clone(), tensor.ok_or_else(missing)?))
            });
            found.collect()
        };
        let names = |slots: Vec<networks::TensorSpec>| {
            let names = slots.into_iter().map(|slot| slot.name);
            names.collect::<Vec<String>>()
        };
        let g_names = names(Generator::layout(&config.generator)?);
        let d_names = names(Discriminator::layout(&config.discriminator)?);
        let generator = |key: &str| -> Result<Generator> {
            let weights = weights(key, g_names.clone())?;
            let config = &config.generator;
            Ok(Generator::from_tensors(
                config,
                weights,
                DType::F32,
                device,
            )?)
        };
        let d = Discriminator::from_tensors(
            &config.discriminator,
            weights("D", d_names)?,
            DType::F32,
            device,
        )?;
        let start = Start {
            g: generator("G")?,
            d,
            g_ema: generator("G_ema")?,
        };
        let mut trainer = Self::with_sampler(config, dataset, start, Some(&state.sampler), device)?;
        let learner = &mut trainer.learner;
        learner.batch_idx = state.batch_idx;
        learner.cur_nimg = state.cur_nimg;
        learner.losses.pl_mean = f32::from_bits(state.pl_mean_bits);
        for (key, adam, steps) in [
            ("G", &mut learner.g_adam, state.g_adam_steps),
            ("D", &mut learner.d_adam, state.d_adam_steps),
        ] {
            adam.restore(steps, |name| tensors(&format!("adam.{key}.{name}")))?;
        }
        trainer.ada = state.ada;
        trainer.draws.restore(&state.draws)?;
        trainer.stats = state.stats;
        Ok(trainer)
    }
}

fn loader_options(config: &TrainConfig) -> LoaderOptions {
    LoaderOptions {
        batch_size: config.batch_size,
        // The sampler uses numpy's random number generator, whose seeds have 32 bits.
        seed: config.random_seed as u32,
        n_threads: config.num_workers,
        n_prefetch: 2,
    }
}

fn check_dataset(config: &TrainConfig, dataset: &ImageDataset) -> Result<()> {
    let g = &config.generator;
    let expected = [g.img_channels, g.img_resolution, g.img_resolution];
    if dataset.shape() != expected {
        return Err(Error::setting(
            "data",
            format!(
                "the images are {:?} (channels, height, width), the networks are for {expected:?}",
                dataset.shape()
            ),
        ));
    }
    if dataset.label_dim() != g.c_dim {
        return Err(Error::setting(
            "cond",
            format!(
                "the dataset's labels have width {}, the networks are for {}",
                dataset.label_dim(),
                g.c_dim
            ),
        ));
    }
    Ok(())
}
