//! Loads the networks of a checkpoint, given a file, an address or the name of a pretrained network.

use std::collections::BTreeMap;
use std::path::Path;

use architecture::{DiscriminatorConfig, GeneratorConfig, Pretrained};
use candle_core::{DType, Device};
use downloads::{DownloadOptions, DownloadProgress};
use interop::{AugmentPipe, Checkpoint, Provenance};
use networks::{Discriminator, Generator, LiveNetwork, Snapshot};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::source::{Location, Resolved, resolve};
use crate::tensors::tensors;

/// The networks of a checkpoint on a device, with the settings and the provenance that the file records. Returned by
/// [`open`].
pub struct Opened {
    /// The networks of the file in f32, not trainable. The provenance is also in the metadata of the snapshot, so that
    /// [`Snapshot::save`] writes it.
    pub networks: Snapshot,
    /// Name, SHA-256 and format of the file, and notes about tensors that were left out or added while reading.
    pub provenance: Provenance,
    /// The entry in the table of pretrained networks, if the file was opened by the name of a pretrained network.
    pub pretrained: Option<&'static Pretrained>,
    /// The settings of the training set as in NVIDIA's snapshots (`training_set_kwargs`), if the file has them.
    pub training_set_kwargs: Option<Value>,
    /// The augmentation pipe and its probability when the file was written, if the file has them.
    pub augment_pipe: Option<AugmentPipe>,
    /// For each network of the file (`G`, `D`, `G_ema`), the SHA-256 of the names, shapes and values of its tensors in
    /// hexadecimal. It does not depend on the format of the file.
    pub checksums: BTreeMap<&'static str, String>,
    /// For each network that has any, the settings that neither the file nor the shapes of its tensors determine, as
    /// `name = value`. They have the default of NVIDIA's code.
    pub assumed: BTreeMap<&'static str, Vec<String>>,
}

/// Loads all networks of a checkpoint. `path_or_preset` is a path, an `http(s)` address or the name of a pretrained
/// network (`ffhq512`, ...). Addresses and pretrained networks are downloaded to the cache on first use. A path need
/// not be UTF-8.
///
/// # Errors
/// `NotFound`, `Download` or `File` when the checkpoint cannot be found, downloaded or read; `NoNetwork` or
/// `Architecture` when a downloaded file is not the pretrained network of that name; `In` when its networks cannot be
/// built.
pub fn open(path_or_preset: impl AsRef<Path>, device: &Device) -> Result<Opened> {
    open_with_progress(path_or_preset, device, &mut |_| {})
}

