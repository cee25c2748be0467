//! The pipe as a chain of tensor ops, for GPUs. Its results equal those of the fused CPU op up to rounding.
//!
//! Each stage runs only on the images that it changes. The derivatives of the chain follow from those of its ops.

use candle_core::{Result, Tensor};
use ops::transfer::upload;
use ops::{Conv2dOptions, Filter, UpFirDn2dOptions, Value, affine_grid};

use super::Plan;
use crate::filter::{PAD, TAPS, reflect};
use crate::geometry::{FILTER_MARGIN, Geometry, warped_size};
use crate::warp::SYM6;

/// Applies the affine pipe to images `x`: computes `L x + b`, or only the linear part `L x` when `is_affine` is false.
pub(super) fn apply(plan: &Plan, x: &Value, is_affine: bool) -> Result<Value> {
    let mut y = x.clone();
    if let Some(geometry) = &plan.geometry {
        y = warped(geometry, &y)?;
    }
    y = recolored(plan, &y, is_affine)?;
    y = filtered(plan, &y)?;
    if is_affine {
        y = noisy(plan, &y)?;
    }
    cut_out(plan, &y)
}

/// The indices of the images whose entry is not `None`.
fn those_with<T>(each: &[Option<T>]) -> Vec<usize> {
    (0..each.len()).filter(|&i| each[i].is_some()).collect()
}

/// Applies `change` to the given images of the batch `x`; the other images stay as they are.
fn on_some(
    x: &Value,
    images: &[usize],
    change: impl FnOnce(&Value) -> Result<Value>,
) -> Result<Value> {
    let batch = x.dim(0)?;
    if images.is_empty() {
        return Ok(x.clone());
    }
    if images.len() == batch {
        return change(x);
    }
    let changed = change(&gathered(x, 0, images.iter().copied())?)?;
    let both = Value::cat(&[x, &changed], 0)?;
    let place = |image| match images.binary_search(&image) {
        Ok(i) => batch + i,
        Err(_) => image,
    };
    gathered(&both, 0, (0..batch).map(place))
}

/// Selects the elements at the indices `places` of dimension `dim`.
fn gathered(x: &Value, dim: usize, places: impl Iterator<Item = usize>) -> Result<Value> {
    let len = x.dim(dim)?;
    let places: Vec<u32> = places.map(|i| i as u32).collect();
    let count = places.len();
    let places = upload(places, count, x.device())?;
    let back = places.clone();
    x.linear_map(
        |x| x.contiguous()?.index_select(&places, dim),
        move |dy| {
            let mut shape = dy.dims().to_vec();
            shape[dim] = len;
            let zeros = Tensor::zeros(shape, dy.dtype(), dy.device())?;
            zeros.index_add(&back, &dy.contiguous()?, dim)
        },
    )
}

/// The images with reflected pixels added on all sides: left, right, top, bottom.
fn padded(x: &Value, [left, right, top, bottom]: [usize; 4]) -> Result<Value> {
    let (_, _, height, width) = x.dims4()?;
    let places = |len: usize, before: usize, after: usize| {
        (0..before + len + after).map(move |i| reflect(i as isize - before as isize, len))
    };
    let x = gathered(x, 3, places(width, left, right))?;
    gathered(&x, 2, places(height, top, bottom))
}

fn warped(geometry: &Geometry, x: &Value) -> Result<Value> {
    on_some(x, &those_with(&geometry.maps), |x| {
        let (n, channels, height, width) = x.dims4()?;
        let sum: f64 = SYM6.iter().sum();
        let filter = Filter::separable(&SYM6.map(|tap| (tap / sum) as f32));
        let upsampling = UpFirDn2dOptions::upsampling(&filter, [2; 2], [0; 4]);
        let large = padded(x, geometry.margin)?.upfirdn2d(&filter, &upsampling)?;
        let maps = geometry.maps.iter().flatten();
        let theta: Vec<f32> = maps.flat_map(|map| map.theta.concat()).collect();
        let theta = upload(theta, (n, 2, 3), x.device())?;
        let size = (n, channels, warped_size(height), warped_size(width));
        let sampled = large.grid_sample(&affine_grid(&theta, size)?.into())?;
        let margin = -2 * FILTER_MARGIN as isize;
        let downsampling = UpFirDn2dOptions {
            flip_filter: true,
            ..UpFirDn2dOptions::downsampling(&filter, [2; 2], [margin; 4])
        };
        sampled.upfirdn2d(&filter, &downsampling)
    })
}

fn recolored(plan: &Plan, x: &Value, is_affine: bool) -> Result<Value> {
    on_some(x, &those_with(&plan.colors), |x| {
        let (n, channels, height, width) = x.dims4()?;
        let maps = plan.colors.iter().flatten();
        let rows = maps.clone().flat_map(|map| &map.matrix[..channels]);
        let matrices: Vec<f32> = rows.flat_map(|row| &row[..channels]).copied().collect();
        let matrices = upload(matrices, (n, channels, channels), x.device())?;
        let transposed = matrices.transpose(1, 2)?.contiguous()?;
        let colors = x.reshape((n, channels, height * width))?;
        let mut y = colors.linear_map(
            |x| matrices.matmul(x),
            move |dy| transposed.matmul(&dy.contiguous()?),
        )?;
        if is_affine {
            let offsets = maps.flat_map(|map| map.offset[..channels].to_vec());
            let offsets = upload::<f32>(offsets.collect(), (n, channels, 1), x.device())?;
            y = y.broadcast_add(&offsets.into())?;
        }
        y.reshape((n, channels, height, width))
    })
}

