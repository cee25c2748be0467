//! The presets of training (`--cfg`).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A named set of defaults for the settings of a run (`--cfg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// NVIDIA's `auto`: settings computed from the resolution and the number of GPUs.
    Auto,
    /// The settings of the StyleGAN2 paper (arXiv:1912.04958), for 1024 px and 512 px FFHQ.
    Stylegan2,
    /// The settings of the ADA paper (arXiv:2006.06676) at 256 px.
    Paper256,
    /// The settings of the ADA paper at 512 px.
    Paper512,
    /// The settings of the ADA paper at 1024 px.
    Paper1024,
    /// The settings of the ADA paper for CIFAR-10.
    Cifar,
    /// A small network for 32 px on a laptop's CPU. Not one of NVIDIA's presets.
    Tiny32,
    /// A small network for 64 px on a laptop's CPU. Not one of NVIDIA's presets.
    Tiny64,
}

/// The values of the settings that a preset determines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetSettings {
    /// Length of training, in thousands of real images shown to the discriminator.
    pub total_kimg: u64,
    /// Real images in one training step, over all GPUs.
    pub batch_size: usize,
    /// Images in a micro-batch on one GPU; the gradients of the micro-batches of a batch are summed.
    pub batch_gpu: usize,
    /// Images in a group of the minibatch standard deviation.
    pub mbstd_group_size: usize,
    /// Determines the number of channels of each block: a block of resolution `r` has `min(channel_base / r,
    /// channel_max)` channels.
    pub channel_base: usize,
    /// Upper limit of the number of channels of a block.
    pub channel_max: usize,
    /// Number of elements of `z` and of `w`.
    pub latent_dim: usize,
    /// Number of layers of the mapping network.
    pub mapping_layers: usize,
    /// Learning rate of both networks.
    pub learning_rate: f64,
    /// Weight of the R1 penalty.
    pub r1_gamma: f64,
    /// Half-life of the moving average of the generator's weights, in thousands of images.
    pub ema_kimg: f64,
    /// Upper limit of the half-life in `ema_kimg`, as a fraction of the images seen so far; `None` for no such limit.
    pub ema_rampup: Option<f64>,
    /// Length of a tick in thousands of real images.
    pub kimg_per_tick: u64,
    /// Ticks between network snapshots, and between grids of generated images.
    pub snapshot_ticks: usize,
    /// Columns and rows of the preview grids; `None` for the size that NVIDIA's StyleGAN2-ADA chooses from the
    /// resolution.
    pub preview_grid: Option<[usize; 2]>,
}

/// Settings of the preset `stylegan2`. Like the settings of `paper*` and `cifar`, they are from `train.py` of NVIDIA's
/// StyleGAN2-ADA (NVlabs/stylegan2-ada-pytorch; arXiv:2006.06676, appendix).
const STYLEGAN2: PresetSettings = PresetSettings {
    total_kimg: 25_000,
    batch_size: 32,
    batch_gpu: 4,
    mbstd_group_size: 4,
    channel_base: 32_768,
    channel_max: 512,
    latent_dim: 512,
    mapping_layers: 8,
    learning_rate: 0.002,
    r1_gamma: 10.0,
    ema_kimg: 10.0,
    ema_rampup: None,
    kimg_per_tick: 4,
    snapshot_ticks: 50,
    preview_grid: None,
};

const PAPER512: PresetSettings = PresetSettings {
    batch_size: 64,
    batch_gpu: 8,
    mbstd_group_size: 8,
    learning_rate: 0.0025,
    r1_gamma: 0.5,
    ema_kimg: 20.0,
    ..STYLEGAN2
};

const PAPER256: PresetSettings = PresetSettings {
    channel_base: 16_384,
    r1_gamma: 1.0,
    ..PAPER512
};

const PAPER1024: PresetSettings = PresetSettings {
    r1_gamma: 2.0,
    ..STYLEGAN2
};

