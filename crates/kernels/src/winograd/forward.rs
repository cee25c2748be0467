//! The Winograd convolution, also used for the input gradient.

use super::points::{Source, batch_to_points};
use super::transform::{Transform, along_both_axes};
use super::weights::Weights;
use crate::geometry::{BatchStrides, ConvGeometry, Scales};
use crate::layout::{Segment, segments, unpack};
use crate::matmul::{Product, padded_rows, rows_times_weights};
use crate::parallel::{parallel, threads};
use crate::scratch::{Shared, with_scratch};
use crate::simd::{Isa, Simd, dispatch};

/// Target size of the transformed input of one task, in f32 values, chosen so that it stays in the L2 cache.
const FORWARD_SCRATCH: usize = 160 * 1024;

/// `y = conv(x * scales.input, weights) * scales.output` for one group, 3x3 with stride 1.
pub(crate) fn forward<T: Transform>(
    g: &ConvGeometry,
    x: &[f32],
    weights: &Weights,
    scales: Scales,
    strides: BatchStrides,
    y: Shared,
) {
    let isa = weights.isa;
    let lanes = isa.lanes();
    let (tile_rows, tiles_per_row) = (g.out_height().div_ceil(T::M), g.out_width().div_ceil(T::M));
    let in_channels = g.ci.next_multiple_of(lanes);
    let tiles = (FORWARD_SCRATCH / (T::A * T::A * in_channels)).clamp(48, 192);
    let total = g.n * tile_rows;
    let rows = (tiles / tiles_per_row).clamp(1, total);
    // At least one task for every thread.
    let rows = rows.min(total.div_ceil(threads())).max(1);
    parallel(total.div_ceil(rows), |task| {
        let range = task * rows..((task + 1) * rows).min(total);
        let segments = segments(range, tile_rows);
        let tiles: usize = segments.iter().map(|s| s.rows * tiles_per_row).sum();
        let padded = padded_rows(tiles);
        let row_offsets: Vec<usize> = (0..padded).map(|row| row * lanes).collect();
        let segments = &segments[..];
        let task = ForwardTask {
            g,
            x,
            weights,
            scales,
            strides,
            segments,
            tiles_per_row,
            padded,
            row_offsets: &row_offsets,
        };
        let [v_len, m_len, edge_len] = forward_scratch::<T>(isa, &task);
        with_scratch(v_len + m_len + edge_len, |scratch| {
            let (v, rest) = scratch.split_at_mut(v_len);
            let (m, edge) = rest.split_at_mut(m_len);
            // SAFETY: each task writes its own tile rows of y.
            unsafe { forward_task::<T>(isa, &task, v, m, edge, y) }
        });
    });
}

/// The rows of tiles that one task convolves.
struct ForwardTask<'a> {
    g: &'a ConvGeometry,
    x: &'a [f32],
    weights: &'a Weights,
    scales: Scales<'a>,
    strides: BatchStrides,
    segments: &'a [Segment],
    tiles_per_row: usize,
    /// Number of tiles, padded for [`rows_times_weights`].
    padded: usize,
    row_offsets: &'a [usize],
}

/// Lengths of a task's scratch buffers: the transformed input, the transformed results of [`OUT_GROUP`] channel blocks,
/// and the pixels of one segment in one channel block.
fn forward_scratch<T: Transform>(isa: Isa, task: &ForwardTask) -> [usize; 3] {
    let lanes = isa.lanes();
    let points = T::A * T::A;
    let most_rows = task.segments.iter().map(|s| s.rows).max().unwrap_or(0);
    [
        points * task.g.ci.next_multiple_of(lanes) * task.padded,
        points * OUT_GROUP * task.padded * lanes,
        (most_rows * T::M + 2) * (task.tiles_per_row * T::M + 2) * lanes,
    ]
}

/// Number of output channel blocks whose transformed results are in scratch at the same time.
const OUT_GROUP: usize = 4;

