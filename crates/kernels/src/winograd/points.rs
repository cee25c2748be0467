//! Transforms images and output gradients to points.

use super::transform::{Transform, along_both_axes};
use crate::geometry::{BatchStrides, ConvGeometry, Scales};
use crate::layout::{Plane, Segment, Window, pack};
use crate::simd::Simd;

/// Transforms one channel block of the images in `segments` and writes it to `points`, `[A * A][block][tile][lane]`.
///
/// `tiles` is the number of tiles in `points`; `edge` is scratch memory for the pixels of one segment. Inputs
/// (`source.input` is true) are cut into overlapping tiles of `A x A` pixels, output gradients into tiles of `M x M`
/// pixels.
///
/// # Safety
/// `points` and `edge` must be large enough for all tiles of the segments.
#[inline(always)]
pub(super) unsafe fn batch_to_points<S: Simd, T: Transform>(
    source: &Source,
    segments: &[Segment],
    block: usize,
    points: *mut f32,
    tiles: usize,
    edge: &mut [f32],
) {
    let Source {
        data,
        batch_stride,
        plane,
        channels,
        padding,
        tiles_per_row,
        input,
        scale,
    } = *source;
    let blocks = channels.div_ceil(S::LANES);
    let point_stride = blocks * tiles * S::LANES;
    let size = if input { T::A } else { T::M };
    let mut index = 0;
    for segment in segments {
        let window = Window {
            top: (segment.first_row * T::M) as isize - padding as isize,
            rows: segment.rows * T::M + size - T::M,
            left: -(padding as isize),
            columns: tiles_per_row * T::M + size - T::M,
        };
        let first = block * S::LANES;
        let plane = Plane {
            channels: S::LANES.min(channels - first),
            ..plane
        };
        // SAFETY: `edge` and `points` were sized for the whole task by the caller; the source is a whole batch.
        unsafe {
            let from = data
                .as_ptr()
                .add(segment.image * batch_stride + first * plane.channel_stride);
            let scale = match scale {
                Some(scale) => scale
                    .as_ptr()
                    .add(segment.image * blocks * S::LANES + first),
                None => std::ptr::null(),
            };
            pack::<S>(from, plane, window, scale, edge.as_mut_ptr());
            for tile_row in 0..segment.rows {
                for tile_column in 0..tiles_per_row {
                    let at = edge
                        .as_ptr()
                        .add((tile_row * T::M * window.columns + tile_column * T::M) * S::LANES);
                    let mut tile = [[S::zero(); 6]; 6];
                    for row in 0..size {
                        for column in 0..size {
                            tile[row][column] =
                                S::load(at.add((row * window.columns + column) * S::LANES));
                        }
                    }
                    let tile = if input {
                        along_both_axes!(S, T::input::<S>, tile, T::A, T::A)
                    } else {
                        along_both_axes!(S, T::output_transposed::<S>, tile, T::M, T::A)
                    };
                    let out = points.add((block * tiles + index) * S::LANES);
                    index += 1;
                    for row in 0..T::A {
                        for column in 0..T::A {
                            S::store(
                                out.add((row * T::A + column) * point_stride),
                                tile[row][column],
                            );
                        }
                    }
                }
            }
        }
    }
}

/// A batch of images that is transformed to points.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub data: &'a [f32],
    pub batch_stride: usize,
    pub plane: Plane,
    pub channels: usize,
    pub padding: usize,
    pub tiles_per_row: usize,
    pub input: bool,
    /// Factors of [`Scales`] for each image and channel, `[n, channels padded to whole blocks]`.
    pub scale: Option<&'a [f32]>,
}

impl<'a> Source<'a> {
    /// The input `x` of a convolution.
    pub fn inputs(
        g: &ConvGeometry,
        x: &'a [f32],
        strides: BatchStrides,
        tiles_per_row: usize,
        scales: Scales<'a>,
    ) -> Self {
        Self {
            data: x,
            batch_stride: strides.x,
            plane: Plane {
                channel_stride: g.h * g.w,
                channels: 0,
                height: g.h,
                width: g.w,
            },
            channels: g.ci,
            padding: g.padding,
            tiles_per_row,
            input: true,
            scale: scales.input,
        }
    }
}
