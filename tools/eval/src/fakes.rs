//! Images of a generator, batch by batch, as metrics want them.

use anyhow::{Context, ensure};
use candle_core::{DType, Device, Tensor};
use checkpoints::Opened;
use dataset::ImageDataset;
use networks::{Generator, MappingOptions, NoiseMode, SynthesisOptions};
use rng::RandomState;

/// Opens the generator of a file, an address, or a published network, without its other networks.
///
/// # Errors
/// When it cannot be found, fetched or read.
pub fn open(path_or_preset: &str) -> anyhow::Result<Opened> {
    let mut bar: Option<cli::Progress> = None;
    let opened =
        checkpoints::open_generator(path_or_preset, None, &Device::Cpu, &mut |progress| {
            let bar =
                bar.get_or_insert_with(|| cli::Progress::new("fetching", progress.total, "bytes"));
            bar.set_position(progress.done);
        })?;
    Ok(opened)
}

/// Makes images from random latents: truncation 1, random noise, labels of random samples of the dataset.
pub struct FakeImages<'a> {
    generator: &'a Generator,
    dataset: Option<&'a ImageDataset>,
    random: RandomState,
}

impl<'a> FakeImages<'a> {
    /// From the start of a seed.
    ///
    /// # Errors
    /// When the generator wants labels that the dataset has not.
    pub fn new(
        generator: &'a Generator,
        dataset: Option<&'a ImageDataset>,
        seed: u32,
    ) -> anyhow::Result<Self> {
        let c_dim = generator.config().c_dim;
        let label_dim = dataset.map_or(0, ImageDataset::label_dim);
        ensure!(
            c_dim == 0 || c_dim == label_dim,
            "the network was trained with labels of {c_dim} entries, but the dataset has {label_dim}"
        );
        Ok(Self {
            generator,
            dataset,
            random: RandomState::new(seed),
        })
    }

    /// The next `n` images: `u8`, `[n, channels, resolution, resolution]`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn batch(&mut self, n: usize) -> anyhow::Result<Tensor> {
        let config = self.generator.config();
        let z: Vec<f32> = self
            .random
            .randn(n * config.z_dim)
            .into_iter()
            .map(|v| v as f32)
            .collect();
        let z = Tensor::from_vec(z, (n, config.z_dim), &Device::Cpu)?;
        let c = match (config.c_dim, self.dataset) {
            (0, _) => None,
            (c_dim, dataset) => {
                let dataset = dataset.context("labels come from a dataset")?;
                let labels = dataset.random_labels(n, &mut self.random);
                Some(Tensor::from_vec(labels, (n, c_dim), &Device::Cpu)?)
            }
        };
        let synthesis = SynthesisOptions {
            noise: NoiseMode::Random(&mut self.random),
        };
        let images =
            self.generator
                .forward(&z, c.as_ref(), &MappingOptions::default(), synthesis)?;
        to_u8(&images)
    }
}

/// -1..1 to 0..=255 as the reference does it for metrics: times 127.5 plus 128, clamped, cut off.
pub fn to_u8(images: &Tensor) -> anyhow::Result<Tensor> {
    let scaled = images.affine(127.5, 128.0)?.clamp(0f32, 255f32)?;
    Ok(scaled.to_dtype(DType::U8)?)
}
