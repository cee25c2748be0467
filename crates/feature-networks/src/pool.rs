//! Pooling over windows of 3 x 3 and 2 x 2 pixels. On the CPU, the channels of all images are pooled in parallel; on a
//! GPU, pooling is composed of tensor operations.
//!
//! Means of f16 values are computed in f32 and then rounded.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

/// The kinds of pooling that the networks use.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pool {
    /// 3 x 3 maximum, stride 2, no padding.
    MaxHalving,
    /// 3 x 3 maximum, stride 1, padding 1.
    Max,
    /// 3 x 3 mean, stride 1, padding 1; padding does not count in the mean.
    Average,
    /// 2 x 2 maximum, stride 2, no padding.
    MaxOfFour,
}

/// Pools a tensor `[n, c, h, w]` of f32 or f16. Only [`Pool::MaxOfFour`] gives gradients.
pub(crate) fn pool(x: &Tensor, kind: Pool) -> Result<Tensor> {
    let x = x.contiguous()?;
    if kind == Pool::MaxOfFour && x.track_op() {
        return differentiable_max_of_four(&x);
    }
    if !x.device().is_cpu() {
        return composed(&x, kind);
    }
    match x.dtype() {
        DType::F32 => planes(&x, kind),
        short => planes(&x.to_dtype(DType::F32)?, kind)?.to_dtype(short),
    }
}

/// [`Pool::MaxOfFour`] with a gradient. (The gradient of candle's `max_pool2d` is a fourth of the correct one.)
fn differentiable_max_of_four(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let x = x.narrow(2, 0, h / 2 * 2)?.narrow(3, 0, w / 2 * 2)?;
    x.reshape(&[n, c, h / 2, 2, w / 2, 2])?.max(5)?.max(3)
}

/// [`pool`] composed of tensor operations, for any device.
fn composed(x: &Tensor, kind: Pool) -> Result<Tensor> {
    match kind {
        Pool::MaxHalving => x.max_pool2d_with_stride(3, 2),
        Pool::MaxOfFour => x.max_pool2d(2),
        // Padding repeats the edge, which does not change a maximum: the window contains those values already.
        Pool::Max => {
            let x = x.pad_with_same(2, 1, 1)?.pad_with_same(3, 1, 1)?;
            x.max_pool2d_with_stride(3, 1)
        }
        Pool::Average => {
            let (h, w) = (x.dim(2)?, x.dim(3)?);
            let sum = x
                .to_dtype(DType::F32)?
                .pad_with_zeros(2, 1, 1)?
                .pad_with_zeros(3, 1, 1)?
                .avg_pool2d_with_stride(3, 1)?;
            // A window at the border has fewer than nine pixels inside the image.
            let inside = |at: usize, n: usize| (at + 2).min(n) - at.saturating_sub(1);
            let share = |i: usize| 9.0 / (inside(i / w, h) * inside(i % w, w)) as f32;
            let shares: Vec<f32> = (0..h * w).map(share).collect();
            let shares = Tensor::from_vec(shares, (1, 1, h, w), x.device())?;
            sum.broadcast_mul(&shares)?.to_dtype(x.dtype())
        }
    }
}

/// [`pool`] for f32 on the CPU.
fn planes(x: &Tensor, kind: Pool) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("planes are pooled on the CPU");
    };
    let values = &storage.as_slice::<f32>()?[layout.start_offset()..][..n * c * h * w];
    let (oh, ow) = match kind {
        Pool::MaxHalving => ((h - 3) / 2 + 1, (w - 3) / 2 + 1),
        Pool::MaxOfFour => (h / 2, w / 2),
        _ => (h, w),
    };
    let mut out = vec![0.0f32; n * c * oh * ow];
    out.par_chunks_exact_mut(oh * ow)
        .zip(values.par_chunks_exact(h * w))
        .for_each_init(Vec::new, |line, (out, plane)| match kind {
            Pool::MaxHalving => max_halving(plane, w, out, ow),
            Pool::MaxOfFour => max_of_four(plane, w, out, ow),
            Pool::Max => same(plane, w, out, line, f32::max, |v, _| v),
            Pool::Average => same(plane, w, out, line, |a, b| a + b, |v, n| v / n as f32),
        });
    Tensor::from_vec(out, (n, c, oh, ow), x.device())
}

