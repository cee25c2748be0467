//! Networks loaded from a file, an address or by the name of a published network.

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

/// The networks of a checkpoint on a device, with their provenance.
pub struct Opened {
    /// The networks of the file, without gradients. The metadata has the provenance, so that [`Snapshot::save`] keeps it.
    pub networks: Snapshot,
    /// Name and SHA-256 of the file, its format, and notes about tensors that were left out or added while reading.
    pub provenance: Provenance,
    /// The published network, where the file was opened by its name.
    pub pretrained: Option<&'static Pretrained>,
    /// The settings of the training set in the official form.
    pub training_set_kwargs: Option<Value>,
    /// The augmentation pipe and its probability when the file was written.
    pub augment_pipe: Option<AugmentPipe>,
    /// SHA-256 over names, shapes and values of the tensors, by network (`G`, `D`, `G_ema`). The same weights have the same
    /// checksum in every format.
    pub checksums: BTreeMap<&'static str, String>,
    /// Settings that neither the file nor its tensors determine and that were assumed, by network.
    pub assumed: BTreeMap<&'static str, Vec<String>>,
}

/// Opens a file, an `http(s)` address or a published network by its name (`ffhq512`, ...). Files are downloaded to the cache when
/// needed. A path need not be UTF-8.
///
/// # Errors
/// `NotFound`, `Download` or `File` when it cannot be found, downloaded or read; `Networks` when its networks cannot be built.
pub fn open(path_or_preset: impl AsRef<Path>, device: &Device) -> Result<Opened> {
    open_with_progress(path_or_preset, device, &mut |_| {})
}

/// As [`open`]; `progress` receives the progress of a download.
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

/// As [`open_with_progress`], but builds only the generator for making images: the network `key` (`G_ema` or `G`), or by default
/// `G_ema`, else `G`.
///
/// # Errors
/// As [`open`], and `NoNetwork` when the file does not have it.
pub fn open_generator(
    path_or_preset: impl AsRef<Path>,
    key: Option<&str>,
    device: &Device,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Opened> {
    let found = resolve(path_or_preset, DownloadOptions::from_env, progress)?;
    one_generator(&found, key, device)
}

/// As [`open_generator`] by default, for a file.
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

/// Opens a file.
///
/// # Errors
/// As [`open`].
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
        // One after the other: a network is dropped as soon as its copy is on the device.
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

    /// The generator for making images and its key: `G_ema`, else `G`.
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

    /// The keys of the networks in the file: `G`, `D`, `G_ema`.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.checksums.keys().copied()
    }

    /// Sets the architecture in two configurations to that of the file: depths, widths, activations, filters. The settings of the
    /// dataset (resolution, channels, labels) and of the run (clamp, f16, frozen layers, groups of the minibatch standard
    /// deviation) are kept. Afterwards as many tensors of the file as possible fit.
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
                // Without labels in the file there is no mapping network to copy the settings of.
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

/// The metadata for [`Snapshot::save`], in the form that `interop` reads.
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
