use architecture::NetworkDefinition;
use augment::AugPipe;
use dataset::Fingerprint;
use networks::{DiscriminatorConfig, GeneratorConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::preset::Preset;

/// Everything that a training run is made of, complete: no default is left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// What tells this run from others in the name of its folder: `faces512-mirror-paper512`.
    pub desc: String,
    /// What was typed; `None` in states of older versions.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// Number of devices.
    pub num_gpus: usize,
    /// Ticks between grids of images.
    pub image_snapshot_ticks: usize,
    /// Ticks between network snapshots.
    pub network_snapshot_ticks: usize,
    /// Ticks between training states: what a killed run loses at most.
    pub state_ticks: usize,
    /// How many training states are kept.
    #[serde(default = "default_keep_states")]
    pub keep_states: usize,
    /// Ticks between evaluations of `metrics`, from the first full tick on.
    pub metrics_ticks: usize,
    /// Metrics of an evaluation.
    pub metrics: Vec<String>,
    /// Where the features of the metrics come from.
    #[serde(default = "default_features")]
    pub features: String,
    /// A file with the weights of the feature network; `None` for the one in the cache.
    #[serde(default)]
    pub weights: Option<String>,
    /// Whether a collapse ends the run.
    #[serde(default)]
    pub stop_on_collapse: bool,
    /// How many network snapshots are kept, besides those that a metric found best; `None` for all.
    pub keep_snapshots: Option<usize>,
    /// Columns and rows of the preview grids; `None` for the official ones.
    pub preview_grid: Option<[usize; 2]>,
    /// Seed of every generator of random numbers.
    pub random_seed: u64,
    /// The real images.
    pub dataset: DatasetConfig,
    /// Threads that decode images.
    pub num_workers: usize,
    /// Generator.
    pub generator: GeneratorConfig,
    /// Discriminator.
    pub discriminator: DiscriminatorConfig,
    /// The generator's Adam.
    pub g_optimizer: OptimizerConfig,
    /// The discriminator's Adam.
    pub d_optimizer: OptimizerConfig,
    /// Losses and penalties.
    pub loss: LossConfig,
    /// Length of training, in thousands of real images.
    pub total_kimg: u64,
    /// Thousands of images between reports.
    pub kimg_per_tick: u64,
    /// Images of one step.
    pub batch_size: usize,
    /// Images that are processed at once on one device; the rest of the batch is accumulated.
    pub batch_gpu: usize,
    /// Half-life of the moving average of the generator, in thousands of images.
    pub ema_kimg: f64,
    /// The half-life is at most this share of the images seen so far; `None` for no such limit.
    pub ema_rampup: Option<f64>,
    /// Steps from one path length regularization to the next.
    pub g_reg_interval: usize,
    /// Steps from one R1 regularization to the next.
    pub d_reg_interval: usize,
    /// Share of real images with a positive logit that adaptive augmentation aims at; `None` keeps `augment_p`.
    pub ada_target: Option<f64>,
    /// Steps from one adjustment of the augmentation probability to the next.
    pub ada_interval: usize,
    /// Thousands of images in which the probability can go from 0 to 1.
    pub ada_kimg: u64,
    /// Largest probability that the adaptation may reach; `None` for no limit, as in the reference.
    pub ada_max_p: Option<f64>,
    /// Augmentation probability at the start.
    pub augment_p: f64,
    /// Strength of each transform of the augmentation pipe; `None` for no pipe.
    pub augment: Option<AugPipe>,
    /// Networks to start from: a file, or the address of an official one.
    pub init_from: Option<String>,
    /// bf16 in place of f16 at the largest resolutions, on devices that compute in short types.
    #[serde(default)]
    pub bf16: bool,
}

/// Fields of earlier versions that had no effect.
const RETIRED: [&str; 3] = ["allow_tf32", "cudnn_benchmark", "fp16_channels_last"];

fn default_keep_states() -> usize {
    2
}

fn default_features() -> String {
    TrainConfig::DEFAULT_FEATURES.to_owned()
}

/// What a run was asked to be, before anything was filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `cfg`
    pub preset: Preset,
    /// What replaces parts of the preset, under the names of the flags.
    pub overrides: Map<String, Value>,
}

/// The real images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Folder or zip.
    pub path: String,
    /// Whether the networks get the labels.
    pub use_labels: bool,
    /// How many images are used, before mirroring.
    pub max_size: usize,
    /// Whether every image is used mirrored, too.
    pub xflip: bool,
    /// Side in pixels.
    pub resolution: usize,
    /// Seed of the choice where not all images are used.
    pub random_seed: Option<u64>,
    /// What its directory told when the run began; `None` in states of older versions.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

/// Adam (arXiv:1412.6980), before the correction for lazy regularization.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the two moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl OptimizerConfig {
    /// The official settings at a learning rate.
    pub fn new(lr: f64) -> Self {
        Self {
            lr,
            betas: [0.0, 0.99],
            eps: 1e-8,
        }
    }
}

/// Losses and penalties (arXiv:1912.04958).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the R1 penalty.
    pub r1_gamma: f64,
    /// Probability that a sample mixes the styles of two latents.
    pub style_mixing_prob: f64,
    /// Weight of the path length penalty; 0 turns it off.
    pub pl_weight: f64,
    /// The path length penalty sees this part of the batch.
    pub pl_batch_shrink: usize,
    /// How fast the mean path length follows.
    pub pl_decay: f64,
}

impl LossConfig {
    /// The official settings at a weight of R1.
    pub fn new(r1_gamma: f64) -> Self {
        Self {
            r1_gamma,
            style_mixing_prob: 0.9,
            pl_weight: 2.0,
            pl_batch_shrink: 2,
            pl_decay: 0.01,
        }
    }
}

impl TrainConfig {
    /// Features of metrics unless others are asked for.
    pub const DEFAULT_FEATURES: &str = "inception";

    /// Reads a configuration that this or an earlier version has written.
    ///
    /// # Errors
    /// When it is no configuration.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let mut config: Map<String, Value> = serde_json::from_str(text)?;
        config.retain(|name, _| !RETIRED.contains(&name.as_str()));
        serde_json::from_value(config.into())
    }

    /// Checks what would fail in the first step.
    ///
    /// # Errors
    /// `Setting` or `Network`, naming the setting and a way out.
    pub fn validate(&self) -> Result<()> {
        self.generator.validate().map_err(networks::Error::from)?;
        self.discriminator
            .validate()
            .map_err(networks::Error::from)?;
        let round = self.batch_gpu * self.num_gpus;
        if round == 0 || !self.batch_size.is_multiple_of(round) {
            return Err(Error::setting(
                "batch-gpu",
                format!(
                    "a batch of {} is no multiple of {} images on {} devices",
                    self.batch_size, self.batch_gpu, self.num_gpus
                ),
            ));
        }
        let group = self.discriminator.mbstd_group_size.unwrap_or(usize::MAX);
        if !self.batch_gpu.is_multiple_of(group.min(self.batch_gpu)) {
            return Err(Error::setting(
                "batch-gpu",
                format!(
                    "{} images at once do not divide into groups of {group} for the minibatch statistic; \
                     use a multiple of {group}",
                    self.batch_gpu
                ),
            ));
        }
        Ok(())
    }
}
