//! The complete configuration of a run.

use architecture::NetworkDefinition;
use augment::AugPipe;
use dataset::Fingerprint;
use networks::{DiscriminatorConfig, GeneratorConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::preset::Preset;

/// The complete configuration of a training run, in which every setting has a value.
///
/// The crate `train-settings` builds it from a preset, a settings file and flags. It is saved in the run folder and in
/// every training state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The part of the run folder's name that describes the settings, such as `faces512-mirror-paper512`.
    pub desc: String,
    /// The settings that the user gave explicitly; `None` in training states of older versions.
    #[serde(default, rename = "asked")]
    pub requested: Option<RequestedSettings>,
    /// Number of GPUs.
    pub num_gpus: usize,
    /// Ticks between grids of generated images.
    pub image_snapshot_ticks: usize,
    /// Ticks between network snapshots (generator, discriminator and `g_ema`).
    pub network_snapshot_ticks: usize,
    /// Ticks between training states; a run that is killed loses at most the work since the last one.
    pub state_ticks: usize,
    /// Number of training states that are kept; older ones are deleted.
    #[serde(default = "default_keep_states")]
    pub keep_states: usize,
    /// Ticks between evaluations of `metrics`. Tick 0, which is one training step long, is not evaluated.
    pub metrics_ticks: usize,
    /// NVIDIA's names of the metrics to compute, such as `fid50k_full`; empty for none.
    pub metrics: Vec<String>,
    /// Name of the feature network of the metrics, such as `inception`.
    #[serde(default = "default_features")]
    pub features: String,
    /// File with the weights of the feature network; `None` for the weights in the download cache.
    #[serde(default)]
    pub weights: Option<String>,
    /// Whether the run stops when a mode collapse of the generator is detected.
    #[serde(default)]
    pub stop_on_collapse: bool,
    /// Number of network snapshots that are kept besides those with the best results; `None` for all.
    pub keep_snapshots: Option<usize>,
    /// Columns and rows of the preview grids; `None` for the size that NVIDIA's StyleGAN2-ADA chooses from the
    /// resolution.
    pub preview_grid: Option<[usize; 2]>,
    /// Seed of all random number generators.
    pub random_seed: u64,
    /// The real images: path, subset, labels and mirroring.
    pub dataset: DatasetConfig,
    /// Number of threads that decode images.
    pub num_workers: usize,
    /// Architecture of the generator.
    pub generator: GeneratorConfig,
    /// Architecture of the discriminator.
    pub discriminator: DiscriminatorConfig,
    /// Settings of the generator's Adam optimizer.
    pub g_optimizer: OptimizerConfig,
    /// Settings of the discriminator's Adam optimizer.
    pub d_optimizer: OptimizerConfig,
    /// Weights of the losses and penalties.
    pub loss: LossConfig,
    /// Length of training, in thousands of real images shown to the discriminator.
    pub total_kimg: u64,
    /// Length of a tick in thousands of real images. A tick ends with a status line in the log.
    pub kimg_per_tick: u64,
    /// Real images in one training step, over all GPUs.
    pub batch_size: usize,
    /// Images in a micro-batch on one GPU; the gradients of the micro-batches of a batch are summed.
    pub batch_gpu: usize,
    /// Half-life of `g_ema`, the moving average of the generator's weights, in thousands of images.
    pub ema_kimg: f64,
    /// Upper limit of the half-life in `ema_kimg`, as a fraction of the images seen so far; `None` for no such limit.
    pub ema_rampup: Option<f64>,
    /// Training steps from one path length regularization to the next.
    pub g_reg_interval: usize,
    /// Training steps from one R1 regularization to the next.
    pub d_reg_interval: usize,
    /// Target of adaptive augmentation: the mean sign of the discriminator's logits for real images (r_t of
    /// arXiv:2006.06676). `None` turns adaptation off; the augmentation probability then stays at `augment_p`.
    pub ada_target: Option<f64>,
    /// Training steps from one adjustment of the augmentation probability to the next.
    pub ada_interval: usize,
    /// Thousands of images in which adaptation can move the probability from 0 to 1.
    pub ada_kimg: u64,
    /// Largest probability that adaptation may reach; `None` for no limit, as in NVIDIA's StyleGAN2-ADA.
    pub ada_max_p: Option<f64>,
    /// Augmentation probability at the start of the run.
    pub augment_p: f64,
    /// The augmentation pipe: the strength of each of its transforms; `None` for no augmentation.
    pub augment: Option<AugPipe>,
    /// Networks to start from: path of a file, URL of a published network, or name of a network that is built into the
    /// program; `None` for new random weights.
    pub init_from: Option<String>,
    /// Whether layers in half precision compute in bf16 instead of f16. No effect on a CPU, which computes in f32.
    #[serde(default)]
    pub bf16: bool,
}

/// Fields of earlier versions that had no effect; [`TrainConfig::from_json`] ignores them.
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
    /// The other settings by the names of their flags; they replace those of the preset.
    pub overrides: Map<String, Value>,
}

/// The real images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Path of the image folder or zip archive.
    pub path: String,
    /// Whether training is conditional: the networks receive the labels of the images.
    pub use_labels: bool,
    /// Number of images of the dataset that are used, not counting mirrored copies.
    pub max_size: usize,
    /// Whether a horizontally mirrored copy of every image is added.
    pub xflip: bool,
    /// Width and height of the images in pixels.
    pub resolution: usize,
    /// Seed that selects the subset of images; `None` where all images are used.
    pub random_seed: Option<u64>,
    /// Names, sizes and checksums of the images when the run began; `None` in training states of older versions.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

/// Settings of Adam (arXiv:1412.6980), before [`OptimizerConfig::with_lazy_regularization`] corrects them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates of the first and the second moment, each at least 0 and below 1.
    pub betas: [f64; 2],
    /// Small number that is added to the square root of the second moment.
    pub eps: f64,
}

impl OptimizerConfig {
    /// NVIDIA's settings with learning rate `lr`: betas 0 and 0.99, eps 1e-8.
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
    /// Weight of the R1 penalty; 0 turns it off.
    pub r1_gamma: f64,
    /// Probability that the generated images of a micro-batch mix the styles of two latents.
    pub style_mixing_prob: f64,
    /// Weight of the path length penalty; 0 turns it off.
    pub pl_weight: f64,
    /// Factor by which the path length penalty uses fewer samples: it is computed on the first `n / pl_batch_shrink`
    /// samples of a micro-batch of `n`, at least on one.
    pub pl_batch_shrink: usize,
    /// Weight of the current micro-batch's mean in the moving average of the path lengths, 0 to 1.
    pub pl_decay: f64,
}

impl LossConfig {
    /// NVIDIA's settings with `r1_gamma` as the weight of the R1 penalty.
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
    /// Default of [`TrainConfig::features`].
    pub const DEFAULT_FEATURES: &str = "inception";

    /// Reads a configuration from JSON that this or an earlier version has written.
    ///
    /// # Errors
    /// When the text is not JSON of a `TrainConfig`: a field is missing, unknown or of a wrong type.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let mut config: Map<String, Value> = serde_json::from_str(text)?;
        config.retain(|name, _| !RETIRED.contains(&name.as_str()));
        serde_json::from_value(config.into())
    }

    /// Checks the networks' settings, and that `batch_size` divides into micro-batches and these into groups of the
    /// minibatch standard deviation.
    ///
    /// # Errors
    /// `Setting`, with the name of the setting that does not fit and the reason; `Network` when a network's settings
    /// are invalid.
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
