//! Generates images for metrics, batch by batch.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Tensor};
use dataset::ImageDataset;
use metrics::{FakeSource, PathOptions, SourceError};
use networks::{Generator, MappingOptions, NormalSource, SynthesisOptions};

use crate::error::{Error, Result};
use crate::paths;
use crate::streams::{Purpose, noise, streams};

/// Generates images from random latents, without truncation and with random noise. A conditional generator gets the
/// labels of random images of a dataset.
///
/// An image depends only on the seed and its position in the sequence, not on the batch sizes.
pub struct FakeImages<'a> {
    generator: &'a Generator,
    dataset: Option<&'a ImageDataset>,
    seed: u32,
    position: usize,
    stop: Option<&'a AtomicBool>,
}

impl<'a> FakeImages<'a> {
    /// Starts the sequence of images that belongs to `seed`, at its first image. `dataset` provides the labels for a
    /// conditional generator.
    ///
    /// # Errors
    /// `Labels` when the generator needs labels that the dataset does not have.
    pub fn new(
        generator: &'a Generator,
        dataset: Option<&'a ImageDataset>,
        seed: u32,
    ) -> Result<Self> {
        let c_dim = generator.config().c_dim;
        let label_dim = dataset.map_or(0, ImageDataset::label_dim);
        if c_dim > 0 && c_dim != label_dim {
            return Err(Error::Labels { c_dim, label_dim });
        }
        Ok(Self {
            generator,
            dataset: dataset.filter(|_| c_dim > 0),
            seed,
            position: 0,
            stop: None,
        })
    }

    /// Makes every later call that generates images fail with `Interrupted` once `stop` is true.
    pub fn until(self, stop: &'a AtomicBool) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    fn check_stop(&self) -> Result<()> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }

    /// Generates the next `n` images: `u8`, `[n, channels, resolution, resolution]`, on the device of the generator.
    ///
    /// # Errors
    /// `Interrupted` once the flag of [`FakeImages::until`] is set; `Network` or `Tensor` when generating fails.
    pub fn batch(&mut self, n: usize) -> Result<Tensor> {
        self.check_stop()?;
        let mut streams = streams(self.seed, Purpose::Images, self.position, n);
        self.position += n;
        let config = self.generator.config();
        let mut z = vec![0f32; n * config.z_dim];
        for (z, stream) in z.chunks_mut(config.z_dim.max(1)).zip(&mut streams) {
            stream.fill_normal(z);
        }
        let z = Tensor::from_vec(z, (n, config.z_dim), self.generator.device())?;
        let c = paths::labels(
            self.dataset,
            config.c_dim,
            &mut streams,
            self.generator.device(),
        )?;
        let synthesis = SynthesisOptions {
            noise: noise(&mut streams, 1),
        };
        let options = MappingOptions::default();
        let images = self
            .generator
            .forward(&z, c.as_ref(), &options, synthesis)?;
        to_u8(&images)
    }
}

impl FakeSource for FakeImages<'_> {
    fn images(&mut self, n: usize) -> std::result::Result<Option<Tensor>, SourceError> {
        Ok(Some(self.batch(n)?))
    }

    fn has_paths(&self) -> bool {
        true
    }

    fn path_pairs(
        &mut self,
        path: PathOptions,
        step: f64,
        start: usize,
        n: usize,
    ) -> std::result::Result<Tensor, SourceError> {
        self.check_stop()?;
        let streams = streams(self.seed, Purpose::Paths, start, n);
        Ok(paths::pairs(
            self.generator,
            self.dataset,
            streams,
            path,
            step,
        )?)
    }
}

/// Converts images of any shape with values from -1 to 1 to `u8`, as NVIDIA's StyleGAN2-ADA does for metrics:
/// `trunc(clamp(x * 127.5 + 128, 0, 255))`.
///
/// # Errors
/// When the tensor library fails.
pub fn to_u8(images: &Tensor) -> Result<Tensor> {
    let scaled = images.affine(127.5, 128.0)?.clamp(0f32, 255f32)?;
    Ok(scaled.to_dtype(DType::U8)?)
}

