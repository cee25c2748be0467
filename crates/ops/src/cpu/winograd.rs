//! Winograd convolution, 3x3 with stride 1: F(2x2, 3x3) and F(4x4, 3x3) (arXiv:1509.09308).
//!
//! Lanes are channels, so a transform is plain vector arithmetic on a tile and works for any image size. Forward and
//! input gradient share [`forward`]; [`weight_gradient`] uses the same points, F(3x3, 2x2) and F(3x3, 4x4).
//! Error against f64 (rms/rms): F2 3e-7, as a direct convolution; F4 1.6e-6.

use super::conv::ConvGeometry;
use super::layout::{Plane, Segment, Window, pack, segments, unpack};
use super::matmul::{Outer, Product, channels_outer, padded_rows, rows_times_weights};
use super::parallel::parallel;
use super::scratch::{Shared, uninit, with_scratch};
use super::simd::{Isa, Simd, dispatch};

/// Strides of the batches that a convolution reads and writes, so that one group of channels can be a part of them.
#[derive(Clone, Copy)]
pub(crate) struct BatchStrides {
    pub x: usize,
    pub y: usize,
}

/// One family of transforms, given by its one-dimensional matrices.
pub(crate) trait Transform: Sync {
    /// Outputs of a tile along one axis.
    const M: usize;
    /// Inputs of a tile along one axis, `M + 2`.
    const A: usize;

    /// `B^T d`: inputs to points.
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6];
    /// `A^T m`: points to outputs.
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6];
    /// `G k`: kernel to points.
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6];
    /// `A y`: output gradients to points, the transpose of `output`.
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6];
    /// `G^T m`: points to kernel gradients, the transpose of `kernel`.
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6];
}

/// F(2x2, 3x3), points 0, 1, -1, infinity: 2.25 times fewer multiplications.
pub(crate) struct F2;

// The caller enables the instruction set of S for all functions of both impls; nothing else is unsafe in them.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Transform for F2 {
    const M: usize = 2;
    const A: usize = 4;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                S::sub(d[0], d[2]),
                S::add(d[1], d[2]),
                S::sub(d[2], d[1]),
                S::sub(d[1], d[3]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                S::add(m[0], S::add(m[1], m[2])),
                S::sub(S::sub(m[1], m[2]), m[3]),
                z,
                z,
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let half = S::splat(0.5);
            let even = S::add(k[0], k[2]);
            let z = S::zero();
            [
                k[0],
                S::mul(half, S::add(even, k[1])),
                S::mul(half, S::sub(even, k[1])),
                k[2],
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                y[0],
                S::add(y[0], y[1]),
                S::sub(y[0], y[1]),
                S::sub(z, y[1]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let half = S::splat(0.5);
            let sum = S::mul(half, S::add(m[1], m[2]));
            let difference = S::mul(half, S::sub(m[1], m[2]));
            let z = S::zero();
            [S::add(m[0], sum), difference, S::add(sum, m[3]), z, z, z]
        }
    }
}

/// F(4x4, 3x3), points 0, 1, -1, 2, -2, infinity: 4 times fewer multiplications, 5 times the rounding error.
pub(crate) struct F4;

