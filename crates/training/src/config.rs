//! The complete configuration of a run.

use architecture::NetworkDefinition;
use augment::AugPipe;
use dataset::Fingerprint;
use networks::{DiscriminatorConfig, GeneratorConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::preset::Preset;

/// The complete configuration of a training run: no default is left open.
///
/// The crate `train-settings` resolves one from preset, settings file and flags. It is saved with the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The description in the name of the run folder: `faces512-mirror-paper512`.
    pub desc: String,
    /// The settings that the user gave; `None` in training states of older versions.
    #[serde(default, rename = "asked")]
    pub requested: Option<RequestedSettings>,
    /// Number of devices.
    pub num_gpus: usize,
    /// Ticks between grids of images.
    pub image_snapshot_ticks: usize,
    /// Ticks between network snapshots.
    pub network_snapshot_ticks: usize,
    /// Ticks between training states; a run that is killed loses at most these.
    pub state_ticks: usize,
    /// Number of training states that are kept.
    #[serde(default = "default_keep_states")]
    pub keep_states: usize,
    /// Ticks between evaluations of `metrics`, from the first full tick on.
    pub metrics_ticks: usize,
    /// Metrics of an evaluation.
    pub metrics: Vec<String>,
    /// Name of the feature network of the metrics (`inception`).
    #[serde(default = "default_features")]
    pub features: String,
    /// A file with the weights of the feature network; `None` for those in the cache.
    #[serde(default)]
    pub weights: Option<String>,
    /// Whether the run stops when the generator has collapsed.
    #[serde(default)]
    pub stop_on_collapse: bool,
    /// Number of network snapshots that are kept besides those with the best results; `None` for all.
    pub keep_snapshots: Option<usize>,
    /// Columns and rows of the preview grids; `None` for the official size.
    pub preview_grid: Option<[usize; 2]>,
    /// Seed of all random number generators.
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
    /// Images in one training step.
    pub batch_size: usize,
    /// Images in a micro-batch on one device; the gradients of the micro-batches of a batch are summed.
    pub batch_gpu: usize,
    /// Half-life of the moving average of the generator, in thousands of images.
    pub ema_kimg: f64,
    /// The half-life is at most this share of the images seen so far; `None` for no such limit.
    pub ema_rampup: Option<f64>,
    /// Steps from one path length regularization to the next.
    pub g_reg_interval: usize,
    /// Steps from one R1 regularization to the next.
    pub d_reg_interval: usize,
    /// Mean sign of the logits of real images that adaptive augmentation aims at (r_t of arXiv:2006.06676); `None` keeps
    /// `augment_p`.
    pub ada_target: Option<f64>,
    /// Steps from one adjustment of the augmentation probability to the next.
    pub ada_interval: usize,
    /// Thousands of images in which adaptation can move the probability from 0 to 1.
    pub ada_kimg: u64,
    /// Largest probability that adaptation may reach; `None` for no limit, as in the reference.
    pub ada_max_p: Option<f64>,
    /// Augmentation probability at the start of the run.
    pub augment_p: f64,
    /// Strength of each transform of the augmentation pipe; `None` for no pipe.
    pub augment: Option<AugPipe>,
    /// Networks to start from: the path of a file, or the address of a published network; `None` for random weights.
    pub init_from: Option<String>,
    /// Whether the largest resolutions compute in bf16 in place of f16, on devices with half precision.
    #[serde(default)]
    pub bf16: bool,
}

/// Fields of earlier versions that had no effect; they are ignored.
const RETIRED: [&str; 3] = ["allow_tf32", "cudnn_benchmark", "fp16_channels_last"];

fn default_keep_states() -> usize {
    2
}

fn default_features() -> String {
    TrainConfig::DEFAULT_FEATURES.to_owned()
}

/// The settings that the user gave, before presets filled in the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedSettings {
    /// The preset (`cfg`).
    pub preset: Preset,
    /// Settings that replace those of the preset, by the names of their flags.
    pub overrides: Map<String, Value>,
}

/// The real images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Path of the folder or zip.
    pub path: String,
    /// Whether the networks get the labels.
    pub use_labels: bool,
    /// Number of images that are used, before mirrored copies are added.
    pub max_size: usize,
    /// Whether a mirrored copy of every image is added.
    pub xflip: bool,
    /// Width and height of the images in pixels.
    pub resolution: usize,
    /// Seed of the subset; `None` where all images are used.
    pub random_seed: Option<u64>,
    /// Names, sizes and checksums of the images when the run began; `None` in training states of older versions.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

/// Settings of Adam (arXiv:1412.6980), before the correction for lazy regularization.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decays of the two moments, each from 0 to below 1.
    pub betas: [f64; 2],
    /// Added to the square root of the second moment.
    pub eps: f64,
}

impl OptimizerConfig {
    /// The official settings with a learning rate: betas 0 and 0.99, eps 1e-8.
    pub fn new(lr: f64) -> Self {
        Self {
            lr,
            betas: [0.0, 0.99],
            eps: 1e-8,
        }
    }
}

/// Weights of the losses and penalties (arXiv:1912.04958).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the R1 penalty.
    pub r1_gamma: f64,
    /// Probability that a sample mixes the styles of two latents.
    pub style_mixing_prob: f64,
    /// Weight of the path length penalty; 0 turns it off.
    pub pl_weight: f64,
    /// The path length penalty is computed on the batch divided by this number.
    pub pl_batch_shrink: usize,
    /// Weight of a new batch in the moving average of the path lengths, 0 to 1.
    pub pl_decay: f64,
}

impl LossConfig {
    /// The official settings with a weight of R1.
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
    /// The feature network of metrics unless another is requested.
    pub const DEFAULT_FEATURES: &str = "inception";

    /// Reads the JSON of a configuration that this or an earlier version has written.
    ///
    /// # Errors
    /// When the text is not such a configuration.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let mut config: Map<String, Value> = serde_json::from_str(text)?;
        config.retain(|name, _| !RETIRED.contains(&name.as_str()));
        serde_json::from_value(config.into())
    }

    /// Checks for contradictions between settings that would make the first step fail.
    ///
    /// # Errors
    /// `Setting` or `Network`, with the name of the setting and a way out.
    pub fn validate(&self) -> Result<()> {
        self.generator.validate().map_err(networks::Error::from)?;
        self.discriminator
            .validate()
            .map_err(networks::Error::from)?;
        let at_once = self.batch_gpu * self.num_gpus;
        if at_once == 0 || !self.batch_size.is_multiple_of(at_once) {
            return Err(Error::setting(
                "batch-gpu",
                format!(
                    "a batch of {} is not a multiple of {} images on {} devices",
                    self.batch_size, self.batch_gpu, self.num_gpus
                ),
            ));
        }
        let group = self.discriminator.mbstd_group_size.unwrap_or(usize::MAX);
        if !self.batch_gpu.is_multiple_of(group.min(self.batch_gpu)) {
            return Err(Error::setting(
                "batch-gpu",
                format!(
                    "a micro-batch of {} images does not divide into groups of {group} for the minibatch standard deviation; \
                     use a multiple of {group}",
                    self.batch_gpu
                ),
            ));
        }
        Ok(())
    }
}
