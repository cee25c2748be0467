//! The pipe: one differentiable op that augments each image of a batch by its drawn parameters.
//!
//! For fixed parameters the pipe is affine in the images, `y = L x + b`. Its gradient is the adjoint of `L`, and the
//! tangent of a [`Dual`] is mapped by `L` itself, so all derivatives are exact, including those of gradient penalties.
//! On a CPU one task per image computes all stages while the image is in the cache; an image that no transform changes
//! is copied. On a GPU the same stages are a chain of tensor ops (`composed`).

mod composed;

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType, bail};
use ops::{Dual, Value};
use rayon::prelude::*;

use crate::color::{ColorMap, color_maps};
use crate::filter::{TAPS, filter_plane, filter_plane_adjoint, filters};
use crate::geometry::Geometry;
use crate::warp::Warp;
use crate::{AugPipe, AugmentError, AugmentParams, BatchShape, RandomSource, Ranges, Transform};

/// The strengths of the transforms and the ranges of their parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AugmentPipe {
    /// The strength of each transform.
    pub transforms: AugPipe,
    /// The ranges of the parameters.
    pub ranges: Ranges,
}

impl From<AugPipe> for AugmentPipe {
    fn from(transforms: AugPipe) -> Self {
        let ranges = Ranges::default();
        Self { transforms, ranges }
    }
}

impl AugmentPipe {
    /// Draws the random parameters for a batch; each transform is applied with probability `p` times its strength.
    ///
    /// # Errors
    /// When `p` is negative or not finite, or `source` is a recording with other draws.
    pub fn draw<R: RandomSource>(
        &self,
        source: &mut R,
        p: f64,
        shape: BatchShape,
    ) -> Result<AugmentParams, AugmentError> {
        AugmentParams::random(&self.transforms, &self.ranges, source, p, shape)
    }

    /// Parameters that apply every transform that is on to every image, at one percentile (0 to 1) of its distribution.
    /// Only the noise is random.
    ///
    /// As in NVIDIA's code, a normal parameter is `erfinv(2 percentile - 1)` times its standard deviation, without the
    /// factor sqrt(2) of a true percentile.
    ///
    /// # Errors
    /// When `percentile` is outside 0 to 1, or `source` is a recording with other draws.
    pub fn at_percentile<R: RandomSource>(
        &self,
        source: &mut R,
        percentile: f64,
        shape: BatchShape,
    ) -> Result<AugmentParams, AugmentError> {
        AugmentParams::percentile(&self.transforms, &self.ranges, source, percentile, shape)
    }
}

impl BatchShape {
    /// The shape of a tensor `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// When `x` is not 4-D.
    pub fn of(x: &Tensor) -> candle_core::Result<Self> {
        let (batch, channels, height, width) = x.dims4()?;
        Ok(Self {
            batch,
            channels,
            height,
            width,
        })
    }
}

/// An augmentation with fixed parameters, which can be applied any number of times.
#[derive(Clone, Debug)]
pub struct Augmentation {
    plan: Arc<Plan>,
}

impl Augmentation {
    /// Computes geometric maps, color maps, filters and rectangles from the parameters.
    ///
    /// # Errors
    /// When the images are smaller than 2x2, or a color transform is on and they have neither 1 nor 3 channels.
    pub fn new(params: AugmentParams) -> Result<Self, AugmentError> {
        let plan = Arc::new(Plan::new(params)?);
        Ok(Self { plan })
    }

    /// Augments images with values in -1..1. The linear part of the pipe maps their tangent, if they have one.
    ///
    /// # Shapes
    /// - `x` and result: `[batch, channels, height, width]`, the shape that the parameters were drawn for; f32 or f64
    ///
    /// # Errors
    /// When `x` has another shape than the parameters were drawn for.
    pub fn apply(&self, x: &Dual) -> candle_core::Result<Dual> {
        let tangent = x
            .tangent
            .as_ref()
            .map(|t| self.record(t, Part::Linear))
            .transpose()?;
        Ok(Dual {
            primal: self.record(&x.primal, Part::Affine)?,
            tangent,
        })
    }

    /// Applies only the linear part `L` of the pipe, which maps a difference of two images to the difference of the
    /// results. On a CPU the result is part of candle's graph.
    ///
    /// # Errors
    /// Same as for [`Self::apply`].
    pub fn apply_linear(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match x.device().is_cuda() {
            true => Ok(self.record(&x.into(), Part::Linear)?.into_tensor()),
            false => self.run(x, Part::Linear),
        }
    }