#[allow(clippy::undocumented_unsafe_blocks)]
impl Transform for F4 {
    const M: usize = 4;
    const A: usize = 6;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
            let t0 = S::sub(d[4], S::mul(four, d[2]));
            let t1 = S::sub(d[3], S::mul(four, d[1]));
            let t2 = S::sub(d[4], d[2]);
            let t3 = S::mul(two, S::sub(d[3], d[1]));
            [
                S::add(S::sub(S::mul(four, d[0]), S::mul(five, d[2])), d[4]),
                S::add(t0, t1),
                S::sub(t0, t1),
                S::add(t2, t3),
                S::sub(t2, t3),
                S::add(S::sub(S::mul(four, d[1]), S::mul(five, d[3])), d[5]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (s1, d1) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (s2, d2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            let z = S::zero();
            [
                S::add(m[0], S::add(s1, s2)),
                S::fma(S::splat(2.0), d2, d1),
                S::fma(S::splat(4.0), s2, s1),
                S::add(S::fma(S::splat(8.0), d2, d1), m[5]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let even = S::mul(S::splat(-1.0 / 6.0), S::add(k[0], k[2]));
            let odd = S::mul(S::splat(-1.0 / 6.0), k[1]);
            let far = S::fma(
                S::splat(1.0 / 24.0),
                k[0],
                S::mul(S::splat(1.0 / 6.0), k[2]),
            );
            let side = S::mul(S::splat(1.0 / 12.0), k[1]);
            [
                S::mul(S::splat(0.25), k[0]),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(far, side),
                S::sub(far, side),
                k[2],
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (even, odd) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
            let even2 = S::fma(S::splat(4.0), y[2], y[0]);
            let odd2 = S::fma(S::splat(2.0), y[1], S::mul(S::splat(8.0), y[3]));
            [
                y[0],
                S::add(even, odd),
                S::sub(even, odd),
                S::add(even2, odd2),
                S::sub(even2, odd2),
                y[3],
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (s1, d1) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (s2, d2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            let (sixth, twelfth, z) = (S::splat(1.0 / 6.0), S::splat(1.0 / 12.0), S::zero());
            let near = S::mul(sixth, s1);
            [
                S::sub(
                    S::fma(S::splat(1.0 / 24.0), s2, S::mul(S::splat(0.25), m[0])),
                    near,
                ),
                S::sub(S::mul(twelfth, d2), S::mul(sixth, d1)),
                S::add(S::sub(S::mul(sixth, s2), near), m[5]),
                z,
                z,
                z,
            ]
        }
    }
}

/// Applies a one-dimensional transform along both axes of a tile of at most 6x6 vectors.
macro_rules! along_both_axes {
    ($S:ident, $transform:path, $tile:ident, $from:expr, $to:expr) => {{
        let mut half = [[$S::zero(); 6]; 6];
        for column in 0..$from {
            let mut line = [$S::zero(); 6];
            for row in 0..$from {
                line[row] = $tile[row][column];
            }
            let points = $transform(&line);
            for row in 0..$to {
                half[row][column] = points[row];
            }
        }
        for row in 0..$to {
            half[row] = $transform(&half[row]);
        }
        half
    }};
}

/// Kernel transforms `[A * A][out block][in channel][lane]`, reusable for as long as the weights stay the same.
pub(crate) struct Weights {
    points: Vec<f32>,
    isa: Isa,
}

/// Which convolution the weights `[co, ci, 3, 3]` are for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Direction {
    Forward,
    /// From output gradients to input gradients: transposed and flipped.
    InputGradient,
}

/// Transforms `weights` for convolving with `co` outputs and `ci` inputs (of the direction asked for).
pub(crate) fn transform_weights<T: Transform>(
    isa: Isa,
    weights: &[f32],
    co: usize,
    ci: usize,
    gain: f32,
    direction: Direction,
) -> Weights {
    assert_eq!(weights.len(), co * ci * 9);
    let lanes = isa.lanes();
    let blocks = co.div_ceil(lanes);
    let mut points = uninit(T::A * T::A * blocks * ci * lanes);
    let to = Shared(points.as_mut_ptr());
    parallel(blocks, |block| {
        // SAFETY: each task writes its own output block.
        unsafe { kernel_block::<T>(isa, weights, co, ci, gain, direction, block, to) }
    });
    Weights { points, isa }
}

#[inline(always)]
unsafe fn kernel_block_body<S: Simd, T: Transform>(
    weights: &[f32],
    co: usize,
    ci: usize,
    gain: f32,
    direction: Direction,
    block: usize,
    to: Shared,
) {
    let first = block * S::LANES;
    let lanes = S::LANES.min(co - first);
    // Values from one output (a lane) and one input channel to the next.
    let (lane_stride, channel_stride) = match direction {
        Direction::Forward => (ci * 9, 9),
        Direction::InputGradient => (9, co * 9),
    };
    let point_stride = co.div_ceil(S::LANES) * ci * S::LANES;
    let mut gathered = [0.0f32; 9 * 16];
    for channel in 0..ci {
        for lane in 0..lanes {
            let from = &weights[(first + lane) * lane_stride + channel * channel_stride..][..9];
            for (tap, value) in from.iter().enumerate() {
                let tap = if direction == Direction::Forward {
                    tap
                } else {
                    8 - tap
                };
                gathered[tap * S::LANES + lane] = *value * gain;
            }
        }
        // SAFETY: `gathered` holds 9 vectors; the block and channel lie inside the points.
        unsafe {
            let mut tile = [[S::zero(); 6]; 6];
            for row in 0..3 {
                for column in 0..3 {
                    tile[row][column] =
                        S::load(gathered.as_ptr().add((row * 3 + column) * S::LANES));
                }
            }
            let points = along_both_axes!(S, T::kernel::<S>, tile, 3, T::A);
            let out = to.at((block * ci + channel) * S::LANES);
            for row in 0..T::A {
                for column in 0..T::A {
                    S::store(
                        out.add((row * T::A + column) * point_stride),
                        points[row][column],
                    );
                }
            }
        }
    }
}
dispatch!(unsafe fn kernel_block<T: Transform>(weights: &[f32], co: usize, ci: usize, gain: f32, direction: Direction, block: usize, to: Shared) = kernel_block_body);

/// Writes the points of `channels` of a batch to `points` as `[A * A][block][tile][lane]`, for one block.
///
/// `input` chooses between inputs (overlapping `A x A` tiles) and output gradients (`M x M` tiles).
#[inline(always)]
unsafe fn batch_to_points<S: Simd, T: Transform>(
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

/// A batch that is turned into points.
#[derive(Clone, Copy)]
struct Source<'a> {
    data: &'a [f32],
    batch_stride: usize,
    plane: Plane,
    channels: usize,
    padding: usize,
    tiles_per_row: usize,
    input: bool,
    /// A factor for each image and channel, `[n, channels padded to whole blocks]`.
    scale: Option<&'a [f32]>,
}

/// Factors for each image and channel, `[n, channels padded to whole blocks]`, applied to inputs and to outputs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scales<'a> {
    pub input: Option<&'a [f32]>,
    pub output: Option<&'a [f32]>,
}

/// Values of scratch that one forward task may take: it should stay in the second-level cache.
const FORWARD_SCRATCH: usize = 160 * 1024;

/// `y[n, co] = conv(x[n, ci] * scales.input, weights) * scales.output`, 3x3 with stride 1.
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
    // An even share for every thread.
    let rows = rows
        .min(total.div_ceil(rayon::current_num_threads()))
        .max(1);
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

/// Tile rows that one task convolves.
struct ForwardTask<'a> {
    g: &'a ConvGeometry,
    x: &'a [f32],
    weights: &'a Weights,
    scales: Scales<'a>,
    strides: BatchStrides,
    segments: &'a [Segment],
    tiles_per_row: usize,
    /// Tiles, padded for the product.
    padded: usize,
    row_offsets: &'a [usize],
}

/// Scratch that a task needs: points of the input, points of a group of output blocks, an image strip.
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

/// Output blocks whose points are in scratch at a time.
const OUT_GROUP: usize = 4;

// No closures below: a closure would be compiled without the instruction set of S.
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
    let source = Source {
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
    };
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

/// Values of points that one round of the weight gradient takes.
const GRADIENT_SCRATCH: usize = 768 * 1024;

/// `dw[co, ci, 3, 3] = sum over images of x * scales.input, correlated with dy * scales.output`.
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
    let x_source = Source {
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
    };
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