fn filtered(plan: &Plan, x: &Value) -> Result<Value> {
    on_some(x, &those_with(&plan.filters), |x| {
        let (n, channels, height, width) = x.dims4()?;
        let planes = n * channels;
        let each = plan.filters.iter().flatten();
        let taps: Vec<f32> = each
            .flat_map(|taps| std::iter::repeat_n(taps, channels))
            .flat_map(|taps| taps.map(|tap| tap as f32))
            .collect();
        let taps = upload(taps, (planes, 1, TAPS, 1), x.device())?;
        let along = |x: &Value, taps: Tensor| {
            let options = Conv2dOptions {
                groups: planes,
                ..Default::default()
            };
            x.conv2d(&taps.into(), &options)
        };
        let y = padded(x, [PAD; 4])?;
        let y = y.reshape((1, planes, height + 2 * PAD, width + 2 * PAD))?;
        let y = along(&y, taps.clone())?;
        along(&y, taps.reshape((planes, 1, 1, TAPS))?)?.reshape((n, channels, height, width))
    })
}

fn noisy(plan: &Plan, x: &Value) -> Result<Value> {
    if plan.noise_stds.iter().all(|&std| std == 0.0) {
        return Ok(x.clone());
    }
    let size = x.elem_count() / plan.noise_stds.len();
    let images = plan.params.noise.chunks_exact(size).zip(&plan.noise_stds);
    let noise: Vec<f32> = images
        .flat_map(|(noise, std)| noise.iter().map(move |noise| noise * std))
        .collect();
    x.add(&upload(noise, x.shape().clone(), x.device())?.into())
}

fn cut_out(plan: &Plan, x: &Value) -> Result<Value> {
    on_some(x, &those_with(&plan.cutouts), |x| {
        let (n, _, height, width) = x.dims4()?;
        let cutouts = plan.cutouts.iter().flatten();
        let mask = |hidden: Vec<&[bool]>, shape| {
            let values = hidden.concat().into_iter();
            let values = values.map(|hidden| f32::from(u8::from(hidden)));
            upload::<f32>(values.collect(), shape, x.device())
        };
        let rows = cutouts.clone().map(|cutout| &cutout.rows[..]).collect();
        let columns = cutouts.map(|cutout| &cutout.columns[..]).collect();
        let rows = mask(rows, (n, 1, height, 1))?;
        let hidden = rows.broadcast_mul(&mask(columns, (n, 1, 1, width))?)?;
        let shown = hidden.affine(-1.0, 1.0)?;
        x.broadcast_mul(&shown.into())
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::pipe::Part;
    use crate::{AugPipe, AugmentPipe, Augmentation, BatchShape};

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        let d = (a - b).unwrap().abs().unwrap();
        d.flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    /// Checks that values and gradients equal those of the fused op, for batches in which a stage changes some images
    /// only.
    fn compare(pipe: &str, channels: usize, p: f64) {
        let shape = BatchShape {
            batch: 6,
            channels,
            height: 20,
            width: 24,
        };
        let mut random = rng::RandomState::new(7);
        let pipe = AugmentPipe::from(pipe.parse::<AugPipe>().unwrap());
        let params = pipe.draw(&mut random, p, shape).unwrap();
        let augmentation = Augmentation::new(params).unwrap();
        let n = 6 * channels * 20 * 24;
        let dims = (6, channels, 20, 24);
        let mut images = || {
            let values = random.randn(n).into_iter().map(|v| v as f32);
            Tensor::from_vec(values.collect::<Vec<_>>(), dims, &Device::Cpu).unwrap()
        };
        let (x, weights) = (Var::from_tensor(&images()).unwrap(), images());
        for part in [Part::Affine, Part::Linear] {
            let leaf = Value::from(x.as_tensor());
            let y = apply(&augmentation.plan, &leaf, part == Part::Affine).unwrap();
            let expected = augmentation.record(&leaf, part).unwrap();
            let difference = largest_difference(y.tensor(), expected.tensor());
            assert!(difference < 1e-4, "{difference}");
            let gradient = |y: Value| y.backward_from(&weights).unwrap().remove(&x).unwrap();
            let difference = largest_difference(&gradient(y), &gradient(expected));
            assert!(difference < 2e-4, "gradient {difference}");
        }
    }

    #[test]
    fn every_stage_is_that_of_the_fused_op() {
        for pipe in ["blit", "geom", "color", "filter", "noise", "cutout"] {
            compare(pipe, 3, 0.6);
        }
    }

    #[test]
    fn all_stages_together_are_the_fused_op() {
        compare("bgcfnc", 3, 0.5);
        compare("bgcfnc", 3, 1.0);
        compare("bgcfnc", 1, 0.7);
        compare("bg", 2, 0.7);
    }
}
