use candle_core::Tensor;
use ops::Dual;
use ops::normal::Keys;

use crate::error::Result;

/// Noise that the layers of a generator add to their activations.
#[derive(Clone, Debug, Default)]
pub enum NoiseMode {
    /// New noise for each layer and image, generated on the network's device: for training and metrics.
    ///
    /// One key ([`crate::noise_key`]) serves a whole batch. With one key for each image, an image's noise does not
    /// depend on its batch. The same keys give the same noise, on every device to the bit ([`ops::normal`]).
    Random(Vec<u64>),
    /// The noise that is stored with the weights: the same `ws` give the same image.
    #[default]
    Const,
    /// No noise.
    None,
}

/// One noise map and its strength.
pub(crate) struct Noise {
    pub constant: Tensor,
    pub strength: Dual,
}

/// Provides the noise of each layer in turn.
pub(crate) struct NoiseSampler {
    mode: NoiseMode,
    /// The keys of random noise, on the device since the first layer.
    keys: Option<Keys>,
    /// Number of layers so far; each layer has its own stream.
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

    /// Noise of one layer, `[batch or 1, 1, resolution, resolution]`, times its strength.
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
