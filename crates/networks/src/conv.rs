use architecture::{DEFAULT_FILTER, Init};
use ops::{Activation, BiasActOptions, Dual, Filter, ResampleOptions};

use crate::builder::Builder;
use crate::error::Result;

/// Filter taps as a layer holds them, and the buffer that official files keep of them.
pub(crate) fn resample_filter(b: &Builder<'_, '_>, taps: &[f64]) -> Result<Filter> {
    let taps: Vec<f32> = taps.iter().map(|&tap| tap as f32).collect();
    let n = taps.len();
    // Long filters stay one row; short ones become their outer product.
    let (shape, mut values) = if n >= 8 {
        (vec![n], taps.clone())
    } else {
        let outer = taps.iter().flat_map(|a| taps.iter().map(move |b| a * b));
        (vec![n, n], outer.collect::<Vec<f32>>())
    };
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
    b.buffer("resample_filter", &shape, Init::Fixed(values))?;
    Ok(Filter::new(&taps))
}

/// How a [`Conv`] layer is made.
pub(crate) struct ConvOptions<'a> {
    pub kernel_size: usize,
    pub bias: bool,
    pub activation: Activation,
    pub up: usize,
    pub down: usize,
    pub resample_filter: &'a [f64],
    pub conv_clamp: Option<f64>,
    pub trainable: bool,
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
            trainable: true,
        }
    }
}

/// A convolution with equalized learning rate, resampling and activation.
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
        b: &Builder<'_, '_>,
        in_channels: usize,
        out_channels: usize,
        options: &ConvOptions<'_>,
    ) -> Result<Self> {
        let k = options.kernel_size;
        let weights = || -> Result<_> {
            let weight = b.weight(
                "weight",
                &[out_channels, in_channels, k, k],
                Init::Normal(1.0),
                options.trainable,
            )?;
            let bias = options.bias.then(|| {
                b.weight(
                    "bias",
                    &[out_channels],
                    Init::Constant(0.0),
                    options.trainable,
                )
            });
            Ok((weight, bias.transpose()?))
        };
        // Frozen weights are buffers, and among those the filter is first.
        let (weight, bias, filter) = if options.trainable {
            let (weight, bias) = weights()?;
            (weight, bias, resample_filter(b, options.resample_filter)?)
        } else {
            let filter = resample_filter(b, options.resample_filter)?;
            let (weight, bias) = weights()?;
            (weight, bias, filter)
        };
        Ok(Self {
            weight: weight.into(),
            bias: bias.map(Dual::from),
            filter,
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

    /// Convolves; the result and its clamp are times `gain`.
    ///
    /// # Shapes
    /// - `x`: `[batch, in_channels, height, width]`
    /// - result: `[batch, out_channels, height * up / down, width * up / down]`, of the type of `x`
    pub fn forward(&self, x: &Dual, gain: f64) -> Result<Dual> {
        let dtype = x.primal.dtype();
        let y = match dtype == self.weight.primal.dtype() {
            true => x.conv2d_resample(&self.weight, Some(&self.filter), &self.resample)?,
            false => {
                // Short types hold the gradient of weights that were scaled before they were rounded.
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
