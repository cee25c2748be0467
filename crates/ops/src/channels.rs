//! Per-channel factors and inner products of image batches, and noise that all channels of an image share.

use candle_core::{Result, Shape, Tensor, bail};

use crate::cpu::channels;
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Launch, Plan};
use crate::op::{Op, apply};
use crate::value::{Value, record};

/// Multiplies every channel of every image by its own factor. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`; `scales`: `[batch, channels]`
///
/// # Errors
/// When `x` is not 4-D or `scales` is not `[batch, channels]`.
pub fn scale_channels(x: &Tensor, scales: &Tensor) -> Result<Tensor> {
    ScaleChannels.shape([x.shape(), scales.shape()])?;
    apply([x, scales], ScaleChannels)
}

/// The inner product of each channel of `a` with the same channel of `b`. Differentiable to any order.
///
/// # Shapes
/// - `a`, `b`: `[batch, channels, height, width]`; result: `[batch, channels]`
///
/// # Errors
/// When shapes differ.
pub fn channel_dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ChannelDot.shape([a.shape(), b.shape()])?;
    apply([a, b], ChannelDot)
}

/// `sum(a * weights)` of two tensors of the same shape, as a scalar. Differentiable to any order.
///
/// # Errors
/// When shapes differ.
pub fn weighted_sum(a: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let flat = |t: &Tensor| t.reshape((1, 1, 1, t.elem_count()));
    if a.dims() != weights.dims() {
        bail!(
            "weighted_sum: {:?} and {:?} differ",
            a.shape(),
            weights.shape()
        );
    }
    channel_dot(&flat(a)?, &flat(weights)?)?.reshape(())
}

/// Adds one plane of noise per image to all of its channels. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`; `noise`: `[batch or 1, 1, height, width]`
///
/// # Errors
/// When shapes do not match.
pub fn add_noise(x: &Tensor, noise: &Tensor) -> Result<Tensor> {
    AddNoise.shape([x.shape(), noise.shape()])?;
    apply([x, noise], AddNoise)
}

impl Value {
    /// Multiplies every channel of every image by its own factor: [`scale_channels`] recorded in the graph.
    ///
    /// # Shapes
    /// - `self`: `[batch, channels, height, width]`; `scales`: `[batch, channels]`
    ///
    /// # Errors
    /// Same as for [`scale_channels`].
    pub fn scale_channels(&self, scales: &Value) -> Result<Value> {
        ScaleChannels.shape([self.shape(), scales.shape()])?;
        record([self, scales], ScaleChannels)
    }

    /// The inner product of each channel with the same channel of `other`: [`channel_dot`] recorded in the graph.
    ///
    /// # Shapes
    /// - `self`, `other`: `[batch, channels, height, width]`; result: `[batch, channels]`
    ///
    /// # Errors
    /// Same as for [`channel_dot`].
    pub fn channel_dot(&self, other: &Value) -> Result<Value> {
        ChannelDot.shape([self.shape(), other.shape()])?;
        record([self, other], ChannelDot)
    }

    /// Adds one plane of noise per image to all of its channels: [`add_noise`] recorded in the graph.
    ///
    /// # Shapes
    /// - `self`: `[batch, channels, height, width]`; `noise`: `[batch or 1, 1, height, width]`
    ///
    /// # Errors
    /// Same as for [`add_noise`].
    pub fn add_noise(&self, noise: &Value) -> Result<Value> {
        AddNoise.shape([self.shape(), noise.shape()])?;
        record([self, noise], AddNoise)
    }

    /// `sum(self * weights)` for constant `weights` of the same shape, as a scalar.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn weighted_sum(&self, weights: &Tensor) -> Result<Value> {
        let weights = weights.detach();
        self.linear_map(|x| weighted_sum(x, &weights), {
            let weights = weights.clone();
            move |dy| weights.broadcast_mul(dy)
        })
    }
}

#[derive(Clone)]
struct ScaleChannels;

impl Op<2> for ScaleChannels {
    const NAME: &'static str = "scale_channels";

    fn shape(&self, [x, scales]: [&Shape; 2]) -> Result<Shape> {
        let (n, c, _, _) = x.dims4()?;
        if scales.dims() != [n, c] {
            bail!("scale_channels: scales {scales:?} do not fit x {x:?}");
        }
        Ok(x.clone())
    }

    fn run_f32(&self, [x, s]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        channels::scale(x, s)
    }

    fn run_f64(&self, [x, s]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        channels::scale_f64(x, s)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, scales]: [&Tensor; 2]) -> Result<Plan> {
        let inner = x.elem_count() / scales.elem_count().max(1);
        Launch::each("scale_channels", x.elem_count(), &[inner], &[])
    }

    fn gradients(
        &self,
        [x, s]: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        Ok([
            wanted[0].then(|| scale_channels(dy, s)).transpose()?,
            wanted[1].then(|| channel_dot(dy, x)).transpose()?,
        ])
    }
}

