//! Convolution with FIR up- or downsampling.

use candle_core::{Result, Tensor, bail};

use crate::conv2d::Conv2dOptions;
use crate::second_order::Dual;
use crate::upfirdn2d::{Filter, UpFirDn2dOptions, downsample_padding, upsample_padding};

/// Options of [`conv2d_resample`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResampleOptions {
    /// Upsampling factor, at least 1.
    pub up: usize,
    /// Downsampling factor, at least 1.
    pub down: usize,
    /// `[left, right, top, bottom]`, in pixels of the upsampled image; negative values crop.
    pub padding: [isize; 4],
    /// The number of groups of channels that are convolved separately.
    pub groups: usize,
    /// Whether the kernel is applied as it is (cross-correlation); `false` mirrors it (convolution).
    pub flip_weight: bool,
    /// Whether the filter is applied as it is (cross-correlation); `false` mirrors it (convolution).
    pub flip_filter: bool,
    /// A factor on the weights (equalized learning rate).
    pub gain: f64,
}

impl Default for ResampleOptions {
    fn default() -> Self {
        ResampleOptions {
            up: 1,
            down: 1,
            padding: [0; 4],
            groups: 1,
            flip_weight: true,
            flip_filter: false,
            gain: 1.0,
        }
    }
}

/// Upsamples with a filter of gain `up^2`, convolves, and downsamples with the same filter.
///
/// Filter and convolution run in the order that costs least for the given factors and kernel size. `None` for `filter`
/// stands for the identity filter.
///
/// # Shapes
/// - `x`: `[batch, in_channels, height, width]`
/// - `weight`: `[out_channels, in_channels / groups, kernel_height, kernel_width]`
/// - result: `[batch, out_channels, ...]`, `up / down` times the input's size where the padding is half the kernel
///
/// The result tracks no gradients; [`Dual::conv2d_resample`] does.
///
/// # Errors
/// When shapes do not match, or `up` or `down` is 0.
///
/// As in StyleGAN2 (arXiv:1912.04958).
pub fn conv2d_resample(
    x: &Tensor,
    weight: &Tensor,
    filter: Option<&Filter>,
    options: &ResampleOptions,
) -> Result<Tensor> {
    Ok(Dual::from(x)
        .conv2d_resample(&weight.into(), filter, options)?
        .primal
        .into_tensor())
}

impl Dual {
    /// Upsamples, convolves and downsamples as [`conv2d_resample`], with gradients and tangents.
    ///
    /// # Errors
    /// Same as for [`conv2d_resample`].
    pub fn conv2d_resample(
        &self,
        weight: &Dual,
        filter: Option<&Filter>,
        options: &ResampleOptions,
    ) -> Result<Dual> {
        self.scaled_conv2d_resample(None, weight, filter, options)
    }

    /// [`Dual::conv2d_resample`] of `self` after scaling its channels by `scales`, `[batch, in_channels]`.
    pub(crate) fn scaled_conv2d_resample(
        &self,
        scales: Option<&Dual>,
        weight: &Dual,
        filter: Option<&Filter>,
        options: &ResampleOptions,
    ) -> Result<Dual> {
        // Filtering and scaling commute, so the convolution kernel can apply the scales. With a tangent it is cheaper
        // to scale the input and its tangent once.
        let moving = |dual: &Dual| dual.tangent.is_some();
        if let Some(scales) = scales
            && (moving(self) || moving(scales) || moving(weight) || options.groups != 1)
        {
            return self
                .scale_channels(scales)?
                .conv2d_resample(weight, filter, options);
        }
        let ResampleOptions {
            up,
            down,
            flip_weight,
            flip_filter,
            groups,
            gain,
            ..
        } = *options;
        if up == 0 || down == 0 {
            bail!("conv2d_resample: up and down must be at least 1");
        }
        let (_, _, kernel_height, kernel_width) = weight.primal.dims4()?;
        let identity = Filter::identity();
        let filter = filter.unwrap_or(&identity);
        let mut padding = options.padding;
        if up > 1 {
            padding = upsample_padding(filter, [up; 2], padding);
        }
        if down > 1 {
            padding = downsample_padding(filter, [down; 2], padding);
        }
        let filtered = |x: &Dual, up: usize, down: usize, padding: [isize; 4]| {
            let gain = (up * up) as f64;
            x.upfirdn2d(
                filter,
                &UpFirDn2dOptions {
                    up: [up; 2],
                    down: [down; 2],
                    padding,
                    flip_filter,
                    gain,
                },
            )
        };
        let convolve = |x: &Dual, stride: usize, padding: usize| {
            let flipped;
            let weight = if flip_weight || kernel_height * kernel_width == 1 {
                weight
            } else {
                flipped = weight.flip(&[2, 3])?;
                &flipped
            };
            let options = Conv2dOptions {
                stride,
                padding,
                groups,
                gain,
            };
            match scales {
                Some(scales) => {
                    let (weight, scales) = (&weight.primal, &scales.primal);
                    Ok(x.primal.scaled_conv2d(weight, scales, &options)?.into())
                }
                None => x.conv2d(weight, &options),
            }
        };

        let pointwise = kernel_height == 1 && kernel_width == 1;
        if pointwise && down > 1 && up == 1 {
            return convolve(&filtered(self, 1, down, padding)?, 1, 0);
        }
        if pointwise && up > 1 && down == 1 {
            return filtered(&convolve(self, 1, 0)?, up, 1, padding);
        }
        if down > 1 && up == 1 {
            return convolve(&filtered(self, 1, 1, padding)?, down, 0);
        }
        if up > 1 {
            // A transposed convolution with the mirrored kernel gives the same result as inserting zeros and
            // convolving, and costs less.
            let (kh, kw, step) = (kernel_height as isize, kernel_width as isize, up as isize);
            let [left, right, top, bottom] = padding;
            let rest = [
                left - (kw - 1),
                right - (kw - step),
                top - (kh - 1),
                bottom - (kh - step),
            ];
            let crop = rest.iter().map(|p| -p).min().unwrap_or(0).max(0);
            let flipped;
            let weight = if flip_weight {
                flipped = weight.flip(&[2, 3])?;
                &flipped
            } else {
                weight
            };
            let transposed = Conv2dOptions {
                stride: up,
                padding: crop as usize,
                groups,
                gain,
            };
            let x = match scales {
                Some(scales) => {
                    let (weight, scales) = (&weight.primal, &scales.primal);
                    let x = &self.primal;
                    x.scaled_conv_transpose2d_swapped(weight, scales, &transposed)?
                        .into()
                }
                None => self.conv_transpose2d_swapped(weight, &transposed)?,
            };
            let options = UpFirDn2dOptions {
                padding: rest.map(|p| p + crop),
                flip_filter,
                gain: (up * up) as f64,
                ..Default::default()
            };
            let x = x.upfirdn2d(filter, &options)?;
            return if down > 1 {
                filtered(&x, 1, down, [0; 4])
            } else {
                Ok(x)
            };
        }
        if padding.iter().all(|&p| p == padding[0] && p >= 0) {
            return convolve(self, 1, padding[0] as usize);
        }
        let padded = UpFirDn2dOptions {
            padding,
            ..Default::default()
        };
        convolve(&self.upfirdn2d(&Filter::identity(), &padded)?, 1, 0)
    }
}
