use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The presets (`--cfg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Chosen from the resolution and the number of GPUs.
    Auto,
    /// As the StyleGAN2 paper: 1024 px and 512 px FFHQ.
    Stylegan2,
    /// As the ADA paper at 256 px.
    Paper256,
    /// As the ADA paper at 512 px.
    Paper512,
    /// As the ADA paper at 1024 px.
    Paper1024,
    /// As the ADA paper for CIFAR-10.
    Cifar,
    /// A small network for 32 px on a laptop's CPU. Not official.
    Tiny32,
    /// A small network for 64 px on a laptop's CPU. Not official.
    Tiny64,
}

/// What a preset decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetSettings {
    /// Length of training, in thousands of real images.
    pub total_kimg: u64,
    /// Images of one step.
    pub batch_size: usize,
    /// Images that are processed at once on one GPU; the rest of the batch is accumulated.
    pub batch_gpu: usize,
    /// Samples per group of the minibatch statistic.
    pub mbstd_group_size: usize,
    /// A block of side `r` has `min(channel_base / r, 512)` channels.
    pub channel_base: usize,
    /// Adam's learning rate, of both networks.
    pub learning_rate: f64,
    /// Weight of the R1 penalty.
    pub r1_gamma: f64,
    /// Half-life of the moving average of the generator, in thousands of images.
    pub ema_kimg: f64,
    /// The half-life is at most this share of the images seen so far.
    pub ema_rampup: Option<f64>,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// The largest number of channels of a block.
    pub channel_max: usize,
    /// Width of `z` and `w`.
    pub latent_dim: usize,
    /// Thousands of images of a tick.
    pub kimg_per_tick: u64,
    /// Ticks between snapshots.
    pub snapshot_ticks: usize,
    /// Columns and rows of the preview grids; `None` for the official ones.
    pub preview_grid: Option<[usize; 2]>,
}

/// One row: kimg, batch, reference GPUs, mbstd, share of 32768 channels, learning rate, gamma, EMA kimg, ramp, mapping.
type Row = (
    u64,
    usize,
    usize,
    usize,
    f64,
    f64,
    f64,
    f64,
    Option<f64>,
    usize,
);

/// Share of the official channels in the tiny presets: 64 at 32 px, 32 at 64 px.
const TINY_FMAPS: f64 = 1.0 / 16.0;

/// All presets but `auto`. From arXiv:2006.06676, appendix, and the official program.
const TABLE: [(Preset, Row); 7] = [
    (
        Preset::Stylegan2,
        (25000, 32, 8, 4, 1.0, 0.002, 10.0, 10.0, None, 8),
    ),
    (
        Preset::Paper256,
        (25000, 64, 8, 8, 0.5, 0.0025, 1.0, 20.0, None, 8),
    ),
    (
        Preset::Paper512,
        (25000, 64, 8, 8, 1.0, 0.0025, 0.5, 20.0, None, 8),
    ),
    (
        Preset::Paper1024,
        (25000, 32, 8, 4, 1.0, 0.002, 2.0, 10.0, None, 8),
    ),
    (
        Preset::Cifar,
        (100_000, 64, 2, 32, 1.0, 0.0025, 0.01, 500.0, Some(0.05), 2),
    ),
    (
        Preset::Tiny32,
        (100, 16, 1, 4, TINY_FMAPS, 0.0025, 0.02, 2.0, Some(0.05), 2),
    ),
    (
        Preset::Tiny64,
        (200, 16, 1, 4, TINY_FMAPS, 0.0025, 0.1, 2.0, Some(0.05), 2),
    ),
];

impl Preset {
    /// All of them.
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

    fn is_tiny(self) -> bool {
        matches!(self, Preset::Tiny32 | Preset::Tiny64)
    }

    /// Metrics where none were asked for. 50,000 images are hours of a laptop's time.
    pub(crate) fn default_metrics(self) -> Vec<String> {
        match self.is_tiny() {
            true => Vec::new(),
            false => vec!["fid50k_full".to_owned()],
        }
    }

    /// What the preset decides. Only `auto` looks at its arguments.
    pub fn settings(self, resolution: usize, num_gpus: usize) -> PresetSettings {
        let row = TABLE.iter().find(|(preset, _)| *preset == self);
        let (kimg, batch, ref_gpus, mbstd, fmaps, learning_rate, gamma, ema, ramp, mapping) =
            match row {
                Some((_, row)) => *row,
                None => auto(resolution, num_gpus),
            };
        let tiny = self.is_tiny();
        PresetSettings {
            total_kimg: kimg,
            batch_size: batch,
            batch_gpu: batch / ref_gpus,
            mbstd_group_size: mbstd,
            channel_base: (fmaps * 32768.0) as usize,
            learning_rate,
            r1_gamma: gamma,
            ema_kimg: ema,
            ema_rampup: ramp,
            mapping_layers: mapping,
            channel_max: if tiny { 128 } else { 512 },
            latent_dim: if tiny { 128 } else { 512 },
            kimg_per_tick: if tiny { 1 } else { 4 },
            snapshot_ticks: if tiny { 10 } else { 50 },
            preview_grid: tiny.then_some([12, 8]),
        }
    }
}

/// The heuristic of the official program.
fn auto(resolution: usize, num_gpus: usize) -> Row {
    let batch = (num_gpus * (4096 / resolution).min(32))
        .min(64)
        .max(num_gpus);
    (
        25000,
        batch,
        num_gpus,
        (batch / num_gpus).min(4),
        if resolution >= 512 { 1.0 } else { 0.5 },
        if resolution >= 1024 { 0.002 } else { 0.0025 },
        0.0002 * (resolution * resolution) as f64 / batch as f64,
        (batch * 10) as f64 / 32.0,
        Some(0.05),
        2,
    )
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
