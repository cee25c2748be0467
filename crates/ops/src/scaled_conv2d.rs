//! Convolutions whose input channels are scaled for each image inside the kernel: no scaled copy of the input is made.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::channels::{channel_dot, scale_channels};
use crate::conv2d::{Conv2dOptions, Forward, InputGradient, apply, geometry, transposed_geometry};
use crate::cpu::conv::{self, ConvGeometry};
use crate::cpu::simd::isa;
use crate::cpu::winograd::{Direction, Scales};
use crate::storage::{Values, values};
use crate::weight_cache;

/// `conv2d(x * scales, weight)`, `scales`: `[batch, in_channels]`.
pub(crate) fn scaled_conv2d(
    x: &Tensor,
    weight: &Tensor,
    scales: &Tensor,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let op = Scaled {
        g: geometry(x, weight, options)?,
        direction: Direction::Forward,
    };
    x.contiguous()?
        .apply_op3(&weight.contiguous()?, &scales.contiguous()?, op)
}

/// `conv_transpose2d_swapped(x * scales, weight)`, `scales`: `[batch, in_channels]`.
pub(crate) fn scaled_conv_transpose2d_swapped(
    x: &Tensor,
    weight: &Tensor,
    scales: &Tensor,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let op = Scaled {
        g: transposed_geometry(x, weight, options, true)?,
        direction: Direction::InputGradient,
    };
    x.contiguous()?
        .apply_op3(&weight.contiguous()?, &scales.contiguous()?, op)
}

/// Scales `[batch, channels]` with channels padded to whole blocks, as kernels read them.
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

fn scaled_f64(x: &[f64], scales: &[f64]) -> Vec<f64> {
    let inner = x.len() / scales.len().max(1);
    x.iter()
        .enumerate()
        .map(|(i, x)| x * scales[i / inner])
        .collect()
}

/// `(x, w, s) -> conv(x * s, w)` in either direction.
struct Scaled {
    g: ConvGeometry,
    direction: Direction,
}

impl CustomOp3 for Scaled {
    fn name(&self) -> &'static str {
        "scaled_conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, name) = (&self.g, self.name());
        let forward = self.direction == Direction::Forward;
        let y = match (
            values(name, s1, l1)?,
            values(name, s2, l2)?,
            values(name, s3, l3)?,
        ) {
            (Values::F32(x), Values::F32(w), Values::F32(s)) => {
                let prepared = weight_cache::prepared(g, w, self.direction);
                let s = padded(s, g.n);
                let scales = Scales {
                    input: Some(&s),
                    output: None,
                };
                CpuStorage::F32(if forward {
                    conv::forward(g, x, w, &prepared, scales)
                } else {
                    conv::input_gradient(g, x, w, &prepared, scales)
                })
            }
            (Values::F64(x), Values::F64(w), Values::F64(s)) => {
                let x = scaled_f64(x, s);
                CpuStorage::F64(if forward {
                    conv::forward_f64(g, &x, w)
                } else {
                    conv::input_gradient_f64(g, &x, w)
                })
            }
            _ => bail!("{name}: all tensors must be f32 or all f64"),
        };
        let shape = if forward {
            (g.n, g.co, g.out_height(), g.out_width())
        } else {
            (g.n, g.ci, g.h, g.w)
        };
        Ok((y, shape.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        s: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let forward = self.direction == Direction::Forward;
        let (mut dx, mut ds) = (None, None);
        if x.track_op() || s.track_op() {
            let back = if forward {
                apply(dy, w, InputGradient(self.g))?
            } else {
                apply(dy, w, Forward(self.g))?
            };
            dx = x.track_op().then(|| scale_channels(&back, s)).transpose()?;
            ds = s.track_op().then(|| channel_dot(&back, x)).transpose()?;
        }
        let op = ScaledWeightGradient {
            g: self.g,
            direction: self.direction,
        };
        let dw = w
            .track_op()
            .then(|| x.contiguous()?.apply_op3(&dy.contiguous()?, s, op))
            .transpose()?;
        Ok((dx, dw, ds))
    }
}

/// `(x, dy, s) -> dw` of [`Scaled`].
struct ScaledWeightGradient {
    g: ConvGeometry,
    direction: Direction,
}

impl CustomOp3 for ScaledWeightGradient {
    fn name(&self) -> &'static str {
        "scaled_conv2d_weight_gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, name) = (&self.g, self.name());
        let forward = self.direction == Direction::Forward;
        let dw = match (
            values(name, s1, l1)?,
            values(name, s2, l2)?,
            values(name, s3, l3)?,
        ) {
            (Values::F32(x), Values::F32(dy), Values::F32(s)) => {
                let s = padded(s, g.n);
                CpuStorage::F32(if forward {
                    conv::weight_gradient(
                        g,
                        x,
                        dy,
                        Scales {
                            input: Some(&s),
                            output: None,
                        },
                    )
                } else {
                    conv::weight_gradient(
                        g,
                        dy,
                        x,
                        Scales {
                            input: None,
                            output: Some(&s),
                        },
                    )
                })
            }
            (Values::F64(x), Values::F64(dy), Values::F64(s)) => {
                let x = scaled_f64(x, s);
                CpuStorage::F64(if forward {
                    conv::weight_gradient_f64(g, &x, dy)
                } else {
                    conv::weight_gradient_f64(g, dy, &x)
                })
            }
            _ => bail!("{name}: all tensors must be f32 or all f64"),
        };
        Ok((dw, g.weights_shape().into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        dy: &Tensor,
        s: &Tensor,
        _dw: &Tensor,
        ddw: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let forward = self.direction == Direction::Forward;
        let ddw = ddw.contiguous()?;
        let (mut dx, mut ds) = (None, None);
        if x.track_op() || s.track_op() {
            let back = if forward {
                apply(dy, &ddw, InputGradient(self.g))?
            } else {
                apply(dy, &ddw, Forward(self.g))?
            };
            dx = x.track_op().then(|| scale_channels(&back, s)).transpose()?;
            ds = s.track_op().then(|| channel_dot(&back, x)).transpose()?;
        }
        let op = Scaled {
            g: self.g,
            direction: self.direction,
        };
        let ddy = dy
            .track_op()
            .then(|| x.contiguous()?.apply_op3(&ddw, s, op))
            .transpose()?;
        Ok((dx, ddy, ds))
    }
}
