use architecture::{DEFAULT_FILTER, GeneratorConfig, Init};
use ops::{Activation, BiasActOptions, Dual, Filter, ModulatedConv2dOptions};

use super::noise::{Noise, NoiseSampler};
use crate::builder::Builder;
use crate::conv::resample_filter;
use crate::dense::{Dense, DenseOptions};
use crate::error::Result;

/// Modulated 3x3 convolution, noise, bias and activation.
pub(crate) struct SynthesisLayer {
    affine: Dense,
    weight: Dual,
    bias: Dual,
    noise: Option<Noise>,
    filter: Filter,
    up: usize,
    resolution: usize,
    activation: Activation,
    conv_clamp: Option<f64>,
}

/// Extents of a [`SynthesisLayer`].
pub(crate) struct LayerDims {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Side of the result.
    pub resolution: usize,
    pub up: usize,
}

impl SynthesisLayer {
    pub fn new(b: &Builder<'_, '_>, dims: &LayerDims, config: &GeneratorConfig) -> Result<Self> {
        let &LayerDims {
            in_channels,
            out_channels,
            resolution,
            up,
        } = dims;
        let weight = b.parameter(
            "weight",
            &[out_channels, in_channels, 3, 3],
            Init::Normal(1.0),
        )?;
        let strength = config
            .use_noise
            .then(|| b.parameter("noise_strength", &[], Init::Constant(0.0)))
            .transpose()?;
        let bias = b.parameter("bias", &[out_channels], Init::Constant(0.0))?;
        // Layers that do not resample keep the default filter.
        let taps = if up > 1 {
            &config.resample_filter[..]
        } else {
            &DEFAULT_FILTER
        };
        let filter = resample_filter(b, taps)?;
        let noise = strength
            .map(|strength| -> Result<_> {
                let shape = [resolution, resolution];
                Ok(Noise {
                    constant: b.buffer("noise_const", &shape, Init::Normal(1.0))?,
                    strength: strength.into(),
                })
            })
            .transpose()?;
        let affine = affine(&b.child("affine"), config.w_dim, in_channels)?;
        Ok(Self {
            affine,
            weight: weight.into(),
            bias: bias.into(),
            noise,
            filter,
            up,
            resolution,
            activation: config.activation,
            conv_clamp: config.conv_clamp,
        })
    }

    /// # Shapes
    /// - `x`: `[batch, in_channels, resolution / up, resolution / up]`
    /// - `w`: `[batch, w_dim]`
    /// - result: `[batch, out_channels, resolution, resolution]`, of the type of `x`, it and its clamp times `gain`
    pub fn forward(&self, x: &Dual, w: &Dual, noise: &mut NoiseSampler, gain: f64) -> Result<Dual> {
        let batch = w.primal.dim(0)?;
        let noise = match &self.noise {
            Some(own) => noise.sample(own, batch, self.resolution)?,
            None => None,
        };
        let options = ModulatedConv2dOptions {
            up: self.up,
            padding: [1; 4],
            filter: Some(&self.filter),
            flip_weight: self.up == 1,
            ..Default::default()
        };
        let styles = self.affine.forward(w)?;
        let y = x.modulated_conv2d(&self.weight, &styles, noise.as_ref(), &options)?;
        let options = BiasActOptions {
            activation: self.activation,
            gain: Some(self.activation.default_gain() * gain),
            clamp: self.conv_clamp.map(|clamp| clamp * gain),
            ..Default::default()
        };
        Ok(y.bias_act(Some(&self.bias.to_dtype(x.primal.dtype())?), &options)?)
    }
}

/// Turns an image of features into colours; styles without demodulation.
pub(crate) struct ToRgb {
    affine: Dense,
    weight: Dual,
    bias: Dual,
    style_gain: f64,
    conv_clamp: Option<f64>,
}

impl ToRgb {
    pub fn new(b: &Builder<'_, '_>, in_channels: usize, config: &GeneratorConfig) -> Result<Self> {
        let out_channels = config.img_channels;
        Ok(Self {
            weight: b
                .parameter(
                    "weight",
                    &[out_channels, in_channels, 1, 1],
                    Init::Normal(1.0),
                )?
                .into(),
            bias: b
                .parameter("bias", &[out_channels], Init::Constant(0.0))?
                .into(),
            affine: affine(&b.child("affine"), config.w_dim, in_channels)?,
            style_gain: 1.0 / (in_channels as f64).sqrt(),
            conv_clamp: config.conv_clamp,
        })
    }

    /// # Shapes
    /// - `x`: `[batch, in_channels, height, width]`
    /// - `w`: `[batch, w_dim]`
    /// - result: `[batch, img_channels, height, width]`, of the type of `x`
    pub fn forward(&self, x: &Dual, w: &Dual) -> Result<Dual> {
        let styles = self.affine.forward(w)?.scale(self.style_gain)?;
        let options = ModulatedConv2dOptions {
            demodulate: false,
            ..Default::default()
        };
        let y = x.modulated_conv2d(&self.weight, &styles, None, &options)?;
        let options = BiasActOptions {
            activation: Activation::Linear,
            clamp: self.conv_clamp,
            ..Default::default()
        };
        Ok(y.bias_act(Some(&self.bias.to_dtype(x.primal.dtype())?), &options)?)
    }
}

/// From `w` to styles, which start around 1.
fn affine(b: &Builder<'_, '_>, w_dim: usize, out_features: usize) -> Result<Dense> {
    let options = DenseOptions {
        bias_init: 1.0,
        ..Default::default()
    };
    Dense::new(b, w_dim, out_features, &options)
}
