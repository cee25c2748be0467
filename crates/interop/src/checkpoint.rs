use architecture::{NetworkConfig, NetworkKind};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::tensor::Tensor;

/// The prefix of the line in [`Network::assumed`] for generated noise maps.
pub(crate) const NOISE: &str = "noise_const";

/// One network: its architecture, and its tensors under the official names in the official order.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Architecture.
    pub config: NetworkConfig,
    /// Trainable tensors, f32. Layers that were frozen in training are here too.
    pub params: IndexMap<String, Tensor>,
    /// Other tensors, f32: `w_avg`, `noise_const`, `resample_filter`.
    pub buffers: IndexMap<String, Tensor>,
    /// Settings that neither the file nor the shapes of the tensors determine, as `name = value`: the official
    /// defaults.
    pub assumed: Vec<String>,
}

/// [`Network::noise_is_assumed`], by [`Network::assumed`] alone.
pub fn is_noise_assumed(assumed: &[String]) -> bool {
    assumed.iter().any(|text| text.starts_with(NOISE))
}

impl Network {
    /// Generator or discriminator.
    pub fn kind(&self) -> NetworkKind {
        self.config.kind()
    }

    /// Parameters, then buffers.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.params
            .iter()
            .chain(&self.buffers)
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether the file has no noise maps, so that those among the buffers were generated: only images with random
    /// noise or without noise are images of this network.
    pub fn noise_is_assumed(&self) -> bool {
        is_noise_assumed(&self.assumed)
    }

    /// Number of trainable values.
    pub fn num_params(&self) -> usize {
        self.params.values().map(Tensor::len).sum()
    }
}

/// The kinds of files that contain networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `.pkl` of StyleGAN2-ADA for PyTorch.
    OfficialPkl,
    /// `.pkl` of StyleGAN2 or StyleGAN2-ADA for TensorFlow.
    TensorflowPkl,
    /// `.pt` of rosinality/stylegan2-pytorch.
    Rosinality,
    /// `.pt` or `.pth` with state dicts under the official names.
    StateDict,
    /// `.safetensors` under the official names.
    SafeTensors,
}

/// Origin of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the file that was read, without folders.
    pub source: String,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// Its kind.
    pub format: Format,
    /// Remarks on items that were ignored or generated while reading.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The file that the source itself was converted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<Provenance>>,
}

impl Provenance {
    /// The provenance of networks without a file: `maker` names their origin, for example a run.
    pub fn made_here(maker: &str) -> Self {
        Self {
            source: maker.to_owned(),
            sha256: String::new(),
            format: Format::SafeTensors,
            notes: Vec::new(),
            parent: None,
        }
    }
}

/// The augmentation of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AugmentPipe {
    /// Strength of each transform in the settings of the run, under the official names.
    pub kwargs: Json,
    /// Every setting of the pipe, defaults included.
    #[serde(default)]
    pub settings: Json,
    /// Overall probability when the file was written.
    pub p: f64,
    /// Its tensors: `p`, `Hz_geom`, `Hz_fbank`.
    #[serde(skip)]
    pub buffers: IndexMap<String, Tensor>,
}

/// The content of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Generator in training.
    pub g: Option<Network>,
    /// Discriminator.
    pub d: Option<Network>,
    /// Moving average of the generator: the one to make images with.
    pub g_ema: Option<Network>,
    /// Official description of the training set.
    pub training_set_kwargs: Option<Json>,
    /// Augmentation at the time.
    pub augment_pipe: Option<AugmentPipe>,
    /// Origin of the checkpoint.
    pub provenance: Provenance,
}

impl Checkpoint {
    /// The networks of the file, under the official keys `G`, `D`, `G_ema`.
    pub fn networks(&self) -> impl Iterator<Item = (&'static str, &Network)> {
        [("G", &self.g), ("D", &self.d), ("G_ema", &self.g_ema)]
            .into_iter()
            .filter_map(|(key, network)| Some((key, network.as_ref()?)))
    }
}

/// Result of a reader, before the provenance of the file is known.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub g: Option<Network>,
    pub d: Option<Network>,
    pub g_ema: Option<Network>,
    pub training_set_kwargs: Option<Json>,
    pub augment_pipe: Option<AugmentPipe>,
    pub notes: Vec<String>,
    pub parent: Option<Provenance>,
}

impl Contents {
    /// The field of an official key.
    pub fn slot(&mut self, key: &str) -> Option<&mut Option<Network>> {
        match key {
            "G" => Some(&mut self.g),
            "D" => Some(&mut self.d),
            "G_ema" => Some(&mut self.g_ema),
            _ => None,
        }
    }
}
