//! The generator that makes the images.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{bail, ensure};
use candle_core::{Device, Tensor};
use networks::{Generator, GeneratorConfig, MappingOptions};
use tool_support::{CheckpointArgs, DownloadBar, device};

use crate::args::{NetworkArgs, SamplingArgs};

/// A generator and what the images shall tell of it.
pub struct Model {
    pub generator: Generator,
    /// `G_ema` or `G`.
    pub key: &'static str,
    /// Name of the file.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 over its tensors, the same in every format.
    pub checksum: String,
    pub device: Device,
    batch: Option<u32>,
    /// Whether to tell, at the first image with stored noise, that the noise is not that of the file.
    tells_of_noise: AtomicBool,
}

/// How `z` becomes `ws`.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub options: MappingOptions,
    /// `[1, c_dim]`.
    label: Option<Tensor>,
}

impl Model {
    /// Opens the checkpoint, fetching it when needed.
    pub fn open(args: &NetworkArgs) -> anyhow::Result<Self> {
        let device = device(&args.device)?;
        let opened = open(args, &device)?;
        let checkpoints::Opened {
            networks,
            provenance,
            mut checksums,
            assumed,
            ..
        } = opened;
        let (key, generator) = match (networks.g_ema, networks.g) {
            (Some(g_ema), _) => ("G_ema", g_ema),
            (None, Some(g)) => ("G", g),
            (None, None) => bail!("{} has no generator", provenance.source),
        };
        const SHOWN: usize = 3;
        for note in provenance.notes.iter().take(SHOWN) {
            tracing::warn!("{}: {note}", provenance.source);
        }
        if let more @ 1.. = provenance.notes.len().saturating_sub(SHOWN) {
            tracing::warn!(
                "{}: {more} more notes; `generate describe` tells all",
                provenance.source
            );
        }
        // The notes of a file without noise tell of it already; one that was converted from it has no such note.
        let has_noise = !assumed
            .get(key)
            .is_some_and(|a| interop::is_noise_assumed(a));
        let is_told = provenance
            .notes
            .iter()
            .any(|note| note.contains("noise maps were drawn"));
        if let Some(assumed) = assumed.get(key) {
            tracing::info!(
                "{}: {key} is taken to have {}, which the file does not tell",
                provenance.source,
                assumed.join(", ")
            );
        }
        Ok(Self {
            generator,
            key,
            file: provenance.source,
            sha256: provenance.sha256,
            checksum: checksums.remove(key).unwrap_or_default(),
            device,
            batch: args.batch,
            tells_of_noise: AtomicBool::new(!has_noise && !is_told),
        })
    }

    /// To be called before images with the stored noise: warns once where that was made up.
    pub fn use_stored_noise(&self) {
        if self.tells_of_noise.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                "{}: the noise maps were drawn anew when the file was made, since the original had none: images with \
                 `--noise-mode const` are not those of the original program; `none` and `random` are",
                self.file
            );
        }
    }

    /// Architecture.
    pub fn config(&self) -> &GeneratorConfig {
        self.generator.config()
    }

    /// Images at once.
    pub fn batch(&self) -> usize {
        let pixels = self.config().img_resolution.pow(2);
        let by_size = (4 * 512 * 512 / pixels).clamp(1, 64);
        self.batch.map_or(by_size, |batch| batch as usize)
    }

    /// The label, where the network knows labels.
    pub fn class(&self, class: Option<usize>) -> Option<usize> {
        class.filter(|_| self.config().c_dim > 0)
    }

    /// Checks the sampling flags against the network.
    pub fn mapping(&self, args: &SamplingArgs) -> anyhow::Result<Mapping> {
        ensure!(
            args.truncation_psi.is_finite(),
            "--truncation-psi {} is no number to multiply with",
            args.truncation_psi
        );
        if args.truncation_psi != 1.0 {
            ensure!(
                self.generator.mapping.w_avg().is_some(),
                "{} keeps no average w, so there is no truncation: leave --truncation-psi at 1",
                self.file
            );
        }
        self.mapping_of(
            args.class,
            MappingOptions {
                truncation_psi: args.truncation_psi,
                truncation_cutoff: args.truncation_cutoff,
                update_w_avg: false,
            },
        )
    }

    /// As [`Self::mapping`], of given options.
    pub fn mapping_of(
        &self,
        class: Option<usize>,
        options: MappingOptions,
    ) -> anyhow::Result<Mapping> {
        let c_dim = self.config().c_dim;
        let label = match (c_dim, class) {
            (0, None) => None,
            (0, Some(_)) => {
                tracing::warn!("{} knows no labels: --class is ignored", self.file);
                None
            }
            (_, None) => bail!(
                "{} was trained with {c_dim} labels: choose one with --class 0 to {}",
                self.file,
                c_dim - 1
            ),
            (_, Some(class)) => {
                ensure!(
                    class < c_dim,
                    "--class {class}: {} knows the labels 0 to {}",
                    self.file,
                    c_dim - 1
                );
                let mut one_hot = vec![0f32; c_dim];
                one_hot[class] = 1.0;
                Some(Tensor::from_vec(one_hot, (1, c_dim), &self.device)?)
            }
        };
        Ok(Mapping { options, label })
    }

    /// `z` to `ws`.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`
    /// - result: `[batch, num_ws, w_dim]`
    pub fn ws(&self, z: &Tensor, mapping: &Mapping) -> anyhow::Result<Tensor> {
        let label = match &mapping.label {
            Some(label) => Some(label.repeat((z.dim(0)?, 1))?),
            None => None,
        };
        Ok(self
            .generator
            .mapping
            .forward(z, label.as_ref(), &mapping.options)?)
    }
}

/// Opens a generator of any checkpoint, with a bar where it must be fetched.
fn open(args: &NetworkArgs, device: &Device) -> anyhow::Result<checkpoints::Opened> {
    let path = args.checkpoint.find("--network", &args.network)?;
    files::protect_input(&path);
    let key = args.generator.as_deref();
    let mut bar = DownloadBar::default();
    let opened = checkpoints::open_generator(&path, key, device, &mut |at| bar.show(at))?;
    bar.finish();
    Ok(opened)
}

/// The file behind a path, a run folder, an address or the name of a published network.
pub fn find(path: &Path, checkpoint: CheckpointArgs) -> anyhow::Result<PathBuf> {
    let path = checkpoint.find("INPUT", path)?;
    let options = downloads::DownloadOptions::from_env;
    let mut bar = DownloadBar::default();
    let found = checkpoints::resolve(&path, options, &mut |at| bar.show(at))?.path;
    bar.finish();
    files::protect_input(&found);
    Ok(found)
}
