//! Modulated convolution: for each image, the input channels are scaled by its style before a shared convolution.

use candle_core::{Result, Tensor, bail};

use crate::conv2d_resample::ResampleOptions;
use crate::second_order::Dual;
use crate::upfirdn2d::Filter;

/// Options of [`modulated_conv2d`].
#[derive(Clone, Copy, Debug)]
pub struct ModulatedConv2dOptions<'a> {
    /// Upsampling factor, at least 1.
    pub up: usize,
    /// Downsampling factor, at least 1.
    pub down: usize,
    /// `[left, right, top, bottom]`, in pixels of the upsampled image; negative values crop.
    pub padding: [isize; 4],
    /// The filter for up- and downsampling; `None` filters nothing.
    pub filter: Option<&'a Filter>,
    /// Whether each output channel of each image is divided by the norm of its modulated weights (demodulation).
    pub demodulate: bool,
    /// Whether the kernel is applied as it is (cross-correlation); `false` mirrors it (convolution).
    pub flip_weight: bool,
}

impl Default for ModulatedConv2dOptions<'_> {
    fn default() -> Self {
        ModulatedConv2dOptions {
            up: 1,
            down: 1,
            padding: [0; 4],
            filter: None,
            demodulate: true,
            flip_weight: true,
        }
    }
}

/// Convolves each image with `weight` modulated by the style of the image.
///
/// The styles scale the input channels, and demodulation scales the output channels, so one weight serves the whole
/// batch. On a CPU this is faster than a modulated weight for each image, in training and in inference, and gives the
/// same results up to rounding.
///
/// `x` may be f16 or bf16 while `weight`, `styles` and `noise` are f32: the convolution then runs in the type of `x`,
/// and demodulation is computed in f32. With demodulation, to keep all sums in the range of f16, the weights of each
/// output channel and the styles of each image are first divided by their largest absolute value, and the weights also
/// by the square root of their number per output channel. Demodulation cancels these factors.
///
/// # Shapes
/// - `x`: `[batch, in_channels, height, width]`
/// - `weight`: `[out_channels, in_channels, kernel_height, kernel_width]`
/// - `styles`: `[batch, in_channels]`
/// - `noise`: `[batch or 1, 1, out_height, out_width]` or `[out_height, out_width]`, added after demodulation
///
/// The result tracks no gradients; [`Dual::modulated_conv2d`] does.
///
/// # Errors
/// When shapes do not match.
///
/// As in StyleGAN2 (arXiv:1912.04958); demodulation adds 1e-8 to the squared norm.
pub fn modulated_conv2d(
    x: &Tensor,
    weight: &Tensor,
    styles: &Tensor,
    noise: Option<&Tensor>,
    options: &ModulatedConv2dOptions,
) -> Result<Tensor> {
    let noise = noise.map(Dual::from);
    Ok(Dual::from(x)
        .modulated_conv2d(&weight.into(), &styles.into(), noise.as_ref(), options)?
        .primal
        .into_tensor())
}

impl Dual {
    /// Convolves with `weight` modulated by `styles` as [`modulated_conv2d`], with gradients and tangents.
    ///
    /// # Errors
    /// Same as for [`modulated_conv2d`].
    pub fn modulated_conv2d(
        &self,
        weight: &Dual,
        styles: &Dual,
        noise: Option<&Dual>,
        options: &ModulatedConv2dOptions,
    ) -> Result<Dual> {
        let ModulatedConv2dOptions {
            up,
            down,
            padding,
            filter,
            demodulate,
            flip_weight,
        } = *options;
        let (n, channels, _, _) = self.primal.dims4()?;
        let (_, in_channels, _, _) = weight.primal.dims4()?;
        if channels != in_channels || styles.primal.dims() != [n, channels] {
            bail!(
                "modulated_conv2d: x {:?}, weight {:?} and styles {:?} do not fit",
                self.primal.shape(),
                weight.primal.shape(),
                styles.primal.shape()
            );
        }
        let resample = ResampleOptions {
            up,
            down,
            padding,
            flip_weight,
            ..Default::default()
        };
        let dtype = self.primal.dtype();
        let normalized = match demodulate && dtype != weight.primal.dtype() {
            true => Some(prenormalized(weight, styles)?),
            false => None,
        };
        let (weight, styles) = normalized
            .as_ref()
            .map_or((weight, styles), |(w, s)| (w, s));
        let (w, s) = (weight.to_dtype(dtype)?, styles.to_dtype(dtype)?);
        let mut y = self.scaled_conv2d_resample(Some(&s), &w, filter, &resample)?;
        if demodulate {
            // The squared norm of each output channel's modulated weights: [batch, in] x [in, out].
            let energy = weight.channel_dot(weight)?.transpose(0, 1)?;
            let norms = styles.sqr()?.matmul(&energy)?.shift(1e-8)?;
            y = y.scale_channels(&norms.sqrt()?.recip()?.to_dtype(dtype)?)?;
        }
        match noise.map(|noise| noise.to_dtype(dtype)).transpose()? {
            None => Ok(y),
            Some(noise) if noise.primal.rank() == 2 => {
                let (h, w) = noise.primal.dims2()?;
                y.add_noise(&noise.reshape((1, 1, h, w))?)
            }
            Some(noise) => y.add_noise(&noise),
        }
    }
}

/// Weights and styles, divided so that their largest absolute values are `1 / sqrt(in_channels * kernel size)` (for
/// each output channel) and 1 (for each image).
///
/// Demodulation cancels the divisors, so gradients need not flow through them.
fn prenormalized(weight: &Dual, styles: &Dual) -> Result<(Dual, Dual)> {
    let (out_channels, in_channels, height, width) = weight.primal.dims4()?;
    let divided = |of: &Dual, divisors: Tensor, shape: &[usize]| -> Result<Dual> {
        // All-zero weights or styles stay zero.
        let factors = divisors
            .clamp(1e-30, f64::INFINITY)?
            .recip()?
            .reshape(shape)?;
        of.broadcast_mul(&factors.into())
    };
    let largest = |of: &Dual| of.primal.tensor().flatten_from(1)?.abs()?.max(1);
    let root = ((in_channels * height * width) as f64).sqrt();
    let weight = divided(weight, (largest(weight)? * root)?, &[out_channels, 1, 1, 1])?;
    let batch = styles.primal.dim(0)?;
    let styles = divided(styles, largest(styles)?, &[batch, 1])?;
    Ok((weight, styles))
}
