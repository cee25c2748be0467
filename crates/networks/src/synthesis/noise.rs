use ops::Dual;
use ops::transfer::upload;

use super::layer::Noise;
use crate::error::Result;
use crate::random::NormalSource;

/// What the layers of a generator add to their activations.
#[derive(Default)]
pub enum NoiseMode<'r> {
    /// New noise for each layer and sample, drawn from this generator: training and metrics.
    Random(&'r mut dyn NormalSource),
    /// The noise that is stored with the weights: the same `ws` give the same image.
    #[default]
    Const,
    /// None at all.
    None,
}

/// Gives layer after layer its noise.
pub(crate) struct NoiseSampler<'r> {
    mode: NoiseMode<'r>,
}

impl<'r> NoiseSampler<'r> {
    pub fn new(mode: NoiseMode<'r>) -> Self {
        Self { mode }
    }

    /// Noise of one layer, `[batch or 1, 1, resolution, resolution]`, times its strength.
    pub fn sample(
        &mut self,
        noise: &Noise,
        batch: usize,
        resolution: usize,
    ) -> Result<Option<Dual>> {
        let values = match &mut self.mode {
            NoiseMode::None => return Ok(None),
            NoiseMode::Const => noise.constant.reshape((1, 1, resolution, resolution))?,
            NoiseMode::Random(random) => {
                let mut values = vec![0f32; batch * resolution * resolution];
                random.fill_normal(&mut values);
                let shape = (batch, 1, resolution, resolution);
                upload(values, shape, noise.constant.device())?.to_dtype(noise.constant.dtype())?
            }
        };
        let one = noise.strength.reshape((1, 1, 1, 1))?;
        Ok(Some(Dual::from(values).broadcast_mul(&one)?))
    }
}