// No closures below: a closure would be compiled without the CPU features of `S`.
#[inline(always)]
unsafe fn forward_task_body<S: Simd, T: Transform>(
    task: &ForwardTask,
    v: &mut [f32],
    m: &mut [f32],
    edge: &mut [f32],
    y: Shared,
) {
    let &ForwardTask {
        g,
        x,
        weights,
        scales,
        strides,
        segments,
        tiles_per_row,
        padded,
        row_offsets,
    } = task;
    let in_blocks = g.ci.div_ceil(S::LANES);
    let out_blocks = g.co.div_ceil(S::LANES);
    let (out_height, out_width) = (g.out_height(), g.out_width());
    let group = OUT_GROUP;
    let points = T::A * T::A;
    let source = Source::inputs(g, x, strides, tiles_per_row, scales);
    for block in 0..in_blocks {
        // SAFETY: v holds all points of all blocks.
        unsafe { batch_to_points::<S, T>(&source, segments, block, v.as_mut_ptr(), padded, edge) };
    }
    let mut first = 0;
    while first < out_blocks {
        let blocks = group.min(out_blocks - first);
        for point in 0..points {
            let product = Product {
                a: v[point * in_blocks * padded * S::LANES..].as_ptr(),
                a_block_stride: padded * S::LANES,
                row_offsets,
                taps: &[0],
                channels: g.ci,
                b: weights.points[(point * out_blocks + first) * g.ci * S::LANES..].as_ptr(),
                out_blocks: blocks,
                c: m[point * group * padded * S::LANES..].as_mut_ptr(),
                c_block_stride: padded * S::LANES,
            };
            // SAFETY: v, the weights and m hold what the product says.
            unsafe { rows_times_weights(S::ISA, product) };
        }
        for block in 0..blocks {
            let channel = (first + block) * S::LANES;
            let channels = S::LANES.min(g.co - channel);
            let mut index = 0;
            for segment in segments {
                let top = segment.first_row * T::M;
                let height = (segment.rows * T::M).min(out_height - top);
                // SAFETY: the segment's rows of these channels of y belong to this task.
                unsafe {
                    let scale = match scales.output {
                        Some(scale) => S::load(
                            scale
                                .as_ptr()
                                .add((segment.image * out_blocks + first + block) * S::LANES),
                        ),
                        None => S::splat(1.0),
                    };
                    for tile_row in 0..segment.rows {
                        for tile_column in 0..tiles_per_row {
                            let from = m.as_ptr().add((block * padded + index) * S::LANES);
                            index += 1;
                            let mut tile = [[S::zero(); 6]; 6];
                            for row in 0..T::A {
                                for column in 0..T::A {
                                    tile[row][column] = S::load(
                                        from.add((row * T::A + column) * group * padded * S::LANES),
                                    );
                                }
                            }
                            let tile = along_both_axes!(S, T::output::<S>, tile, T::A, T::M);
                            for row in 0..T::M.min(height - tile_row * T::M) {
                                for column in 0..T::M.min(out_width - tile_column * T::M) {
                                    let pixel = (tile_row * T::M + row) * out_width
                                        + tile_column * T::M
                                        + column;
                                    S::store(
                                        edge.as_mut_ptr().add(pixel * S::LANES),
                                        S::mul(tile[row][column], scale),
                                    );
                                }
                            }
                        }
                    }
                    let to =
                        y.at(segment.image * strides.y + (channel * out_height + top) * out_width);
                    unpack::<S>(
                        edge.as_ptr(),
                        height * out_width,
                        channels,
                        out_height * out_width,
                        to,
                    );
                }
            }
        }
        first += blocks;
    }
}
dispatch!(unsafe fn forward_task<T: Transform>(task: &ForwardTask, v: &mut [f32], m: &mut [f32], edge: &mut [f32], y: Shared) = forward_task_body);
