//! The direct gradient of a convolution with respect to its weights.

use crate::geometry::{BatchStrides, ConvGeometry, Scales};
use crate::layout::{Plane, Segment, Window, pack, segments};
use crate::matmul::{Outer, channels_outer};
use crate::parallel::parallel;
use crate::scratch::{Shared, with_scratch};
use crate::simd::{Isa, Simd, dispatch};

/// Target size of the rows of `x` and `dy` that are packed at the same time, in f32 values.
const GRADIENT_SCRATCH: usize = 512 * 1024;

/// The weight gradient of one group: `x * scales.input` correlated with `dy * scales.output`, summed over the images.
/// `dw` has the same order as the weights (see [`ConvGeometry::swapped`]).
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
    // Worst case: segments of one row, which pack kh input rows for every output row.
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

/// One channel block of one segment, to be copied to scratch.
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