fn max_halving(plane: &[f32], w: usize, out: &mut [f32], ow: usize) {
    for (y, out) in out.chunks_exact_mut(ow).enumerate() {
        let rows = &plane[2 * y * w..(2 * y + 3) * w];
        let (a, rest) = rows.split_at(w);
        let (b, c) = rest.split_at(w);
        for (x, out) in out.iter_mut().enumerate() {
            let column = |i: usize| a[i].max(b[i]).max(c[i]);
            *out = column(2 * x).max(column(2 * x + 1)).max(column(2 * x + 2));
        }
    }
}

fn max_of_four(plane: &[f32], w: usize, out: &mut [f32], ow: usize) {
    for (rows, out) in plane.chunks_exact(2 * w).zip(out.chunks_exact_mut(ow)) {
        let (a, b) = rows.split_at(w);
        for (x, out) in out.iter_mut().enumerate() {
            *out = a[2 * x].max(b[2 * x]).max(a[2 * x + 1]).max(b[2 * x + 1]);
        }
    }
}

/// Pools a plane of width `w` with a 3 x 3 window, stride 1 and padding 1: `join` combines two values, `finish` gets
/// the combined value of a window and its number of pixels inside the image. Each row is first combined with its
/// neighboring rows, in the buffer `line`, then horizontally.
fn same(
    plane: &[f32],
    w: usize,
    out: &mut [f32],
    line: &mut Vec<f32>,
    join: impl Fn(f32, f32) -> f32,
    finish: impl Fn(f32, usize) -> f32,
) {
    let h = plane.len() / w;
    let row = |y: usize| &plane[y * w..(y + 1) * w];
    for (y, out) in out.chunks_exact_mut(w).enumerate() {
        line.clear();
        line.extend_from_slice(row(y));
        let neighbors = [y.checked_sub(1), Some(y + 1).filter(|y| *y < h)];
        let mut rows = 1;
        for other in neighbors.into_iter().flatten() {
            rows += 1;
            for (v, &o) in line.iter_mut().zip(row(other)) {
                *v = join(*v, o);
            }
        }
        for (x, out) in out.iter_mut().enumerate() {
            let (from, to) = (x.saturating_sub(1), (x + 2).min(w));
            let window = &line[from..to];
            let joined = window[1..].iter().fold(window[0], |a, &b| join(a, b));
            *out = finish(joined, rows * window.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn windows_at_the_border_count_what_is_inside() {
        let values: Vec<f32> = (0..25).map(|v| v as f32).collect();
        let x = Tensor::from_vec(values, (1, 1, 5, 5), &Device::Cpu).unwrap();
        let of = |kind| -> Vec<f32> {
            pool(&x, kind)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap()
        };
        assert_eq!(of(Pool::MaxHalving), [12.0, 14.0, 22.0, 24.0]);
        assert_eq!(of(Pool::MaxOfFour), [6.0, 8.0, 16.0, 18.0]);
        let max = of(Pool::Max);
        assert_eq!((max[0], max[12], max[24]), (6.0, 18.0, 24.0));
        let mean = of(Pool::Average);
        // (0 + 1 + 5 + 6) / 4, the center, and the upper edge (0 1 2 5 6 7) / 6.
        assert_eq!((mean[0], mean[12], mean[1]), (3.0, 12.0, 3.5));
    }

    #[test]
    fn tensor_ops_pool_to_the_same_numbers() {
        let (n, c, h, w) = (2, 3, 9, 6);
        // No negative values, as after a relu.
        let values: Vec<f32> = (0..n * c * h * w)
            .map(|v| (v * v % 101) as f32 / 7.0)
            .collect();
        let x = Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).unwrap();
        for kind in [Pool::MaxHalving, Pool::Max, Pool::Average, Pool::MaxOfFour] {
            for dtype in [DType::F32, DType::F16] {
                let x = x.to_dtype(dtype).unwrap();
                let (got, want) = (composed(&x, kind).unwrap(), pool(&x, kind).unwrap());
                assert_eq!((got.dtype(), got.dims()), (dtype, want.dims()));
                let of = |y: Tensor| -> Vec<f32> {
                    let y = y.to_dtype(DType::F32).unwrap();
                    y.flatten_all().unwrap().to_vec1().unwrap()
                };
                // Maxima are exact. Sums are added in a different order, so they can be rounded to different f16
                // values.
                let tolerance = match (kind, dtype) {
                    (Pool::Average, DType::F32) => 1e-6,
                    (Pool::Average, _) => 5e-4,
                    _ => 0.0,
                };
                for (got, want) in of(got).into_iter().zip(of(want)) {
                    assert!((got - want).abs() <= tolerance * 14.3, "{got} {want}");
                }
            }
        }
    }
}
