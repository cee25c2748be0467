//! The synthesis network, which maps `ws` to images.

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

/// Options of a call of [`SynthesisNetwork`].
#[derive(Clone, Debug, Default)]
pub struct SynthesisOptions {
    /// The noise that the layers add.
    pub noise: NoiseMode,
}

impl SynthesisOptions {
    /// New random noise, as in training. One key for the whole batch is drawn from `random`.
    pub fn random(random: &mut rng::RandomState) -> Self {
        Self {
            noise: NoiseMode::Random(vec![noise_key(random)]),
        }
    }
}

/// The synthesis network of a generator, which maps `ws` to images.
pub struct SynthesisNetwork {
    blocks: Vec<SynthesisBlock>,
    num_ws: usize,
    w_dim: usize,
    fp16_from: usize,
    pub(crate) precision: Precision,
}

impl SynthesisNetwork {
    /// Builds the synthesis network of a generator from the tensors of `vb`, which must have the names of NVIDIA's
    /// PyTorch code without `synthesis.`. Its precision is the default of the device of `vb` ([`Precision::of`]).
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or has the wrong shape.
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

    /// Generates images. A backward pass from the result reaches the weights of a tracked generator and variables in
    /// `ws`. The result has a tangent if `ws` has one.
    ///
    /// # Shapes
    /// - `ws`: `[batch, num_ws, w_dim]`
    /// - result: `[batch, img_channels, img_resolution, img_resolution]`, values about -1 to 1
    ///
    /// # Errors
    /// `Config` when `ws` has the wrong shape.
    pub fn forward_dual(&self, ws: &Dual, options: SynthesisOptions) -> Result<Dual> {
        self.forward_observed(ws, options, &mut |_, _| {})
    }

    /// As [`SynthesisNetwork::forward_dual`], for plain tensors and without gradients.
    ///
    /// # Errors
    /// As [`SynthesisNetwork::forward_dual`].
    pub fn forward(&self, ws: &Tensor, options: SynthesisOptions) -> Result<Tensor> {
        let images = self.forward_dual(&ws.into(), options)?;
        Ok(images.primal.into_tensor())
    }

    /// As [`SynthesisNetwork::forward_dual`], and calls `observe` with the name and value of the features `b<side>.x`
    /// and the image `b<side>.img` after each block.
    ///
    /// # Errors
    /// As [`SynthesisNetwork::forward_dual`].
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

/// Maps `ws` to images with the stored noise ([`NoiseMode::Const`]) and without gradients.
impl Module for SynthesisNetwork {
    fn forward(&self, ws: &Tensor) -> candle_core::Result<Tensor> {
        Ok(SynthesisNetwork::forward(
            self,
            ws,
            SynthesisOptions::default(),
        )?)
    }
}
