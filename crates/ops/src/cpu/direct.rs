//! Convolution of any kernel and stride without an im2col matrix: taps are offsets into blocked scratch.
//!
//! [`forward`], [`input_gradient`] (a transposed convolution, one stride-1 product for each phase of the output grid)
//! and [`weight_gradient`].

use super::conv::ConvGeometry;
use super::layout::{Plane, Segment, Window, pack, segments, unpack};
use super::matmul::{Outer, Product, channels_outer, padded_rows, rows_times_weights};
use super::parallel::parallel;
use super::scratch::{Shared, with_scratch};
use super::simd::{Isa, Simd, dispatch};
use super::winograd::{BatchStrides, Direction, Scales};

/// Values of scratch that one task may take.
const TASK_SCRATCH: usize = 192 * 1024;

/// Weights `[co, ci, kh, kw]` as `[out block][tap][channel][lane]` with the taps asked for.
fn pack_weights(
    isa: Isa,
    weights: &[f32],
    g: &ConvGeometry,
    taps: &[usize],
    direction: Direction,
) -> Vec<f32> {
    let gain = g.gain as f32;
    let lanes = isa.lanes();
    let (outputs, channels) = match direction {
        Direction::Forward => (g.co, g.ci),
        Direction::InputGradient => (g.ci, g.co),
    };
    let blocks = outputs.div_ceil(lanes);
    let block_len = taps.len() * channels * lanes;
    let mut packed = vec![0.0; blocks * block_len];
    let to = Shared(packed.as_mut_ptr());
    parallel(blocks, |block| {
        for lane in 0..lanes.min(outputs - block * lanes) {
            let output = block * lanes + lane;
            for channel in 0..channels {
                let from = match direction {
                    Direction::Forward => g.kernel_at(output, channel),
                    Direction::InputGradient => g.kernel_at(channel, output),
                };
                for (i, &tap) in taps.iter().enumerate() {
                    // SAFETY: each task writes its own block.
                    unsafe {
                        *to.at(block * block_len + (i * channels + channel) * lanes + lane) =
                            weights[from + tap] * gain
                    };
                }
            }
        }
    });
    packed
}

/// Packed weights, reusable for as long as the weights stay the same.
pub(crate) struct Weights {
    phases: Vec<Phase>,
    isa: Isa,
}

/// One regular grid of results: taps, their weights, and where the results go.
struct Phase {
    /// Row and column offset of each tap in the packed input.
    taps: Vec<(usize, usize)>,
    weights: Vec<f32>,
    /// Residues of the output grid that this phase fills.
    row: usize,
    column: usize,
}

impl Weights {
    /// Packs the weights of one group.
    pub(crate) fn new(
        isa: Isa,
        weights: &[f32],
        g: &ConvGeometry,
        direction: Direction,
    ) -> Weights {
        if direction == Direction::Forward {
            let all: Vec<usize> = (0..g.kh * g.kw).collect();
            let taps = all.iter().map(|tap| (tap / g.kw, tap % g.kw)).collect();
            let weights = pack_weights(isa, weights, g, &all, direction);
            return Weights {
                phases: vec![Phase {
                    taps,
                    weights,
                    row: 0,
                    column: 0,
                }],
                isa,
            };
        }
        let reach = transposed_reach(g);
        let mut phases = Vec::new();
        for row in 0..g.stride {
            for column in 0..g.stride {
                let mut taps = Vec::new();
                let mut offsets = Vec::new();
                for (j, ky) in (row..g.kh).step_by(g.stride).enumerate() {
                    for (i, kx) in (column..g.kw).step_by(g.stride).enumerate() {
                        taps.push(ky * g.kw + kx);
                        offsets.push((reach.0 - 1 - j, reach.1 - 1 - i));
                    }
                }
                let weights = pack_weights(isa, weights, g, &taps, direction);
                phases.push(Phase {
                    taps: offsets,
                    weights,
                    row,
                    column,
                });
            }
        }
        Weights { phases, isa }
    }
}

/// Rows and columns of gradients that one base position of the transposed convolution sees.
fn transposed_reach(g: &ConvGeometry) -> (usize, usize) {
    (g.kh.div_ceil(g.stride), g.kw.div_ceil(g.stride))
}

