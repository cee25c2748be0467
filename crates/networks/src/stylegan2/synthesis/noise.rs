//! Noise inputs of the synthesis network.

use candle_core::Tensor;
use ops::Dual;
use ops::normal::Keys;

use crate::error::Result;

/// The noise that the synthesis layers add to their features.
#[derive(Clone, Debug, Default)]
pub enum NoiseMode {
    /// New random noise for each layer and image, as in training and metrics. The noise is determined by the keys.
    ///
    /// With one key ([`noise_key`](crate::noise_key)) for the whole batch, the noise of an image depends on its
    /// position in the batch. With one key for each image, the noise of an image depends on its own key only. Equal
    /// keys give bitwise equal noise on every device ([`ops::normal`]).
    Random(Vec<u64>),
    /// The noise stored in the buffers `noise_const`: the same `ws` always give the same image.
    #[default]
    Const,
    /// No noise.
    None,
}

/// The stored noise map of a layer, `[resolution, resolution]`, and the learned factor (strength) of the layer's noise.
pub(crate) struct Noise {
    pub constant: Tensor,
    pub strength: Dual,
}

/// Provides the noise for one call of the synthesis network, one layer after another.
pub(crate) struct NoiseSampler {
    mode: NoiseMode,
    /// The keys of random noise on the device; set when the first layer asks for noise.
    keys: Option<Keys>,
    /// Number of layers so far. Each layer uses its own stream of random numbers.
    layers: u32,
}

impl NoiseSampler {
    pub fn new(mode: NoiseMode) -> Self {
        Self {
            mode,
            keys: None,
            layers: 0,
        }
    }

    /// The noise of the next layer times its strength, `[batch or 1, 1, resolution, resolution]`; `None` for
    /// [`NoiseMode::None`].
    pub fn sample(
        &mut self,
        noise: &Noise,
        batch: usize,
        resolution: usize,
    ) -> Result<Option<Dual>> {
        let values = match &self.mode {
            NoiseMode::None => return Ok(None),
            NoiseMode::Const => noise.constant.reshape((1, 1, resolution, resolution))?,
            NoiseMode::Random(keys) => {
                let keys = match &mut self.keys {
                    Some(keys) => keys,
                    none => none.insert(Keys::new(keys, noise.constant.device())?),
                };
                let values = keys.normal(self.layers, (batch, resolution, resolution))?;
                self.layers += 1;
                values.to_dtype(noise.constant.dtype())?
            }
        };
        let one = noise.strength.reshape((1, 1, 1, 1))?;
        Ok(Some(Dual::from(values).broadcast_mul(&one)?))
    }
}
