//! The random numbers of the losses, drawn from a run's random number generators or replayed from a recording.

use augment::{AugmentPipe, Augmentation, BatchShape};
use candle_core::{Device, Tensor};
use networks::{NoiseMode, NormalSource, SynthesisOptions, noise_key};
use ops::transfer::upload;
use rng::{RandomState, SavedState};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The noise inputs of one call of the synthesis network. Calls with equal values get the same noise.
#[derive(Clone, Debug)]
pub enum Noise {
    /// The constant noise that is stored with the weights.
    Const,
    /// Random noise that is determined by this key, see `ops::normal`.
    Key(u64),
}

impl Noise {
    /// Calls `synthesis` with the `SynthesisOptions` for this noise and returns its result.
    pub fn with<T>(&self, synthesis: impl FnOnce(SynthesisOptions) -> T) -> T {
        let noise = match self {
            Noise::Const => NoiseMode::Const,
            Noise::Key(key) => NoiseMode::Random(vec![*key]),
        };
        synthesis(SynthesisOptions { noise })
    }
}

/// Style mixing (arXiv:1812.04948, section 3.1): layers with an index below `cutoff` use the styles of the images'
/// first latents, the other layers the styles of their second latents, `z`.
pub struct StyleMixing {
    /// The second latents, whose styles the layers from `cutoff` on use: `[batch, z_dim]`.
    pub z: Tensor,
    /// Index of the first layer that uses the second latents, 1 to `num_ws`; `num_ws` means no mixing.
    pub cutoff: usize,
}

/// The source of the losses' random numbers: a run's random number generators, or a recording.
pub trait Draws {
    /// Draws the style mixing of one generator call with latents `z`, `[batch, z_dim]`; `None` when style mixing is
    /// off.
    ///
    /// # Errors
    /// When a recording does not match the call, or the tensor library fails.
    fn style_mixing(&mut self, z: &Tensor, num_ws: usize) -> Result<Option<StyleMixing>>;

    /// Draws the noise of one call of the synthesis network.
    fn noise(&mut self) -> Noise;

    /// Draws the random images `y` of path length regularization: standard normal values, in a tensor of shape `shape`.
    ///
    /// # Errors
    /// When a recording does not match the call, or the tensor library fails.
    fn path_noise(&mut self, shape: &[usize]) -> Result<Tensor>;

    /// Draws the augmentation of one batch of images for the discriminator; `None` for no augmentation.
    ///
    /// # Errors
    /// When the pipe cannot be applied to images of this shape.
    fn augmentation(&mut self, shape: BatchShape) -> Result<Option<Augmentation>>;
}

/// The random number generators of a run. Each purpose has its own generator, so that changing one setting does not
/// change the numbers drawn for the other purposes.
pub struct RunDraws {
    /// Probability that a batch uses style mixing; 0 or less turns it off.
    pub style_mixing_prob: f64,
    /// The augmentation pipe; `None` for no augmentation.
    pub pipe: Option<AugmentPipe>,
    /// Augmentation probability: each transform of the pipe is applied to an image with probability `p` times the
    /// strength of the transform.
    pub p: f64,
    latents: RandomState,
    mixing: RandomState,
    noise: RandomState,
    path: RandomState,
    augment: RandomState,
    device: Device,
}

/// The saved states of the generators of a [`RunDraws`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedDraws {
    latents: SavedState,
    mixing: SavedState,
    noise: SavedState,
    path: SavedState,
    augment: SavedState,
}

impl RunDraws {
    /// New generators, each seeded with `seed` and the name of its purpose. The augmentation probability `p` starts at
    /// 0.
    pub fn new(
        seed: u64,
        style_mixing_prob: f64,
        pipe: Option<AugmentPipe>,
        device: &Device,
    ) -> Self {
        Self {
            style_mixing_prob,
            pipe,
            p: 0.0,
            latents: stream(seed, "latents"),
            mixing: stream(seed, "mixing"),
            noise: stream(seed, "noise"),
            path: stream(seed, "path"),
            augment: stream(seed, "augment"),
            device: device.clone(),
        }
    }

    /// The random number generator for latents and labels of generated images.
    pub fn latents(&mut self) -> &mut RandomState {
        &mut self.latents
    }