/// A product over a grid of `grid_rows x grid_columns` base positions of every image.
struct Plan<'a> {
    isa: Isa,
    data: &'a [f32],
    batch_stride: usize,
    channels: usize,
    height: usize,
    width: usize,
    /// Rows (columns) of the packed input from one base position to the next.
    step: usize,
    /// Rows and columns of input that a base position reaches.
    reach: (usize, usize),
    /// Input row and column of base position 0.
    origin: (isize, isize),
    grid_rows: usize,
    grid_columns: usize,
    phases: &'a [Phase],
    outputs: usize,
    out_height: usize,
    out_width: usize,
    /// Output row of base position `q` and phase residue `r`: `q * out_step + r - out_origin`.
    out_step: usize,
    out_origin: usize,
    out_batch_stride: usize,
    scales: Scales<'a>,
}

/// `y = conv(x * scales.input, weights) * scales.output`.
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

/// `dx = transposed_conv(dy * scales.input, weights) * scales.output`; `strides.x` is that of dy, `strides.y` of dx.
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
    let rows = rows
        .min(total.div_ceil(rayon::current_num_threads()))
        .max(1);
    parallel(total.div_ceil(rows), |task| {
        let segments = segments(task * rows..((task + 1) * rows).min(total), plan.grid_rows);
        prepare_and_run(plan, &segments, y);
    });
}

/// Base rows that one task convolves, and how they lie in scratch.
struct Task<'a> {
    plan: &'a Plan<'a>,
    segments: &'a [Segment],
    /// Columns of a packed row.
    columns: usize,
    /// Values of one packed channel block.
    block_len: usize,
    /// Where each base position starts in a packed block.
    row_offsets: &'a [usize],
    /// Tap offsets of each phase.
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

/// Output blocks whose results are in scratch at a time.
const OUT_GROUP: usize = 4;

// No closures below: a closure would be compiled without the instruction set of S.
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

/// Interleaves the phases of one output block and writes its rows.
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
        // Output rows of the segment; the first ones may lie in the padding.
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

/// Values of scratch that one round of the weight gradient takes.
const GRADIENT_SCRATCH: usize = 512 * 1024;