/// Loads all networks of a checkpoint as [`open`] does, and calls `progress` repeatedly during a download.
///
/// # Errors
/// As [`open`].
pub fn open_with_progress(
    path_or_preset: impl AsRef<Path>,
    device: &Device,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Opened> {
    let found = resolve(path_or_preset, DownloadOptions::from_env, progress)?;
    let checkpoint = checkpoint(&found)?;
    Opened::new(checkpoint, found.pretrained, device)
}

/// Loads only one generator of a checkpoint: the one that `key` names (`G` or `G_ema`); if `key` is `None`, `G_ema` if
/// the file has it, else `G`. The other arguments are those of [`open_with_progress`].
///
/// # Errors
/// As [`open`], and `NoNetwork` when the file does not have that generator.
pub fn open_generator(
    path_or_preset: impl AsRef<Path>,
    key: Option<&str>,
    device: &Device,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Opened> {
    let found = resolve(path_or_preset, DownloadOptions::from_env, progress)?;
    one_generator(&found, key, device)
}

/// Loads `G_ema` of the checkpoint file `path`, or `G` if it has no `G_ema`. Unlike [`open_generator`], always takes
/// `path` as a file path, never as an `http(s)` address or a network's name.
///
/// # Errors
/// As [`open_generator`].
pub fn open_generator_file(path: &Path, device: &Device) -> Result<Opened> {
    one_generator(&a_file(path), None, device)
}

fn a_file(path: &Path) -> Resolved {
    Resolved {
        location: Location::File(path.to_owned()),
        pretrained: None,
    }
}

fn one_generator(found: &Resolved, key: Option<&str>, device: &Device) -> Result<Opened> {
    let mut checkpoint = checkpoint(found)?;
    checkpoint.d = None;
    match key {
        Some("G") => checkpoint.g_ema = None,
        Some(_) => checkpoint.g = None,
        None if checkpoint.g_ema.is_some() => checkpoint.g = None,
        None => {}
    }
    let opened = Opened::new(checkpoint, found.pretrained, device)?;
    opened.generator()?;
    Ok(opened)
}

/// Loads all networks of the checkpoint file `path`. Unlike [`open`], always takes `path` as a file path, never as an
/// `http(s)` address or a network's name.
///
/// # Errors
/// `File` when it cannot be read, `In` when its networks cannot be built.
pub fn open_file(path: &Path, device: &Device) -> Result<Opened> {
    Opened::new(checkpoint(&a_file(path))?, None, device)
}

fn checkpoint(found: &Resolved) -> Result<Checkpoint> {
    let name = found.pretrained.map_or("", |pretrained| pretrained.file);
    let checkpoint = match &found.location {
        Location::File(path) => interop::read_checkpoint(path)?,
        Location::Embedded(bytes) => interop::read_checkpoint_bytes(bytes, name)?,
    };
    if let Some(pretrained) = found.pretrained {
        for key in ["G", "D", "G_ema"] {
            let network = checkpoint.networks().find(|(k, _)| *k == key);
            let (_, network) = network.ok_or_else(|| Error::NoNetwork {
                file: format!("the file for {}", pretrained.name),
                wanted: key,
            })?;
            pretrained.check(key, &network.config)?;
        }
    }
    Ok(checkpoint)
}

impl Opened {
    fn new(
        checkpoint: Checkpoint,
        pretrained: Option<&'static Pretrained>,
        device: &Device,
    ) -> Result<Self> {
        let mut checksums = BTreeMap::new();
        let mut assumed = BTreeMap::new();
        for (key, network) in checkpoint.networks() {
            checksums.insert(key, interop::weights_checksum(network));
            if !network.assumed.is_empty() {
                assumed.insert(key, network.assumed.clone());
            }
        }
        let metadata = metadata(&checkpoint, &assumed);
        let named = |error| Error::In {
            file: checkpoint.provenance.source.clone(),
            error: Box::new(error),
        };
        // Converted one after the other, so that the host memory of each network is freed before the next one is
        // copied.
        let networks = Snapshot {
            g: checkpoint
                .g
                .map(|n| generator("G", &n, device))
                .transpose()
                .map_err(named)?,
            d: checkpoint
                .d
                .map(|n| discriminator("D", &n, device))
                .transpose()
                .map_err(named)?,
            g_ema: checkpoint
                .g_ema
                .map(|n| generator("G_ema", &n, device))
                .transpose()
                .map_err(named)?,
            metadata,
        };
        Ok(Self {
            networks,
            provenance: checkpoint.provenance,
            pretrained,
            training_set_kwargs: checkpoint.training_set_kwargs,
            augment_pipe: checkpoint.augment_pipe,
            checksums,
            assumed,
        })
    }

    /// The key and the generator to generate images with: `G_ema` if the file has it, else `G`.
    ///
    /// # Errors
    /// `NoNetwork` when the file has neither.
    pub fn generator(&self) -> Result<(&'static str, &Generator)> {
        let ema = self.networks.g_ema.as_ref().map(|g| ("G_ema", g));
        ema.or(self.networks.g.as_ref().map(|g| ("G", g)))
            .ok_or_else(|| Error::NoNetwork {
                file: self.provenance.source.clone(),
                wanted: "generator",
            })
    }

    /// The keys of the networks that the file has, among `G`, `D` and `G_ema`.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.checksums.keys().copied()
    }

    /// Changes the configurations of a training run so that as many tensors of the file as possible fit: takes over the
    /// depths, widths, activations and filters of the file. Keeps the settings that depend on the dataset
    /// (`img_resolution`, `img_channels`, `c_dim`) and those that a run chooses freely (`conv_clamp`, `num_fp16_res`,
    /// `freeze_layers`, `mbstd_group_size`).
    pub fn adopt(&self, g: &mut GeneratorConfig, d: &mut DiscriminatorConfig) {
        let generator = self.networks.g.as_ref().or(self.networks.g_ema.as_ref());
        if let Some(theirs) = generator.map(Generator::config) {
            *g = GeneratorConfig {
                c_dim: g.c_dim,
                img_resolution: g.img_resolution,
                img_channels: g.img_channels,
                num_fp16_res: g.num_fp16_res,
                conv_clamp: g.conv_clamp,
                ..theirs.clone()
            };
        }
        if let Some(theirs) = self.networks.d.as_ref().map(Discriminator::config) {
            *d = DiscriminatorConfig {
                c_dim: d.c_dim,
                img_resolution: d.img_resolution,
                img_channels: d.img_channels,
                num_fp16_res: d.num_fp16_res,
                conv_clamp: d.conv_clamp,
                mbstd_group_size: d.mbstd_group_size,
                freeze_layers: d.freeze_layers,
                // Without labels, the discriminator of the file has no mapping network whose settings could be taken
                // over.
                cmap_dim: if theirs.c_dim == 0 {
                    d.cmap_dim
                } else {
                    theirs.cmap_dim
                },
                mapping: if theirs.c_dim == 0 {
                    d.mapping.clone()
                } else {
                    theirs.mapping.clone()
                },
                ..theirs.clone()
            };
            if d.c_dim == 0 {
                d.cmap_dim = 0;
            }
        } else if let Some(theirs) = generator.map(Generator::config) {
            (d.channel_base, d.channel_max) = (theirs.channel_base, theirs.channel_max);
        }
    }
}

fn generator(key: &str, network: &interop::Network, device: &Device) -> Result<Generator> {
    match live(network, device)? {
        LiveNetwork::Generator(generator) => Ok(generator),
        LiveNetwork::Discriminator(_) => Err(other_kind(key, "a generator")),
    }
}

fn discriminator(key: &str, network: &interop::Network, device: &Device) -> Result<Discriminator> {
    match live(network, device)? {
        LiveNetwork::Discriminator(discriminator) => Ok(discriminator),
        LiveNetwork::Generator(_) => Err(other_kind(key, "a discriminator")),
    }
}

fn live(network: &interop::Network, device: &Device) -> Result<LiveNetwork> {
    let tensors = tensors(network, device)?;
    let network = LiveNetwork::from_tensors(&network.config, tensors, DType::F32, device)?;
    Ok(network)
}

fn other_kind(key: &str, wanted: &'static str) -> Error {
    Error::OtherKind {
        network: key.to_owned(),
        wanted,
    }
}

/// The metadata that [`Snapshot::save`] writes, under the keys that `interop` reads: provenance, assumed settings,
/// training set and augmentation pipe.
fn metadata(
    checkpoint: &Checkpoint,
    assumed: &BTreeMap<&'static str, Vec<String>>,
) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    let mut put = |key: &str, value: Value| {
        metadata.insert(format!("kaogan.{key}"), value.to_string());
    };
    put("provenance", json!(checkpoint.provenance));
    if !assumed.is_empty() {
        put("assumed", json!(assumed));
    }
    if let Some(kwargs) = &checkpoint.training_set_kwargs {
        put("training_set_kwargs", kwargs.clone());
    }
    if let Some(pipe) = &checkpoint.augment_pipe {
        put("augment_pipe", json!(pipe));
    }
    metadata
}
