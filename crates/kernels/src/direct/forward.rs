//! The direct convolution and its transpose, the input gradient.

use super::weights::{Phase, Weights, transposed_reach};
use crate::geometry::{BatchStrides, ConvGeometry, Scales};
use crate::layout::{Plane, Segment, Window, pack, segments, unpack};
use crate::matmul::{Product, padded_rows, rows_times_weights};
use crate::parallel::{parallel, threads};
use crate::scratch::{Shared, with_scratch};
use crate::simd::{Isa, Simd, dispatch};

/// Target size of the packed input of one task, in f32 values.
const TASK_SCRATCH: usize = 192 * 1024;

/// A convolution or its transpose, computed as matrix products over a grid of base positions, the places of the kernel
/// window on the input.
///
/// Every image has `grid_rows x grid_columns` base positions. A convolution has one base position per output pixel and
/// one phase. A transposed convolution of stride `s` has `s * s` phases (see [`Phase`]): each base position yields one
/// output pixel per phase.
struct Plan<'a> {
    isa: Isa,
    data: &'a [f32],
    batch_stride: usize,
    channels: usize,
    height: usize,
    width: usize,
    /// Distance between neighboring base positions in the packed input, in rows and in columns.
    step: usize,
    /// Number of input rows and columns that one base position reads.
    reach: (usize, usize),
    /// First input row and column that the first base position reads; negative rows and columns are padding.
    origin: (isize, isize),
    grid_rows: usize,
    grid_columns: usize,
    phases: &'a [Phase],
    outputs: usize,
    out_height: usize,
    out_width: usize,
    /// Along each axis, base position `q` and a phase with [`Phase::row`] or [`Phase::column`] `r` yield the output row
    /// or column `q * out_step + r - out_origin`.
    out_step: usize,
    out_origin: usize,
    out_batch_stride: usize,
    scales: Scales<'a>,
}

/// `y = conv(x * scales.input, weights) * scales.output` for one group.
pub(crate) fn forward(
    g: &ConvGeometry,
    x: &[f32],
    weights: &Weights,
    scales: Scales,
    strides: BatchStrides,
    y: Shared,
) {
    let plan = Plan {
        isa: weights.isa,
        data: x,
        batch_stride: strides.x,
        channels: g.ci,
        height: g.h,
        width: g.w,
        step: g.stride,
        reach: (g.kh, g.kw),
        origin: (-(g.padding as isize), -(g.padding as isize)),
        grid_rows: g.out_height(),
        grid_columns: g.out_width(),
        phases: &weights.phases,
        outputs: g.co,
        out_height: g.out_height(),
        out_width: g.out_width(),
        out_step: 1,
        out_origin: 0,
        out_batch_stride: strides.y,
        scales,
    };
    run(&plan, g.n, y);
}

/// `dx = transposed_conv(dy * scales.input, weights) * scales.output` for one group.
///
/// `strides.x` is the batch stride of `dy`, `strides.y` that of `dx`.
pub(crate) fn input_gradient(
    g: &ConvGeometry,
    dy: &[f32],
    weights: &Weights,
    scales: Scales,
    strides: BatchStrides,
    dx: Shared,
) {
    let reach = transposed_reach(g);
    let plan = Plan {
        isa: weights.isa,
        data: dy,
        batch_stride: strides.x,
        channels: g.co,
        height: g.out_height(),
        width: g.out_width(),
        step: 1,
        reach,
        origin: (1 - reach.0 as isize, 1 - reach.1 as isize),
        grid_rows: (g.h + g.padding).div_ceil(g.stride),
        grid_columns: (g.w + g.padding).div_ceil(g.stride),
        phases: &weights.phases,
        outputs: g.ci,
        out_height: g.h,
        out_width: g.w,
        out_step: g.stride,
        out_origin: g.padding,
        out_batch_stride: strides.y,
        scales,
    };
    run(&plan, g.n, dx);
}

