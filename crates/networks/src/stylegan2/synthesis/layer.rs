//! Synthesis layers: modulated convolution, noise, bias and activation.

use architecture::{DEFAULT_FILTER, GeneratorConfig};
use candle_nn::VarBuilder;
use ops::{Activation, BiasActOptions, Dual, Filter, ModulatedConv2dOptions};

use super::noise::{Noise, NoiseSampler};
use crate::conv::resample_filter;
use crate::dense::{Dense, DenseOptions};
use crate::error::Result;

/// A synthesis layer: modulated 3x3 convolution, noise, bias and activation.
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

/// Sizes of a [`SynthesisLayer`].
pub(crate) struct LayerDims {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Side of the output in pixels.
    pub resolution: usize,
    pub up: usize,
}

impl SynthesisLayer {
    pub fn new(vb: &VarBuilder<'_>, dims: &LayerDims, config: &GeneratorConfig) -> Result<Self> {
        let &LayerDims {
            in_channels,
            out_channels,
            resolution,
            up,
        } = dims;
        let weight = vb.get((out_channels, in_channels, 3, 3), "weight")?;
        let bias = vb.get(out_channels, "bias")?;
        // A layer that does not resample has the default filter, as in NVIDIA's code.
        let taps = if up > 1 {
            &config.resample_filter[..]
        } else {
            &DEFAULT_FILTER
        };
        let filter = resample_filter(taps);
        let noise = config
            .use_noise
            .then(|| -> Result<_> {
                Ok(Noise {
                    constant: vb.get((resolution, resolution), "noise_const")?,
                    strength: vb.get((), "noise_strength")?.into(),
                })
            })
            .transpose()?;
        let affine = affine(&vb.pp("affine"), config.w_dim, in_channels)?;
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

    /// Applies the layer. Both the result and the limit at which it is clamped are multiplied by `gain`.
    ///
    /// # Shapes
    /// - `x`: `[batch, in_channels, resolution / up, resolution / up]`
    /// - `w`: `[batch, w_dim]`
    /// - result: `[batch, out_channels, resolution, resolution]`, with the element type of `x`
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

/// The ToRGB layer, which maps features to colors: a modulated 1x1 convolution without demodulation.
pub(crate) struct ToRgb {
    affine: Dense,
    weight: Dual,
    bias: Dual,
    style_gain: f64,
    conv_clamp: Option<f64>,
}

impl ToRgb {
    pub fn new(vb: &VarBuilder<'_>, in_channels: usize, config: &GeneratorConfig) -> Result<Self> {
        let out_channels = config.img_channels;
        Ok(Self {
            weight: vb.get((out_channels, in_channels, 1, 1), "weight")?.into(),
            bias: vb.get(out_channels, "bias")?.into(),
            affine: affine(&vb.pp("affine"), config.w_dim, in_channels)?,
            style_gain: 1.0 / (in_channels as f64).sqrt(),
            conv_clamp: config.conv_clamp,
        })
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - `x`: `[batch, in_channels, height, width]`
    /// - `w`: `[batch, w_dim]`
    /// - result: `[batch, img_channels, height, width]`, with the element type of `x`
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

/// The dense layer `affine` that maps `w` to styles.
fn affine(vb: &VarBuilder<'_>, w_dim: usize, out_features: usize) -> Result<Dense> {
    Dense::new(vb, w_dim, out_features, &DenseOptions::default())
}