const CIFAR: PresetSettings = PresetSettings {
    total_kimg: 100_000,
    batch_gpu: 32,
    mbstd_group_size: 32,
    mapping_layers: 2,
    r1_gamma: 0.01,
    ema_kimg: 500.0,
    ema_rampup: Some(0.05),
    ..PAPER512
};

/// Settings of `tiny32`. `channel_base` is a sixteenth of NVIDIA's 32768, which gives 64 channels at 32 px.
const TINY32: PresetSettings = PresetSettings {
    total_kimg: 100,
    batch_size: 16,
    batch_gpu: 16,
    mbstd_group_size: 4,
    channel_base: 2048,
    channel_max: 128,
    latent_dim: 128,
    mapping_layers: 2,
    learning_rate: 0.0025,
    r1_gamma: 0.02,
    ema_kimg: 10.0,
    ema_rampup: Some(0.05),
    kimg_per_tick: 1,
    snapshot_ticks: 10,
    preview_grid: Some([12, 8]),
};

/// Settings of `tiny64`, with the architecture of the published network `drawn64`, from which a run with this preset
/// can start.
const TINY64: PresetSettings = PresetSettings {
    total_kimg: 200,
    channel_base: 1024,
    channel_max: 64,
    r1_gamma: 0.1,
    ..TINY32
};

/// Computes the settings of `auto` by the rules of NVIDIA's StyleGAN2-ADA; `resolution` is in pixels.
fn auto(resolution: usize, num_gpus: usize) -> PresetSettings {
    let batch_size = (num_gpus * (4096 / resolution).min(32))
        .min(64)
        .max(num_gpus);
    let batch_gpu = batch_size / num_gpus;
    PresetSettings {
        batch_size,
        // The batch of each GPU is one micro-batch.
        batch_gpu,
        mbstd_group_size: batch_gpu.min(4),
        channel_base: if resolution >= 512 { 32_768 } else { 16_384 },
        learning_rate: if resolution >= 1024 { 0.002 } else { 0.0025 },
        r1_gamma: 0.0002 * (resolution * resolution) as f64 / batch_size as f64,
        ema_kimg: (batch_size * 10) as f64 / 32.0,
        ema_rampup: Some(0.05),
        mapping_layers: 2,
        ..STYLEGAN2
    }
}

impl Preset {
    /// All presets.
    pub const ALL: [Preset; 8] = [
        Preset::Auto,
        Preset::Stylegan2,
        Preset::Paper256,
        Preset::Paper512,
        Preset::Paper1024,
        Preset::Cifar,
        Preset::Tiny32,
        Preset::Tiny64,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Auto => "auto",
            Preset::Stylegan2 => "stylegan2",
            Preset::Paper256 => "paper256",
            Preset::Paper512 => "paper512",
            Preset::Paper1024 => "paper1024",
            Preset::Cifar => "cifar",
            Preset::Tiny32 => "tiny32",
            Preset::Tiny64 => "tiny64",
        }
    }

    /// Returns the metrics that a run computes if the user does not choose any. The tiny presets compute none, because
    /// generating 50,000 images takes hours on a CPU.
    pub fn default_metrics(self) -> Vec<String> {
        match self {
            Preset::Tiny32 | Preset::Tiny64 => Vec::new(),
            _ => vec!["fid50k_full".to_owned()],
        }
    }

    /// The settings of the preset. Only those of `auto` depend on the arguments; `resolution` is in pixels.
    pub fn settings(self, resolution: usize, num_gpus: usize) -> PresetSettings {
        match self {
            Preset::Auto => auto(resolution, num_gpus),
            Preset::Stylegan2 => STYLEGAN2,
            Preset::Paper256 => PAPER256,
            Preset::Paper512 => PAPER512,
            Preset::Paper1024 => PAPER1024,
            Preset::Cifar => CIFAR,
            Preset::Tiny32 => TINY32,
            Preset::Tiny64 => TINY64,
        }
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                Error::setting("cfg", format!("no preset '{name}'; there are {names}"))
            })
    }
}
