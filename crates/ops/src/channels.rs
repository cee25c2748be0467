//! Products of image batches with one number for each image and channel, and noise planes shared by channels.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::channels;
use crate::storage::both;

/// Multiplies every channel of every image by its own factor. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`; `scales`: `[batch, channels]`
///
/// # Errors
/// When shapes do not fit.
pub fn scale_channels(x: &Tensor, scales: &Tensor) -> Result<Tensor> {
    let (n, c, _, _) = x.dims4()?;
    if scales.dims() != [n, c] {
        bail!(
            "scale_channels: scales {:?} do not fit x {:?}",
            scales.shape(),
            x.shape()
        );
    }
    x.contiguous()?
        .apply_op2(&scales.contiguous()?, ScaleChannels)
}

/// The inner product of every channel of `a` with that of `b`. Differentiable to any order.
///
/// # Shapes
/// - `a`, `b`: `[batch, channels, height, width]`; result: `[batch, channels]`
///
/// # Errors
/// When shapes differ.
pub fn channel_dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.dims4()?;
    if a.dims() != b.dims() {
        bail!("channel_dot: {:?} and {:?} differ", a.shape(), b.shape());
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, ChannelDot)
}

/// The inner product of two tensors of the same shape, a scalar. Differentiable to any order.
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

/// Adds one plane to all channels. Differentiable to any order.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`; `noise`: `[batch or 1, 1, height, width]`
///
/// # Errors
/// When shapes do not fit.
pub fn add_noise(x: &Tensor, noise: &Tensor) -> Result<Tensor> {
    let (n, _, h, w) = x.dims4()?;
    if noise.dims() != [n, 1, h, w] && noise.dims() != [1, 1, h, w] {
        bail!(
            "add_noise: noise {:?} does not fit x {:?}",
            noise.shape(),
            x.shape()
        );
    }
    x.contiguous()?.apply_op2(&noise.contiguous()?, AddNoise)
}

struct ScaleChannels;

impl CustomOp2 for ScaleChannels {
    fn name(&self) -> &'static str {
        "scale_channels"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let scale_f64 = |x: &[f64], s: &[f64]| {
            let inner = x.len() / s.len().max(1);
            x.iter()
                .enumerate()
                .map(|(i, x)| x * s[i / inner])
                .collect()
        };
        Ok((
            both(self.name(), (s1, l1), (s2, l2), channels::scale, scale_f64)?,
            l1.shape().clone(),
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = x.track_op().then(|| scale_channels(dy, s)).transpose()?;
        let ds = s.track_op().then(|| channel_dot(dy, x)).transpose()?;
        Ok((dx, ds))
    }
}

struct ChannelDot;

impl CustomOp2 for ChannelDot {
    fn name(&self) -> &'static str {
        "channel_dot"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = l1.shape().dims4()?;
        let inner = h * w;
        let dot_f64 = |a: &[f64], b: &[f64]| {
            a.chunks_exact(inner)
                .zip(b.chunks_exact(inner))
                .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
                .collect()
        };
        let dots = both(
            self.name(),
            (s1, l1),
            (s2, l2),
            |a, b| channels::dot(a, b, inner),
            dot_f64,
        )?;
        Ok((dots, (n, c).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _dots: &Tensor,
        d: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let da = a.track_op().then(|| scale_channels(b, d)).transpose()?;
        let db = b.track_op().then(|| scale_channels(a, d)).transpose()?;
        Ok((da, db))
    }
}

struct AddNoise;

impl CustomOp2 for AddNoise {
    fn name(&self) -> &'static str {
        "add_noise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = l1.shape().dims4()?;
        let inner = h * w;
        let planes = l2.shape().dims4()?.0;
        let add_f64 = |x: &[f64], noise: &[f64]| {
            x.iter()
                .enumerate()
                .map(|(i, x)| x + noise[(i / (c * inner) * inner + i % inner) % (planes * inner)])
                .collect()
        };
        let y = both(
            self.name(),
            (s1, l1),
            (s2, l2),
            |x, noise| channels::add_planes(x, noise, n, c, inner),
            add_f64,
        )?;
        Ok((y, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        noise: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dnoise = if noise.track_op() {
            let sum = dy.sum_keepdim(1)?;
            Some(if noise.dim(0)? == 1 {
                sum.sum_keepdim(0)?
            } else {
                sum
            })
        } else {
            None
        };
        Ok((x.track_op().then(|| dy.clone()), dnoise))
    }
}