#[derive(Clone)]
struct ChannelDot;

impl Op<2> for ChannelDot {
    const NAME: &'static str = "channel_dot";

    fn shape(&self, [a, b]: [&Shape; 2]) -> Result<Shape> {
        let (n, c, _, _) = a.dims4()?;
        if a != b {
            bail!("channel_dot: {a:?} and {b:?} differ");
        }
        Ok((n, c).into())
    }

    fn run_f32(&self, [a, b]: [&[f32]; 2], [shape, _]: [&Shape; 2]) -> Vec<f32> {
        channels::dot(a, b, shape.dims()[2..].iter().product())
    }

    fn run_f64(&self, [a, b]: [&[f64]; 2], [shape, _]: [&Shape; 2]) -> Vec<f64> {
        let inner: usize = shape.dims()[2..].iter().product();
        let rows = a.chunks_exact(inner).zip(b.chunks_exact(inner));
        rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
            .collect()
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [a, _]: [&Tensor; 2]) -> Result<Plan> {
        let (n, c, h, w) = a.dims4()?;
        Launch::sum("channel_dot", n * c, h * w, &[h * w])
    }

    fn gradients(
        &self,
        [a, b]: [&Tensor; 2],
        d: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        Ok([
            wanted[0].then(|| scale_channels(b, d)).transpose()?,
            wanted[1].then(|| scale_channels(a, d)).transpose()?,
        ])
    }
}

#[derive(Clone)]
struct AddNoise;

impl Op<2> for AddNoise {
    const NAME: &'static str = "add_noise";

    fn shape(&self, [x, noise]: [&Shape; 2]) -> Result<Shape> {
        let (n, _, h, w) = x.dims4()?;
        if noise.dims() != [n, 1, h, w] && noise.dims() != [1, 1, h, w] {
            bail!("add_noise: noise {noise:?} does not fit x {x:?}");
        }
        Ok(x.clone())
    }

    fn run_f32(&self, [x, noise]: [&[f32]; 2], [shape, _]: [&Shape; 2]) -> Vec<f32> {
        let dims = shape.dims();
        channels::add_planes(x, noise, dims[0], dims[1], dims[2] * dims[3])
    }

    fn run_f64(&self, [x, noise]: [&[f64]; 2], [shape, _]: [&Shape; 2]) -> Vec<f64> {
        let dims = shape.dims();
        let (c, inner) = (dims[1], dims[2] * dims[3]);
        let plane = |i: usize| (i / (c * inner) * inner + i % inner) % noise.len();
        let sums = x.iter().enumerate().map(|(i, x)| x + noise[plane(i)]);
        sums.collect()
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x, noise]: [&Tensor; 2]) -> Result<Plan> {
        let (_, c, h, w) = x.dims4()?;
        Launch::each("add_noise", x.elem_count(), &[c, h * w, noise.dim(0)?], &[])
    }

    fn gradients(
        &self,
        [_, noise]: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let dnoise = || {
            let sum = apply([dy], SumChannels)?;
            match noise.dim(0)? {
                1 => sum.sum_keepdim(0),
                _ => Ok(sum),
            }
        };
        Ok([
            wanted[0].then(|| dy.clone()),
            wanted[1].then(dnoise).transpose()?,
        ])
    }
}

/// The sum over channels, `[n, c, h, w] -> [n, 1, h, w]`: the gradient of the noise.
#[derive(Clone)]
struct SumChannels;

impl Op<1> for SumChannels {
    const NAME: &'static str = "sum_channels";

    fn shape(&self, [x]: [&Shape; 1]) -> Result<Shape> {
        let (n, _, h, w) = x.dims4()?;
        Ok((n, 1, h, w).into())
    }

    fn run_f32(&self, [x]: [&[f32]; 1], [shape]: [&Shape; 1]) -> Vec<f32> {
        let dims = shape.dims();
        channels::sum_planes(x, dims[0], dims[1], dims[2] * dims[3])
    }

    fn run_f64(&self, [x]: [&[f64]; 1], [shape]: [&Shape; 1]) -> Vec<f64> {
        let dims = shape.dims();
        let inner = dims[2] * dims[3];
        let mut sums = vec![0.0; dims[0] * inner];
        for (row, values) in x.chunks_exact(inner.max(1)).enumerate() {
            let image = &mut sums[row / dims[1] * inner..][..inner];
            image.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
        sums
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x]: [&Tensor; 1]) -> Result<Plan> {
        let (n, c, h, w) = x.dims4()?;
        Launch::each("sum_channels", n * h * w, &[c, h * w], &[])
    }

    fn gradients(
        &self,
        [x]: [&Tensor; 1],
        dy: &Tensor,
        _: [bool; 1],
    ) -> Result<[Option<Tensor>; 1]> {
        Ok([Some(dy.broadcast_as(x.shape())?.contiguous()?)])
    }
}
