//! Synthesis network: `ws` to images.

mod block;
mod layer;
mod noise;

use architecture::GeneratorConfig;
use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use ops::Dual;

use self::block::{State, SynthesisBlock};
use self::noise::NoiseSampler;
use crate::error::{Error, Result};
use crate::precision::Precision;
use crate::random::noise_key;

pub use self::noise::NoiseMode;

/// Options of a synthesis call.
#[derive(Clone, Debug, Default)]
pub struct SynthesisOptions {
    /// Noise that the layers add.
    pub noise: NoiseMode,
}

impl SynthesisOptions {
    /// Random noise by a key from `random`, as in training.
    pub fn random(random: &mut rng::RandomState) -> Self {
        Self {
            noise: NoiseMode::Random(vec![noise_key(random)]),
        }
    }
}

/// The synthesis network.
pub struct SynthesisNetwork {
    blocks: Vec<SynthesisBlock>,
    num_ws: usize,
    w_dim: usize,
    fp16_from: usize,
    pub(crate) precision: Precision,
}

impl SynthesisNetwork {
    /// The synthesis network of a generator, over the tensors of `vb` under the reference's names without
    /// `synthesis.`. It computes as the device of `vb` does by default ([`Precision::of`]).
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or of another shape.
    pub fn load(vb: &VarBuilder<'_>, config: &GeneratorConfig) -> Result<Self> {
        let blocks = config
            .block_resolutions()
            .map(|r| SynthesisBlock::new(&vb.pp(format!("b{r}")), r, config))
            .collect::<Result<_>>()?;
        Ok(Self {
            blocks,
            num_ws: config.num_ws(),
            w_dim: config.w_dim,
            fp16_from: config.fp16_from(),
            precision: Precision::of(vb.device()),
        })
    }

    /// Makes images.
    ///
    /// # Shapes
    /// - `ws`: `[batch, num_ws, w_dim]`
    /// - result: `[batch, img_channels, img_resolution, img_resolution]`, about -1 to 1
    ///
    /// # Errors
    /// `Config` when `ws` has another shape.
    pub fn forward_dual(&self, ws: &Dual, options: SynthesisOptions) -> Result<Dual> {
        self.forward_observed(ws, options, &mut |_, _| {})
    }

    /// As [`SynthesisNetwork::forward_dual`], on plain tensors, without gradients.
    ///
    /// # Errors
    /// The same.
    pub fn forward(&self, ws: &Tensor, options: SynthesisOptions) -> Result<Tensor> {
        let images = self.forward_dual(&ws.into(), options)?;
        Ok(images.primal.into_tensor())
    }

    /// As [`SynthesisNetwork::forward_dual`], showing features `b8.x` and images `b8.img` of each block to `observe`.
    ///
    /// # Errors
    /// The same.
    pub fn forward_observed(
        &self,
        ws: &Dual,
        options: SynthesisOptions,
        observe: &mut dyn FnMut(&str, &Dual),
    ) -> Result<Dual> {
        let dims = ws.primal.dims();
        if !matches!(dims, [_, n, d] if (*n, *d) == (self.num_ws, self.w_dim)) {
            return Err(Error::config(format!(
                "ws are {dims:?} instead of [batch, {}, {}]",
                self.num_ws, self.w_dim
            )));
        }
        let mut noise = NoiseSampler::new(options.noise);
        let mut state: State = (None, None);
        let mut first = 0;
        for block in &self.blocks {
            let w = |i: usize| -> Result<Dual> {
                let w = ws.narrow(1, first + i, 1)?;
                Ok(w.reshape((dims[0], self.w_dim))?)
            };
            let full = ws.primal.dtype();
            let dtype = self
                .precision
                .dtype_at(block.resolution, self.fp16_from, full);
            state = block.forward(state, dtype, w, &mut noise)?;
            first += block.num_conv();
            for (name, value) in [("x", &state.0), ("img", &state.1)] {
                if let Some(value) = value {
                    observe(&format!("b{}.{name}", block.resolution), value);
                }
            }
        }
        state
            .1
            .ok_or_else(|| Error::config("the last block makes no image"))
    }
}

/// `ws` to images with the stored noise ([`NoiseMode::Const`]), without gradients.
impl Module for SynthesisNetwork {
    fn forward(&self, ws: &Tensor) -> candle_core::Result<Tensor> {
        Ok(SynthesisNetwork::forward(
            self,
            ws,
            SynthesisOptions::default(),
        )?)
    }
}