    fn record(&self, x: &Value, part: Part) -> candle_core::Result<Value> {
        self.check(x.tensor())?;
        if x.device().is_cuda() {
            return composed::apply(&self.plan, x, part == Part::Affine);
        }
        let pipe = self.clone();
        x.linear_map(|x| self.run(x, part), move |dy| pipe.run(dy, Part::Adjoint))
    }

    /// The number of reflected pixels that the geometric stage adds: left, right, top, bottom; `None` when it is off.
    pub fn margin(&self) -> Option<[usize; 4]> {
        self.plan.geometry.as_ref().map(|g| g.margin)
    }

    /// The `theta` of [`ops::affine_grid`] with which the geometric stage warps an image; `None` where it changes
    /// nothing.
    pub fn theta(&self, image: usize) -> Option<[[f32; 3]; 2]> {
        let map = self.plan.geometry.as_ref()?.maps.get(image)?;
        map.as_ref().map(|map| map.theta)
    }

    fn check(&self, x: &Tensor) -> candle_core::Result<()> {
        let shape = self.plan.params.shape;
        if BatchShape::of(x)? != shape {
            bail!(
                "augment: images are {:?} but the draws are for {shape:?}",
                x.shape()
            );
        }
        Ok(())
    }

    fn run(&self, x: &Tensor, part: Part) -> candle_core::Result<Tensor> {
        let shape = self.plan.params.shape;
        if (0..shape.batch).all(|image| self.plan.is_identity(image)) {
            return Ok(x.clone());
        }
        let plan = self.plan.clone();
        x.contiguous()?.apply_op1(PipeOp { plan, part })
    }
}

/// The columns and rows of the cut-out rectangle; pixels where both are true are set to 0.
#[derive(Clone, Debug)]
struct Cutout {
    columns: Vec<bool>,
    rows: Vec<bool>,
}

/// Everything that is computed from the parameters; the vectors have one entry per image.
#[derive(Debug)]
struct Plan {
    params: AugmentParams,
    geometry: Option<Geometry>,
    colors: Vec<Option<ColorMap>>,
    filters: Vec<Option<[f64; TAPS]>>,
    noise_stds: Vec<f32>,
    cutouts: Vec<Option<Cutout>>,
}

impl Plan {
    fn new(params: AugmentParams) -> Result<Self, AugmentError> {
        let BatchShape {
            batch,
            channels,
            height,
            width,
        } = params.shape;
        if height < 2 || width < 2 {
            return Err(AugmentError::TooSmall { width, height });
        }
        let colors = color_maps(&params);
        if colors.iter().any(Option::is_some) && channels != 1 && channels != 3 {
            return Err(AugmentError::Channels(channels));
        }
        let noise = params.of(Transform::Noise).next();
        let noise_stds = (0..batch).map(|image| noise.map_or(0.0, |draw| draw.of(image)[0]));
        let cutout = params.of(Transform::Cutout).next();
        let cutouts = (0..batch).map(|image| {
            let size = cutout?.of(image);
            let center = params.cutout_centers[image];
            // True for pixels whose center is less than half a side from the center of the rectangle.
            let hidden = |axis: usize, len: usize| -> Vec<bool> {
                let place = |i: usize| (i as f32 + 0.5) / len as f32;
                (0..len)
                    .map(|i| (place(i) - center[axis]).abs() < size[axis] / 2.0)
                    .collect()
            };
            (size != [0.0, 0.0]).then(|| Cutout {
                columns: hidden(0, width),
                rows: hidden(1, height),
            })
        });
        Ok(Plan {
            geometry: Geometry::new(&params),
            filters: filters(&params),
            noise_stds: noise_stds.collect(),
            cutouts: cutouts.collect(),
            colors,
            params,
        })
    }

    fn is_identity(&self, image: usize) -> bool {
        self.warp(image).is_none()
            && self.colors[image].is_none()
            && self.filters[image].is_none()
            && self.noise_stds[image] == 0.0
            && self.cutouts[image].is_none()
    }

