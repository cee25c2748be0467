//! Convolutions that scale the input channels of each image inside the kernel, without a scaled copy of the input.

use candle_core::{Result, Shape, Tensor};

use crate::channels::{channel_dot, scale_channels};
use crate::conv2d::{Conv2dOptions, Forward, InputGradient, geometry, transposed_geometry};
use crate::cpu::channels::scale_f64;
use crate::cpu::conv::{self, ConvGeometry, Direction, Scales};
use crate::cpu::simd::isa;
use crate::op::{Op, apply};
use crate::value::{Value, record};
use crate::weight_cache;
#[cfg(any(feature = "cuda", test))]
use crate::{conv2d::WeightGradient, cuda::plan::Plan};

impl Value {
    /// `conv2d(self * scales, weight)` with one factor per image and channel, `scales`: `[batch, in_channels]`.
    pub(crate) fn scaled_conv2d(
        &self,
        weight: &Value,
        scales: &Value,
        options: &Conv2dOptions,
    ) -> Result<Value> {
        let op = Scaled {
            g: geometry(self.tensor(), weight.tensor(), options)?,
            direction: Direction::Forward,
        };
        record([self, weight, scales], op)
    }

    /// `conv_transpose2d_swapped(self * scales, weight)` with `scales`: `[batch, in_channels]`.
    pub(crate) fn scaled_conv_transpose2d_swapped(
        &self,
        weight: &Value,
        scales: &Value,
        options: &Conv2dOptions,
    ) -> Result<Value> {
        let op = Scaled {
            g: transposed_geometry(self.tensor(), weight.tensor(), options, true)?,
            direction: Direction::InputGradient,
        };
        record([self, weight, scales], op)
    }
}

/// Pads the channels of `scales`, `[batch, channels]`, with zeros to a multiple of the SIMD lanes, as the CPU kernels
/// require.
fn padded(scales: &[f32], batch: usize) -> Vec<f32> {
    let channels = scales.len() / batch;
    let whole = channels.next_multiple_of(isa().lanes());
    let mut out = vec![0.0; batch * whole];
    for (to, from) in out
        .chunks_exact_mut(whole)
        .zip(scales.chunks_exact(channels))
    {
        to[..channels].copy_from_slice(from);
    }
    out
}

/// The op `(x, w, s) -> conv(x * s, w)`, for a convolution or its transpose.
#[derive(Clone)]
struct Scaled {
    g: ConvGeometry,
    direction: Direction,
}

impl Scaled {
    /// The gradients with respect to `x` and `s`, where wanted, for the gradient `dy` of the result.
    fn of_inputs(
        &self,
        [x, w, s]: [&Tensor; 3],
        dy: &Tensor,
        [x_wanted, s_wanted]: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        if !x_wanted && !s_wanted {
            return Ok([None, None]);
        }
        let back = match self.direction {
            Direction::Forward => apply([dy, w], InputGradient(self.g))?,
            Direction::InputGradient => apply([dy, w], Forward(self.g))?,
        };
        Ok([
            x_wanted.then(|| scale_channels(&back, s)).transpose()?,
            s_wanted.then(|| channel_dot(&back, x)).transpose()?,
        ])
    }
}

impl Op<3> for Scaled {
    const NAME: &'static str = "scaled_conv2d";

    fn shape(&self, _: [&Shape; 3]) -> Result<Shape> {
        Ok(match self.direction {
            Direction::Forward => self.g.y_shape(),
            Direction::InputGradient => self.g.x_shape(),
        }
        .into())
    }

    fn run_f32(&self, [x, w, s]: [&[f32]; 3], _: [&Shape; 3]) -> Vec<f32> {
        let g = &self.g;
        let prepared = weight_cache::prepared(g, w, self.direction);
        let s = padded(s, g.n);
        let scales = Scales {
            input: Some(&s),
            output: None,
        };
        match self.direction {
            Direction::Forward => conv::forward(g, x, w, &prepared, scales),
            Direction::InputGradient => conv::input_gradient(g, x, w, &prepared, scales),
        }
    }

    fn run_f64(&self, [x, w, s]: [&[f64]; 3], _: [&Shape; 3]) -> Vec<f64> {
        let x = scale_f64(x, s);
        match self.direction {
            Direction::Forward => conv::forward_f64(&self.g, &x, w),
            Direction::InputGradient => conv::input_gradient_f64(&self.g, &x, w),
        }
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, w, s]: [&Tensor; 3]) -> Result<Plan> {
        let x = scale_channels(x, s)?;
        let y = match self.direction {
            Direction::Forward => apply([&x, w], Forward(self.g)),
            Direction::InputGradient => apply([&x, w], InputGradient(self.g)),
        };
        Ok(Plan::Composed(y?))
    }

    fn gradients(
        &self,
        [x, w, s]: [&Tensor; 3],
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        let [dx, ds] = self.of_inputs([x, w, s], dy, [wanted[0], wanted[2]])?;
        let dw = || apply([x, dy, s], ScaledWeightGradient(self.clone()));
        Ok([dx, wanted[1].then(dw).transpose()?, ds])
    }
}

/// The op `(x, dy, s) -> dw`, the gradient of [`Scaled`] with respect to the weight.
#[derive(Clone)]
struct ScaledWeightGradient(Scaled);

impl Op<3> for ScaledWeightGradient {
    const NAME: &'static str = "scaled_conv2d_weight_gradient";

    fn shape(&self, _: [&Shape; 3]) -> Result<Shape> {
        Ok(self.0.g.weights_shape().into())
    }

    fn run_f32(&self, [x, dy, s]: [&[f32]; 3], _: [&Shape; 3]) -> Vec<f32> {
        let g = &self.0.g;
        let s = padded(s, g.n);
        let (mut input, mut output) = (None, None);
        match self.0.direction {
            Direction::Forward => {
                input = Some(&s[..]);
                conv::weight_gradient(g, x, dy, Scales { input, output })
            }
            Direction::InputGradient => {
                output = Some(&s[..]);
                conv::weight_gradient(g, dy, x, Scales { input, output })
            }
        }
    }

    fn run_f64(&self, [x, dy, s]: [&[f64]; 3], _: [&Shape; 3]) -> Vec<f64> {
        let x = scale_f64(x, s);
        match self.0.direction {
            Direction::Forward => conv::weight_gradient_f64(&self.0.g, &x, dy),
            Direction::InputGradient => conv::weight_gradient_f64(&self.0.g, dy, &x),
        }
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, dy, s]: [&Tensor; 3]) -> Result<Plan> {
        let x = scale_channels(x, s)?;
        let dw = match self.0.direction {
            Direction::Forward => apply([&x, dy], WeightGradient(self.0.g)),
            Direction::InputGradient => apply([dy, &x], WeightGradient(self.0.g)),
        };
        Ok(Plan::Composed(dw?))
    }

    fn gradients(
        &self,
        [x, dy, s]: [&Tensor; 3],
        ddw: &Tensor,
        wanted: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        // <dw(x, dy, s), ddw> = <dy, conv(x * s, ddw)>, so these are the gradients of a convolution with the weight
        // `ddw`.
        let [dx, ds] = self.0.of_inputs([x, ddw, s], dy, [wanted[0], wanted[2]])?;
        let ddy = || apply([x, ddw, s], self.0.clone());
        Ok([dx, wanted[1].then(ddy).transpose()?, ds])
    }
}