    /// The states of all generators, for [`RunDraws::restore`].
    pub fn save(&self) -> SavedDraws {
        SavedDraws {
            latents: self.latents.save(),
            mixing: self.mixing.save(),
            noise: self.noise.save(),
            path: self.path.save(),
            augment: self.augment.save(),
        }
    }

    /// Puts all generators into the states that [`RunDraws::save`] returned.
    ///
    /// # Errors
    /// `State` when a saved state is invalid.
    pub fn restore(&mut self, saved: &SavedDraws) -> Result<()> {
        let restore = |saved| {
            RandomState::restore(saved)
                .ok_or_else(|| Error::state("a random generator's state is damaged"))
        };
        self.latents = restore(&saved.latents)?;
        self.mixing = restore(&saved.mixing)?;
        self.noise = restore(&saved.noise)?;
        self.path = restore(&saved.path)?;
        self.augment = restore(&saved.augment)?;
        Ok(())
    }
}

impl Draws for RunDraws {
    fn style_mixing(&mut self, z: &Tensor, num_ws: usize) -> Result<Option<StyleMixing>> {
        if self.style_mixing_prob <= 0.0 {
            return Ok(None);
        }
        // The layer and the decision whether to mix are drawn in either case, as in NVIDIA's StyleGAN2-ADA.
        let layer = 1 + self.mixing.index(num_ws.max(2) - 1);
        let mixes = self.mixing.random_sample() < self.style_mixing_prob;
        Ok(Some(StyleMixing {
            z: normal(&mut self.mixing, z.dims(), &self.device)?,
            cutoff: if mixes { layer } else { num_ws },
        }))
    }

    fn noise(&mut self) -> Noise {
        Noise::Key(noise_key(&mut self.noise))
    }

    fn path_noise(&mut self, shape: &[usize]) -> Result<Tensor> {
        normal(&mut self.path, shape, &self.device)
    }

    fn augmentation(&mut self, shape: BatchShape) -> Result<Option<Augmentation>> {
        // Without a pipe nothing is drawn; with one, the number of draws does not depend on p.
        let pipe = self.pipe.as_ref();
        let drawn = pipe.map(|pipe| pipe.draw(&mut self.augment, self.p, shape));
        Ok(drawn.transpose()?.map(Augmentation::new).transpose()?)
    }
}

/// A tensor of shape `shape` with standard normal f32 values.
///
/// # Errors
/// When the tensor library fails.
pub(crate) fn normal(random: &mut RandomState, shape: &[usize], device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; shape.iter().product()];
    random.fill_normal(&mut values);
    Ok(upload(values, shape, device)?)
}

/// A new random number generator for the purpose `name`, seeded by a hash of the run's seed and that name.
pub(crate) fn stream(seed: u64, name: &str) -> RandomState {
    // FNV-1a hash, so that neighboring seeds give unrelated generators.
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    RandomState::new((hash ^ (hash >> 32)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restored_generators_go_on_identically() {
        let new = || RunDraws::new(3, 0.9, None, &Device::Cpu);
        let z = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let mut a = new();
        for _ in 0..3 {
            a.style_mixing(&z, 8).unwrap();
            a.path_noise(&[5]).unwrap();
        }
        let saved: SavedDraws =
            serde_json::from_str(&serde_json::to_string(&a.save()).unwrap()).unwrap();
        let mut b = new();
        b.restore(&saved).unwrap();
        for draws in [&mut a, &mut b] {
            draws.noise();
        }
        let numbers = |draws: &mut RunDraws| {
            let mixing = draws.style_mixing(&z, 8).unwrap().unwrap();
            let mut all = mixing.z.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            all.push(mixing.cutoff as f32);
            all.extend(draws.path_noise(&[3]).unwrap().to_vec1::<f32>().unwrap());
            all
        };
        assert_eq!(numbers(&mut a), numbers(&mut b));
    }

    #[test]
    fn cutoffs_are_layers_or_none() {
        let mut draws = RunDraws::new(0, 0.5, None, &Device::Cpu);
        let z = Tensor::zeros((1, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let mut seen = [0; 5];
        for _ in 0..400 {
            seen[draws.style_mixing(&z, 4).unwrap().unwrap().cutoff] += 1;
        }
        assert_eq!(seen[0], 0);
        assert!(seen[1..4].iter().all(|n| (30..110).contains(n)), "{seen:?}");
        assert!((150..250).contains(&seen[4]), "{seen:?}");
    }
}
