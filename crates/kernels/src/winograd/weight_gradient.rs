//! The gradient of a convolution with respect to its weights, by Winograd.

use super::points::{Source, batch_to_points};
use super::transform::{Transform, along_both_axes};
use crate::geometry::{BatchStrides, ConvGeometry, Scales};
use crate::layout::{Plane, Segment, segments};
use crate::matmul::{Outer, channels_outer};
use crate::parallel::parallel;
use crate::scratch::{Shared, with_scratch};
use crate::simd::{Isa, Simd, dispatch};

/// Target size of the points of `x` and `dy` that are in scratch at the same time, in f32 values.
const GRADIENT_SCRATCH: usize = 768 * 1024;

/// The weight gradient `[co, ci, 3, 3]` of one group: `x * scales.input` correlated with `dy * scales.output`, summed
/// over the images.
pub(crate) fn weight_gradient<T: Transform>(
    isa: Isa,
    g: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    scales: Scales,
    strides: BatchStrides,
    dw: &mut [f32],
) {
    assert_eq!(dw.len(), g.co * g.ci * 9);
    let lanes = isa.lanes();
    let (in_blocks, out_blocks) = (g.ci.div_ceil(lanes), g.co.div_ceil(lanes));
    let points = T::A * T::A;
    let (tile_rows, tiles_per_row) = (g.out_height().div_ceil(T::M), g.out_width().div_ceil(T::M));
    let total = g.n * tile_rows;
    let tiles = (GRADIENT_SCRATCH / (points * (in_blocks + out_blocks) * lanes)).clamp(64, 1024);
    let rows = (tiles / tiles_per_row).clamp(1, total);
    let (out_height, out_width) = (g.out_height(), g.out_width());
    let x_source = Source::inputs(g, x, strides, tiles_per_row, scales);
    let dy_source = Source {
        data: dy,
        batch_stride: strides.y,
        plane: Plane {
            channel_stride: out_height * out_width,
            channels: 0,
            height: out_height,
            width: out_width,
        },
        channels: g.co,
        padding: 0,
        input: false,
        scale: scales.output,
        ..x_source
    };
    let most_tiles = rows * tiles_per_row;
    let v_len = points * in_blocks * most_tiles * lanes;
    let z_len = points * out_blocks * most_tiles * lanes;
    let sum_len = points * out_blocks * in_blocks * lanes * lanes;
    with_scratch(v_len + z_len + sum_len, |scratch| {
        let (v, rest) = scratch.split_at_mut(v_len);
        let (z, sums) = rest.split_at_mut(z_len);
        sums.fill(0.0);
        let (v, z, sums) = (
            Shared(v.as_mut_ptr()),
            Shared(z.as_mut_ptr()),
            Shared(sums.as_mut_ptr()),
        );
        let mut row = 0;
        while row < total {
            let range = row..(row + rows).min(total);
            row = range.end;
            let tiles = range.len() * tiles_per_row;
            let segments = segments(range, tile_rows);
            parallel(in_blocks + out_blocks, |block| {
                let (source, block, to) = if block < in_blocks {
                    (&x_source, block, v)
                } else {
                    (&dy_source, block - in_blocks, z)
                };
                let edge_len = (rows * T::M + 2) * (tiles_per_row * T::M + 2) * lanes;
                with_scratch(edge_len, |edge| {
                    // SAFETY: each task writes the points of its own block.
                    unsafe {
                        points_task::<T>(isa, source, &segments, block, to.at(0), tiles, edge)
                    }
                });
            });
            let group = 4;
            let groups = out_blocks.div_ceil(group);
            parallel(points * groups, |task| {
                let (point, first) = (task / groups, task % groups * group);
                let blocks = group.min(out_blocks - first);
                // SAFETY: each task adds to its own sums; v and z are read only here.
                unsafe {
                    let product = Outer {
                        a: v.at(point * in_blocks * tiles * lanes),
                        a_block_stride: tiles * lanes,
                        a_row_stride: lanes,
                        channels: g.ci,
                        b: z.at((point * out_blocks + first) * tiles * lanes),
                        b_block_stride: tiles * lanes,
                        b_row_stride: lanes,
                        out_blocks: blocks,
                        rows: tiles,
                        c: sums.at((point * out_blocks + first) * in_blocks * lanes * lanes),
                        c_block_stride: in_blocks * lanes * lanes,
                    };
                    channels_outer(isa, product);
                }
            });
        }
        let dw = Shared(dw.as_mut_ptr());
        parallel(out_blocks, |block| {
            // SAFETY: each task writes the kernels of its own outputs.
            unsafe { kernel_gradient::<T>(isa, g, sums, block, dw) }
        });
    });
}

#[inline(always)]
unsafe fn points_task_body<S: Simd, T: Transform>(
    source: &Source,
    segments: &[Segment],
    block: usize,
    to: *mut f32,
    tiles: usize,
    edge: &mut [f32],
) {
    // SAFETY: passed on from the caller.
    unsafe { batch_to_points::<S, T>(source, segments, block, to, tiles, edge) }
}
dispatch!(unsafe fn points_task<T: Transform>(source: &Source, segments: &[Segment], block: usize, to: *mut f32, tiles: usize, edge: &mut [f32]) = points_task_body);

#[inline(always)]
unsafe fn kernel_gradient_body<S: Simd, T: Transform>(
    g: &ConvGeometry,
    sums: Shared,
    block: usize,
    dw: Shared,
) {
    let (in_channels, out_blocks) = (g.ci.next_multiple_of(S::LANES), g.co.div_ceil(S::LANES));
    let first = block * S::LANES;
    let lanes = S::LANES.min(g.co - first);
    let mut taps = [0.0f32; 9 * 16];
    for channel in 0..g.ci {
        // SAFETY: sums hold all points of this block; dw holds [co, ci, 3, 3].
        unsafe {
            let mut tile = [[S::zero(); 6]; 6];
            for row in 0..T::A {
                for column in 0..T::A {
                    let point = row * T::A + column;
                    tile[row][column] = S::load(
                        sums.at(((point * out_blocks + block) * in_channels + channel) * S::LANES),
                    );
                }
            }
            let tile = along_both_axes!(S, T::kernel_transposed::<S>, tile, T::A, 3);
            for row in 0..3 {
                for column in 0..3 {
                    S::store(
                        taps.as_mut_ptr().add((row * 3 + column) * S::LANES),
                        tile[row][column],
                    );
                }
            }
            for lane in 0..lanes {
                for tap in 0..9 {
                    *dw.at(((first + lane) * g.ci + channel) * 9 + tap) =
                        taps[tap * S::LANES + lane] * g.gain as f32;
                }
            }
        }
    }
}
dispatch!(unsafe fn kernel_gradient<T: Transform>(g: &ConvGeometry, sums: Shared, block: usize, dw: Shared) = kernel_gradient_body);