/// Number of images that [`measure_diversity`] generates.
const N_IMAGES: usize = 64;

/// Measures the diversity of a generator's images, to detect mode collapse: generates 64 images with the same latents
/// in every call, reduces them to 8 x 8 pixels, and returns their diversity, 0 for equal images. See
/// [`metrics::diversity`].
///
/// # Errors
/// Those of [`FakeImages::batch`]; `Labels` as in [`FakeImages::new`].
pub fn measure_diversity(generator: &Generator, dataset: Option<&ImageDataset>) -> Result<f64> {
    let _weights_stay = ops::weight_cache::scope();
    let mut fakes = FakeImages::new(generator, dataset, 0)?;
    let mut all: Option<feature_networks::Features> = None;
    for _ in 0..N_IMAGES / 16 {
        let features = metrics::diversity::thumbnail_features(&fakes.batch(16)?)?;
        match &mut all {
            Some(all) => all.append(&features).map_err(metrics::Error::from)?,
            None => all = Some(features),
        }
    }
    let all = all.unwrap_or_else(|| feature_networks::Features::new(1));
    Ok(metrics::diversity::diversity(&all)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use networks::{GeneratorConfig, MappingConfig};
    use rng::RandomState;

    use super::*;

    fn generator(c_dim: usize) -> Generator {
        let config = GeneratorConfig {
            z_dim: 4,
            w_dim: 4,
            c_dim,
            channel_base: 64,
            channel_max: 8,
            mapping: MappingConfig {
                num_layers: 2,
                ..MappingConfig::new(4)
            },
            ..GeneratorConfig::new(8, 3)
        };
        Generator::new(&config, &mut RandomState::new(1), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_seed_gives_the_same_images_in_any_batches() {
        let g = generator(0);
        let images = |seed, batches: &[usize]| -> Vec<u8> {
            let mut fakes = FakeImages::new(&g, None, seed).unwrap();
            let batches = batches.iter().map(|n| fakes.batch(*n).unwrap());
            batches
                .flat_map(|b| b.flatten_all().unwrap().to_vec1::<u8>().unwrap())
                .collect()
        };
        let five = images(3, &[5]);
        assert_eq!(images(3, &[2, 3]), five);
        assert_eq!(images(3, &[1, 1, 3]), five);
        assert_ne!(five[..192], five[192..384]);
        assert_ne!(images(4, &[5]), five);
        assert!(matches!(
            FakeImages::new(&generator(3), None, 0),
            Err(Error::Labels {
                c_dim: 3,
                label_dim: 0
            })
        ));
    }

    #[test]
    fn a_request_to_stop_interrupts() {
        let (g, stop) = (generator(0), AtomicBool::new(false));
        let mut fakes = FakeImages::new(&g, None, 0).unwrap().until(&stop);
        fakes.batch(1).unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(fakes.batch(1), Err(Error::Interrupted)));
    }

    #[test]
    fn pixels_are_truncated_not_rounded() {
        let x = Tensor::new(&[-2f32, -1.0, 0.0, 0.999, 1.0, 5.0], &Device::Cpu).unwrap();
        let pixels = to_u8(&x).unwrap().to_vec1::<u8>().unwrap();
        // Origin: numpy, trunc(clip(x * 127.5 + 128, 0, 255)).
        assert_eq!(pixels, [0, 0, 128, 255, 255, 255]);
    }

    #[test]
    fn equal_images_have_no_diversity_and_a_new_network_some() {
        let g = generator(0);
        assert!(measure_diversity(&g, None).unwrap() > 0.01);
        for (name, var, _) in g.parameters().iter() {
            if name.contains("weight") || name.contains("noise_strength") {
                var.set(&var.zeros_like().unwrap()).unwrap();
            }
        }
        assert!(measure_diversity(&g, None).unwrap() < 1e-6);
    }
}
