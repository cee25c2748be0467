//! Convolution layers with equalized learning rate.

use architecture::DEFAULT_FILTER;
use candle_nn::VarBuilder;
use ops::{Activation, BiasActOptions, Dual, Filter, ResampleOptions};

use crate::error::Result;

/// Builds the resampling filter with these taps. Layers take the taps from the configuration and do not read the saved
/// buffer `resample_filter`, which has the same values.
pub(crate) fn resample_filter(taps: &[f64]) -> Filter {
    let taps: Vec<f32> = taps.iter().map(|&tap| tap as f32).collect();
    Filter::new(&taps)
}

/// Settings of a [`Conv`] layer.
pub(crate) struct ConvOptions<'a> {
    pub kernel_size: usize,
    pub bias: bool,
    pub activation: Activation,
    pub up: usize,
    pub down: usize,
    pub resample_filter: &'a [f64],
    pub conv_clamp: Option<f64>,
}

impl Default for ConvOptions<'_> {
    fn default() -> Self {
        Self {
            kernel_size: 3,
            bias: true,
            activation: Activation::Linear,
            up: 1,
            down: 1,
            resample_filter: &DEFAULT_FILTER,
            conv_clamp: None,
        }
    }
}

/// A convolution layer with equalized learning rate (arXiv:1710.10196), up- or downsampling, bias and activation.
pub(crate) struct Conv {
    weight: Dual,
    bias: Option<Dual>,
    filter: Filter,
    resample: ResampleOptions,
    activation: Activation,
    conv_clamp: Option<f64>,
}

impl Conv {
    pub fn new(
        vb: &VarBuilder<'_>,
        in_channels: usize,
        out_channels: usize,
        options: &ConvOptions<'_>,
    ) -> Result<Self> {
        let k = options.kernel_size;
        let weight = vb.get((out_channels, in_channels, k, k), "weight")?;
        let bias = options
            .bias
            .then(|| vb.get(out_channels, "bias"))
            .transpose()?;
        Ok(Self {
            weight: weight.into(),
            bias: bias.map(Dual::from),
            filter: resample_filter(options.resample_filter),
            resample: ResampleOptions {
                up: options.up,
                down: options.down,
                padding: [(k / 2) as isize; 4],
                groups: 1,
                flip_weight: options.up == 1,
                flip_filter: false,
                gain: 1.0 / ((in_channels * k * k) as f64).sqrt(),
            },
            activation: options.activation,
            conv_clamp: options.conv_clamp,
        })
    }

    /// Applies the layer. Both the result and the limit at which it is clamped are multiplied by `gain`.
    ///
    /// # Shapes
    /// - `x`: `[batch, in_channels, height, width]`
    /// - result: `[batch, out_channels, height * up / down, width * up / down]`, with the element type of `x`
    pub fn forward(&self, x: &Dual, gain: f64) -> Result<Dual> {
        let dtype = x.primal.dtype();
        let y = match dtype == self.weight.primal.dtype() {
            true => x.conv2d_resample(&self.weight, Some(&self.filter), &self.resample)?,
            false => {
                // In half precision, scale the weights before rounding them, so that their gradients stay in the range
                // of half precision.
                let weight = self.weight.scale(self.resample.gain)?.to_dtype(dtype)?;
                let resample = ResampleOptions {
                    gain: 1.0,
                    ..self.resample
                };
                x.conv2d_resample(&weight, Some(&self.filter), &resample)?
            }
        };
        let bias = self.bias.as_ref().map(|b| b.to_dtype(dtype)).transpose()?;
        let options = BiasActOptions {
            activation: self.activation,
            gain: Some(self.activation.default_gain() * gain),
            clamp: self.conv_clamp.map(|clamp| clamp * gain),
            ..Default::default()
        };
        Ok(y.bias_act(bias.as_ref(), &options)?)
    }
}