fn run(plan: &Plan, images: usize, y: Shared) {
    let lanes = plan.isa.lanes();
    let total = images * plan.grid_rows;
    let columns = (plan.grid_columns - 1) * plan.step + plan.reach.1;
    let row_len = plan.channels.next_multiple_of(lanes) * columns * plan.step;
    let rows = (TASK_SCRATCH / row_len)
        .max(48usize.div_ceil(plan.grid_columns))
        .min(256usize.div_ceil(plan.grid_columns));
    let rows = rows.min(total.div_ceil(threads())).max(1);
    parallel(total.div_ceil(rows), |task| {
        let segments = segments(task * rows..((task + 1) * rows).min(total), plan.grid_rows);
        prepare_and_run(plan, &segments, y);
    });
}

/// The rows of base positions that one task convolves, and their layout in scratch.
struct Task<'a> {
    plan: &'a Plan<'a>,
    segments: &'a [Segment],
    /// Number of columns of a packed row.
    columns: usize,
    /// Number of f32 values of one packed channel block.
    block_len: usize,
    /// Offset of the first value of each base position in a packed block, padded for [`rows_times_weights`].
    row_offsets: &'a [usize],
    /// For each phase, the offset of each tap relative to a base position.
    taps: &'a [Vec<usize>],
}

impl Plan<'_> {
    fn packed_rows(&self, segment: &Segment) -> usize {
        (segment.rows - 1) * self.step + self.reach.0
    }
}

fn prepare_and_run(plan: &Plan, segments: &[Segment], y: Shared) {
    let lanes = plan.isa.lanes();
    let columns = (plan.grid_columns - 1) * plan.step + plan.reach.1;
    let mut row_offsets = Vec::new();
    let mut block_len = 0;
    for segment in segments {
        for row in 0..segment.rows {
            for column in 0..plan.grid_columns {
                row_offsets.push(block_len + (row * columns + column) * plan.step * lanes);
            }
        }
        block_len += plan.packed_rows(segment) * columns * lanes;
    }
    let padded = padded_rows(row_offsets.len());
    row_offsets.resize(padded, 0);
    let taps: Vec<Vec<usize>> = plan
        .phases
        .iter()
        .map(|phase| {
            phase
                .taps
                .iter()
                .map(|(row, column)| (row * columns + column) * lanes)
                .collect()
        })
        .collect();

    let a_len = plan.channels.div_ceil(lanes) * block_len;
    let c_len = plan.phases.len() * OUT_GROUP * padded * lanes;
    let most_rows = segments.iter().map(|s| s.rows).max().unwrap_or(0);
    let out_len = most_rows * plan.out_step * plan.out_width * lanes;
    let task = Task {
        plan,
        segments,
        columns,
        block_len,
        row_offsets: &row_offsets,
        taps: &taps,
    };
    with_scratch(a_len + c_len + out_len, |scratch| {
        let (a, rest) = scratch.split_at_mut(a_len);
        let (c, out) = rest.split_at_mut(c_len);
        // SAFETY: each task writes the output rows of its own base rows.
        unsafe { run_task(plan.isa, &task, a, c, out, y) }
    });
}

/// Number of output channel blocks whose results are in scratch at the same time.
const OUT_GROUP: usize = 4;