    fn warp(&self, image: usize) -> Option<Warp<'_>> {
        let geometry = self.geometry.as_ref()?;
        Some(Warp {
            width: self.params.shape.width,
            height: self.params.shape.height,
            margin: geometry.margin,
            map: geometry.maps[image].as_ref()?,
        })
    }

    /// Computes `y = L x + b` for one image, or `y = L x` for [`Part::Linear`].
    fn forward<T: WithDType>(&self, image: usize, x: &[T], y: &mut [T], part: Part) {
        match self.warp(image) {
            Some(warp) => warp.forward(x, y),
            None => y.copy_from_slice(x),
        }
        let width = self.params.shape.width;
        let pixels = width * self.params.shape.height;
        let is_affine = part == Part::Affine;
        if let Some(map) = &self.colors[image] {
            recolor(map, y, pixels, false, is_affine);
        }
        if let Some(taps) = &self.filters[image] {
            for plane in y.chunks_exact_mut(pixels) {
                filter_plane(taps, plane, width);
            }
        }
        let std = self.noise_stds[image];
        if is_affine && std != 0.0 {
            let noise = &self.params.noise[image * y.len()..(image + 1) * y.len()];
            for (y, noise) in y.iter_mut().zip(noise) {
                *y += T::from_f64(f64::from(noise * std));
            }
        }
        self.cut_out(image, y);
    }

    /// Computes `dx = L^T dy` for one image, the gradient with respect to the input.
    fn adjoint<T: WithDType>(&self, image: usize, dy: &[T], dx: &mut [T]) {
        let mut gradient = dy.to_vec();
        self.cut_out(image, &mut gradient);
        let width = self.params.shape.width;
        let pixels = width * self.params.shape.height;
        if let Some(taps) = &self.filters[image] {
            for plane in gradient.chunks_exact_mut(pixels) {
                filter_plane_adjoint(taps, plane, width);
            }
        }
        if let Some(map) = &self.colors[image] {
            recolor(map, &mut gradient, pixels, true, false);
        }
        match self.warp(image) {
            Some(warp) => warp.adjoint(&gradient, dx),
            None => dx.copy_from_slice(&gradient),
        }
    }

    fn cut_out<T: WithDType>(&self, image: usize, x: &mut [T]) {
        let Some(cutout) = &self.cutouts[image] else {
            return;
        };
        let width = cutout.columns.len();
        for (i, row) in x.chunks_exact_mut(width).enumerate() {
            if cutout.rows[i % cutout.rows.len()] {
                for (value, hidden) in row.iter_mut().zip(&cutout.columns) {
                    if *hidden {
                        *value = T::zero();
                    }
                }
            }
        }
    }
}

/// Maps the colors of an image in place. `pixels` is the number of pixels of the image; `transposed` uses the transpose
/// of the matrix; `affine` adds the offset.
fn recolor<T: WithDType>(
    map: &ColorMap,
    x: &mut [T],
    pixels: usize,
    transposed: bool,
    affine: bool,
) {
    let number = |value: f32| T::from_f64(f64::from(value));
    let m: [[T; 3]; 3] = std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            number(if transposed {
                map.matrix[j][i]
            } else {
                map.matrix[i][j]
            })
        })
    });
    let offset = map
        .offset
        .map(|b| if affine { number(b) } else { T::zero() });
    let (red, rest) = x.split_at_mut(pixels);
    if rest.is_empty() {
        for value in red {
            *value = m[0][0] * *value + offset[0];
        }
        return;
    }
    let (green, blue) = rest.split_at_mut(pixels);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let rgb = [*r, *g, *b];
        for (out, (m, offset)) in [r, g, b].into_iter().zip(m.iter().zip(offset)) {
            *out = m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + offset;
        }
    }
}

/// The part of the affine pipe `L x + b` that an op computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `L x + b`
    Affine,
    /// `L x`
    Linear,
    /// `L^T x`
    Adjoint,
}

/// The pipe as an op of candle's graph; its gradients are other parts of the same pipe.
struct PipeOp {
    plan: Arc<Plan>,
    part: Part,
}

impl PipeOp {
    fn run<T: WithDType>(&self, x: &[T]) -> Vec<T> {
        let mut y = vec![T::zero(); x.len()];
        let size = x.len() / self.plan.params.shape.batch;
        let images = y.par_chunks_exact_mut(size).zip(x.par_chunks_exact(size));
        images
            .enumerate()
            .for_each(|(image, (y, x))| match self.part {
                Part::Adjoint => self.plan.adjoint(image, x, y),
                part => self.plan.forward(image, x, y, part),
            });
        y
    }
}

impl CustomOp1 for PipeOp {
    fn name(&self) -> &'static str {
        "augment"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("augment: the images are not contiguous");
        };
        let y = match storage {
            CpuStorage::F32(x) => CpuStorage::F32(self.run(&x[start..end])),
            CpuStorage::F64(x) => CpuStorage::F64(self.run(&x[start..end])),
            _ => bail!("augment: images must be f32 or f64"),
        };
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let part = match self.part {
            Part::Affine | Part::Linear => Part::Adjoint,
            Part::Adjoint => Part::Linear,
        };
        let plan = self.plan.clone();
        Ok(Some(dy.contiguous()?.apply_op1(PipeOp { plan, part })?))
    }
}
