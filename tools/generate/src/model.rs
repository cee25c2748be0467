//! Opens the generator that the flags of a command name.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use candle_core::{Device, Tensor};
use checkpoints::Location;
use networks::{Generator, GeneratorConfig, MappingOptions};
use tool_support::{CheckpointArgs, DownloadBar, device};

use crate::args::{NetworkArgs, SamplingArgs};

/// A generator, with the name and checksums of the checkpoint that it comes from.
pub struct Model {
    pub generator: Generator,
    /// Name of the generator in the checkpoint: `G_ema` or `G`.
    pub key: &'static str,
    /// File name or address of the checkpoint.
    pub file: String,
    /// SHA-256 of the checkpoint file in hexadecimal; may be empty.
    pub sha256: String,
    /// SHA-256 of the generator's tensors in hexadecimal, which is the same in every checkpoint format.
    pub checksum: String,
    pub device: Device,
    batch: Option<u32>,
    /// Whether to warn, before the first image with stored noise, that this noise is not that of the original network.
    warns_of_noise: AtomicBool,
}

/// Arguments of the mapping network: truncation and label.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub options: MappingOptions,
    /// The one-hot label, `[1, c_dim]`; `None` for unconditional networks.
    label: Option<Tensor>,
}

impl Model {
    /// Opens the generator of a checkpoint, which is downloaded if needed.
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
                "{}: {more} more notes; `generate describe` shows all",
                provenance.source
            );
        }
        // Files without noise maps have a note about that. Files that were converted from such a file do not.
        let has_noise = !assumed
            .get(key)
            .is_some_and(|a| interop::is_noise_assumed(a));
        let has_note = provenance
            .notes
            .iter()
            .any(|note| note.contains("noise maps were drawn"));
        if let Some(assumed) = assumed.get(key) {
            tracing::info!(
                "{}: {key} is assumed to have {}, which is not in the file",
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
            warns_of_noise: AtomicBool::new(!has_noise && !has_note),
        })
    }

    /// Warns, once, when the stored noise is not that of the original network. Call it before generating with stored
    /// noise.
    pub fn use_stored_noise(&self) {
        if self.warns_of_noise.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                "{}: the noise maps were drawn anew when the file was made, since the original had none: images with \
                 `--noise-mode const` are not those of the original program; `none` and `random` are",
                self.file
            );
        }
    }

    /// The architecture of the generator.
    pub fn config(&self) -> &GeneratorConfig {
        self.generator.config()
    }

    /// Number of images generated at once: `--batch`, or 1 to 64 depending on the resolution.
    pub fn batch(&self) -> usize {
        let pixels = self.config().img_resolution.pow(2);
        let by_size = (4 * 512 * 512 / pixels).clamp(1, 64);
        self.batch.map_or(by_size, |batch| batch as usize)
    }

    /// The class that images get: `class` for a conditional network, `None` for an unconditional one.
    pub fn class(&self, class: Option<usize>) -> Option<usize> {
        class.filter(|_| self.config().c_dim > 0)
    }

    /// The arguments of the mapping network for the sampling flags. Fails when the network has no `w_avg` for the
    /// truncation, or needs another label.
    pub fn mapping(&self, args: &SamplingArgs) -> anyhow::Result<Mapping> {
        ensure!(
            args.truncation_psi.is_finite(),
            "--truncation-psi {} is NaN or infinite",
            args.truncation_psi
        );
        if args.truncation_psi != 1.0 {
            ensure!(
                self.generator.mapping.w_avg().is_some(),
                "{} has no average w (w_avg), so there is no truncation: leave --truncation-psi at 1",
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

    /// As [`Self::mapping`], for given truncation options.
    pub fn mapping_of(
        &self,
        class: Option<usize>,
        options: MappingOptions,
    ) -> anyhow::Result<Mapping> {
        let c_dim = self.config().c_dim;
        let label = match (c_dim, class) {
            (0, None) => None,
            (0, Some(_)) => {
                tracing::warn!("{} has no labels: --class is ignored", self.file);
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
                    "--class {class}: {} has the labels 0 to {}",
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

    /// Maps latents `z` to `ws`.
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

/// Opens the generator of a checkpoint, with a progress bar if it is downloaded.
fn open(args: &NetworkArgs, device: &Device) -> anyhow::Result<checkpoints::Opened> {
    let path = args.checkpoint.find("--network", &args.network)?;
    files::protect_input(&path);
    let key = args.generator.as_deref();
    let mut bar = DownloadBar::default();
    let opened = checkpoints::open_generator(&path, key, device, &mut |at| bar.show(at))?;
    bar.finish();
    Ok(opened)
}

/// The path of a local checkpoint file for a path, a run folder, an address or the name of a network. Downloads are
/// stored in the cache; so is a network that ships with the program.
pub fn find(path: &Path, checkpoint: CheckpointArgs) -> anyhow::Result<PathBuf> {
    let path = checkpoint.find("INPUT", path)?;
    let options = downloads::DownloadOptions::from_env;
    let mut bar = DownloadBar::default();
    let resolved = checkpoints::resolve(&path, options, &mut |at| bar.show(at))?;
    bar.finish();
    let found = match resolved.location {
        Location::File(path) => path,
        Location::Embedded(bytes) => {
            let cache = options()?.cache;
            std::fs::create_dir_all(&cache)
                .with_context(|| format!("cannot make the cache '{}'", cache.display()))?;
            let file = cache.join(resolved.pretrained.map_or("network", |p| p.file));
            files::write_bytes(&file, bytes)?;
            file
        }
    };
    files::protect_input(&found);
    Ok(found)
}