// No closures below: a closure would be compiled without the CPU features of `S`.
#[inline(always)]
unsafe fn run_task_body<S: Simd>(
    task: &Task,
    a: &mut [f32],
    c: &mut [f32],
    out: &mut [f32],
    y: Shared,
) {
    let &Task {
        plan,
        segments,
        columns,
        block_len,
        row_offsets,
        taps,
    } = task;
    let in_blocks = plan.channels.div_ceil(S::LANES);
    let out_blocks = plan.outputs.div_ceil(S::LANES);
    let padded = row_offsets.len();
    let c_len = OUT_GROUP * padded * S::LANES;
    for block in 0..in_blocks {
        let channels = S::LANES.min(plan.channels - block * S::LANES);
        let plane = Plane {
            channel_stride: plan.height * plan.width,
            channels,
            height: plan.height,
            width: plan.width,
        };
        let mut base = block * block_len;
        for segment in segments {
            let window = Window {
                top: (segment.first_row * plan.step) as isize + plan.origin.0,
                rows: plan.packed_rows(segment),
                left: plan.origin.1,
                columns,
            };
            // SAFETY: `a` has a place for every segment of every block.
            unsafe {
                let from = plan.data.as_ptr().add(
                    segment.image * plan.batch_stride + block * S::LANES * plan.height * plan.width,
                );
                let scale = match plan.scales.input {
                    Some(scale) => scale
                        .as_ptr()
                        .add((segment.image * in_blocks + block) * S::LANES),
                    None => std::ptr::null(),
                };
                pack::<S>(from, plane, window, scale, a.as_mut_ptr().add(base));
            }
            base += plan.packed_rows(segment) * columns * S::LANES;
        }
    }
    let mut first = 0;
    while first < out_blocks {
        let blocks = OUT_GROUP.min(out_blocks - first);
        for (i, phase) in plan.phases.iter().enumerate() {
            let taps = &taps[i];
            let product = Product {
                a: a.as_ptr(),
                a_block_stride: block_len,
                row_offsets,
                taps,
                channels: plan.channels,
                b: phase.weights[first * taps.len() * plan.channels * S::LANES..].as_ptr(),
                out_blocks: blocks,
                c: c[i * c_len..].as_mut_ptr(),
                c_block_stride: padded * S::LANES,
            };
            // SAFETY: a, the weights and c hold what the product says.
            unsafe { rows_times_weights(S::ISA, product) };
        }
        for block in 0..blocks {
            // SAFETY: output rows of these base rows and channels belong to this task.
            unsafe {
                store_block::<S>(
                    plan,
                    segments,
                    first + block,
                    &c[block * padded * S::LANES..],
                    c_len,
                    out,
                    y,
                )
            };
        }
        first += blocks;
    }
}
dispatch!(unsafe fn run_task(task: &Task, a: &mut [f32], c: &mut [f32], out: &mut [f32], y: Shared) = run_task_body);

/// Interleaves the output pixels of all phases in one output channel block, applies the output scale and writes the
/// rows to `y`.
#[inline(always)]
unsafe fn store_block<S: Simd>(
    plan: &Plan,
    segments: &[Segment],
    block: usize,
    c: &[f32],
    phase_len: usize,
    out: &mut [f32],
    y: Shared,
) {
    let channel = block * S::LANES;
    let channels = S::LANES.min(plan.outputs - channel);
    let out_blocks = plan.outputs.div_ceil(S::LANES);
    let mut base = 0;
    for segment in segments {
        // Output rows of the segment; the first ones may be cropped by the padding.
        let top = (segment.first_row * plan.out_step) as isize - plan.out_origin as isize;
        let bottom = (top + (segment.rows * plan.out_step) as isize).min(plan.out_height as isize);
        let first = top.max(0);
        // SAFETY: indices stay inside the segment of c and inside the output rows `first..bottom`.
        unsafe {
            let scale = match plan.scales.output {
                Some(scale) => S::load(
                    scale
                        .as_ptr()
                        .add((segment.image * out_blocks + block) * S::LANES),
                ),
                None => S::splat(1.0),
            };
            for row in first..bottom {
                let (base_row, residue) = (
                    (row - top) as usize / plan.out_step,
                    (row - top) as usize % plan.out_step,
                );
                let to = out
                    .as_mut_ptr()
                    .add((row - first) as usize * plan.out_width * S::LANES);
                for phase in 0..plan.phases.len() {
                    if plan.phases[phase].row != residue {
                        continue;
                    }
                    let residue = plan.phases[phase].column;
                    let from = c
                        .as_ptr()
                        .add(phase * phase_len + (base + base_row * plan.grid_columns) * S::LANES);
                    for column in 0..plan.grid_columns {
                        let x =
                            (column * plan.out_step + residue) as isize - plan.out_origin as isize;
                        if x >= 0 && x < plan.out_width as isize {
                            let value = S::mul(S::load(from.add(column * S::LANES)), scale);
                            S::store(to.add(x as usize * S::LANES), value);
                        }
                    }
                }
            }
            if first < bottom {
                let len = (bottom - first) as usize * plan.out_width;
                let to = y.at(segment.image * plan.out_batch_stride
                    + (channel * plan.out_height + first as usize) * plan.out_width);
                unpack::<S>(
                    out.as_ptr(),
                    len,
                    channels,
                    plan.out_height * plan.out_width,
                    to,
                );
            }
        }
        base += segment.rows * plan.grid_columns;
    }
}
