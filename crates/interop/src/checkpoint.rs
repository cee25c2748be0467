//! Types for a checkpoint in memory: its networks, and the settings and the origin stored with them.

use architecture::{NetworkConfig, NetworkKind};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::tensor::Tensor;

/// Prefix of the entry of [`Network::assumed`] which records that noise maps were missing in the file and were drawn.
pub(crate) const NOISE: &str = "noise_const";

/// One network of a checkpoint: its architecture, and its tensors under the names and in the order of NVIDIA's PyTorch
/// code.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The architecture: kind of network, resolution, widths and other settings.
    pub config: NetworkConfig,
    /// Trainable tensors by name, f32, including the layers of the discriminator that were frozen in training.
    pub params: IndexMap<String, Tensor>,
    /// Other tensors by name, f32: `mapping.w_avg`, and the `noise_const` and `resample_filter` of the layers.
    pub buffers: IndexMap<String, Tensor>,
    /// Settings that neither the file nor the shapes of the tensors determine, each as `name = value` with the default
    /// of NVIDIA's code; and an entry for `noise_const` if noise maps were missing and were drawn.
    pub assumed: Vec<String>,
}

/// Returns whether `assumed`, the value of [`Network::assumed`], records that noise maps were missing in the file. See
/// [`Network::noise_is_assumed`].
pub fn is_noise_assumed(assumed: &[String]) -> bool {
    assumed.iter().any(|text| text.starts_with(NOISE))
}

impl Network {
    /// Whether this is a generator or a discriminator.
    pub fn kind(&self) -> NetworkKind {
        self.config.kind()
    }

    /// Names and tensors: first the parameters, then the buffers.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.params
            .iter()
            .chain(&self.buffers)
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether some `noise_const` maps were missing in the file and were drawn at random while reading. Then images
    /// that use the stored noise differ from those of the original network; images with new random noise or without
    /// noise do not.
    pub fn noise_is_assumed(&self) -> bool {
        is_noise_assumed(&self.assumed)
    }

    /// Number of values in the trainable tensors.
    pub fn num_params(&self) -> usize {
        self.params.values().map(Tensor::len).sum()
    }
}

/// A checkpoint format: the file layout and the tensor names of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `.pkl` snapshot of NVIDIA's StyleGAN2-ADA for PyTorch.
    OfficialPkl,
    /// `.pkl` snapshot of NVIDIA's StyleGAN2 or StyleGAN2-ADA for TensorFlow. Read, not written.
    TensorflowPkl,
    /// `.pt` file of rosinality/stylegan2-pytorch.
    Rosinality,
    /// `.pt` or `.pth` file of state dicts with the tensor names of NVIDIA's PyTorch code. Read, not written.
    StateDict,
    /// `.safetensors` file of this project, with the tensor names of NVIDIA's PyTorch code.
    SafeTensors,
}

/// The file that a checkpoint was read from, and the files that it was converted from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the file that was read, without folders. For networks that were not read from a file, the text given to
    /// [`Provenance::made_here`].
    pub source: String,
    /// SHA-256 of that file in hexadecimal; empty for networks that were not read from a file.
    pub sha256: String,
    /// Format of that file.
    pub format: Format,
    /// Remarks for the user about values in the file that were not read, and values that were not in the file and were
    /// estimated or drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The provenance of the file that `source` was converted from, if `source` records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<Provenance>>,
}

impl Provenance {
    /// The provenance of networks that were not read from a file. `maker` names their origin, for example a training
    /// run.
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

/// The augmentation pipe (`AugmentPipe`) of the training run that wrote a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AugmentPipe {
    /// The constructor arguments that the run set: the probability multiplier of each transform, under NVIDIA's names
    /// (`xflip`, `rotate`, ...).
    pub kwargs: Json,
    /// All attributes of the pipe, including those with default values.
    #[serde(default)]
    pub settings: Json,
    /// Overall augmentation probability when the file was written, 0 to 1.
    pub p: f64,
    /// The tensors of the pipe, f32, by name: `p`, `Hz_geom`, `Hz_fbank`.
    #[serde(skip)]
    pub buffers: IndexMap<String, Tensor>,
}

/// The content of a checkpoint file: up to three networks, the settings stored beside them, and the origin of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The generator that is trained.
    pub g: Option<Network>,
    /// The discriminator.
    pub d: Option<Network>,
    /// The exponential moving average of the generator, which is used for generating images.
    pub g_ema: Option<Network>,
    /// The settings of the training set in the form of NVIDIA's code (`training_set_kwargs`).
    pub training_set_kwargs: Option<Json>,
    /// The augmentation pipe when the file was written.
    pub augment_pipe: Option<AugmentPipe>,
    /// The file that the checkpoint was read from.
    pub provenance: Provenance,
}

impl Checkpoint {
    /// The networks that the checkpoint has, each with its key `G`, `D` or `G_ema`, in this order.
    pub fn networks(&self) -> impl Iterator<Item = (&'static str, &Network)> {
        [("G", &self.g), ("D", &self.d), ("G_ema", &self.g_ema)]
            .into_iter()
            .filter_map(|(key, network)| Some((key, network.as_ref()?)))
    }
}

/// The content of a checkpoint file as the reader of its format returns it: the fields of a [`Checkpoint`], with
/// `notes` and `parent` for its [`Provenance`]. `parent` is the provenance recorded in the file.
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
    /// The field for the key `G`, `D` or `G_ema`; `None` for other keys.
    pub fn slot(&mut self, key: &str) -> Option<&mut Option<Network>> {
        match key {
            "G" => Some(&mut self.g),
            "D" => Some(&mut self.d),
            "G_ema" => Some(&mut self.g_ema),
            _ => None,
        }
    }
}