/// `dw[co, ci, kh, kw] = sum over images of x * scales.input, correlated with dy * scales.output`.
pub(crate) fn weight_gradient(
    isa: Isa,
    g: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    scales: Scales,
    strides: BatchStrides,
    dw: &mut [f32],
) {
    let lanes = isa.lanes();
    let (in_blocks, out_blocks) = (g.ci.div_ceil(lanes), g.co.div_ceil(lanes));
    let (out_height, out_width) = (g.out_height(), g.out_width());
    let columns = (out_width - 1) * g.stride + g.kw;
    let kernel = g.kh * g.kw;
    let total = g.n * out_height;
    let row_len = (in_blocks * columns * g.stride + out_blocks * out_width) * lanes;
    let rows = (GRADIENT_SCRATCH / row_len).clamp(1, total);
    // A segment of one row each may pack kh input rows for every output row.
    let a_len = in_blocks * rows * (g.stride.max(g.kh)) * columns * lanes;
    let b_len = out_blocks * rows * out_width * lanes;
    let sum_block = in_blocks * lanes * lanes;
    with_scratch(a_len + b_len + kernel * out_blocks * sum_block, |scratch| {
        let (a, rest) = scratch.split_at_mut(a_len);
        let (b, sums) = rest.split_at_mut(b_len);
        sums.fill(0.0);
        let (a, b, sums) = (
            Shared(a.as_mut_ptr()),
            Shared(b.as_mut_ptr()),
            Shared(sums.as_mut_ptr()),
        );
        let mut row = 0;
        while row < total {
            let range = row..(row + rows).min(total);
            row = range.end;
            let segments = segments(range.clone(), out_height);
            let packed_rows = |s: &Segment| (s.rows - 1) * g.stride + g.kh;
            let a_block = segments
                .iter()
                .map(|s| packed_rows(s) * columns * lanes)
                .sum::<usize>();
            let b_block = range.len() * out_width * lanes;
            parallel(in_blocks + out_blocks, |block| {
                // SAFETY: each task fills its own block of a or b.
                unsafe {
                    let mut to = if block < in_blocks {
                        block * a_block
                    } else {
                        (block - in_blocks) * b_block
                    };
                    for s in &segments {
                        let task = if block < in_blocks {
                            PackTask {
                                data: x,
                                from: s.image * strides.x,
                                block,
                                channels: g.ci,
                                height: g.h,
                                width: g.w,
                                window: Window {
                                    top: (s.first_row * g.stride) as isize - g.padding as isize,
                                    rows: packed_rows(s),
                                    left: -(g.padding as isize),
                                    columns,
                                },
                                scale: scales
                                    .input
                                    .map(|scale| &scale[(s.image * in_blocks + block) * lanes..]),
                            }
                        } else {
                            let block = block - in_blocks;
                            PackTask {
                                data: dy,
                                from: s.image * strides.y,
                                block,
                                channels: g.co,
                                height: out_height,
                                width: out_width,
                                window: Window {
                                    top: s.first_row as isize,
                                    rows: s.rows,
                                    left: 0,
                                    columns: out_width,
                                },
                                scale: scales
                                    .output
                                    .map(|scale| &scale[(s.image * out_blocks + block) * lanes..]),
                            }
                        };
                        let len = task.window.rows * task.window.columns * lanes;
                        pack_task(
                            isa,
                            &task,
                            if block < in_blocks {
                                a.at(to)
                            } else {
                                b.at(to)
                            },
                        );
                        to += len;
                    }
                }
            });
            let group = 4;
            let groups = out_blocks.div_ceil(group);
            parallel(kernel * groups, |task| {
                let (tap, first) = (task / groups, task % groups * group);
                let blocks = group.min(out_blocks - first);
                let (ky, kx) = (tap / g.kw, tap % g.kw);
                let (mut a_base, mut b_base) = (0, 0);
                for s in &segments {
                    for row in 0..s.rows {
                        // SAFETY: each task adds to its own sums; a and b are only read here.
                        unsafe {
                            let product = Outer {
                                a: a.at(a_base + ((row * g.stride + ky) * columns + kx) * lanes),
                                a_block_stride: a_block,
                                a_row_stride: g.stride * lanes,
                                channels: g.ci,
                                b: b.at(first * b_block + b_base + row * out_width * lanes),
                                b_block_stride: b_block,
                                b_row_stride: lanes,
                                out_blocks: blocks,
                                rows: out_width,
                                c: sums.at((tap * out_blocks + first) * sum_block),
                                c_block_stride: sum_block,
                            };
                            channels_outer(isa, product);
                        }
                    }
                    a_base += packed_rows(s) * columns * lanes;
                    b_base += s.rows * out_width * lanes;
                }
            });
        }
        for output in 0..g.co {
            let (block, lane) = (output / lanes, output % lanes);
            for channel in 0..g.ci {
                for tap in 0..kernel {
                    // SAFETY: inside the sums of this output's block.
                    let sum = unsafe {
                        *sums.at((tap * out_blocks + block) * sum_block + channel * lanes + lane)
                    };
                    dw[g.kernel_at(output, channel) + tap] = sum * g.gain as f32;
                }
            }
        }
    });
}

/// One block of one segment to pack.
struct PackTask<'a> {
    data: &'a [f32],
    from: usize,
    block: usize,
    channels: usize,
    height: usize,
    width: usize,
    window: Window,
    scale: Option<&'a [f32]>,
}

#[inline(always)]
unsafe fn pack_task_body<S: Simd>(task: &PackTask, to: *mut f32) {
    let first = task.block * S::LANES;
    let plane = Plane {
        channel_stride: task.height * task.width,
        channels: S::LANES.min(task.channels - first),
        height: task.height,
        width: task.width,
    };
    let scale = task.scale.map_or(std::ptr::null(), <[f32]>::as_ptr);
    // SAFETY: passed on from the caller.
    unsafe {
        pack::<S>(
            task.data
                .as_ptr()
                .add(task.from + first * plane.channel_stride),
            plane,
            task.window,
            scale,
            to,
        )
    }
}
dispatch!(unsafe fn pack_task(task: &PackTask, to: *mut f32) = pack_task_body);
