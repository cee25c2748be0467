//! 1x1 convolution with stride 1 and no padding: a matrix product per image, directly on the NCHW tensor.

use crate::geometry::{BatchStrides, ConvGeometry, Direction, Scales};
use crate::parallel::parallel;
use crate::scratch::{Shared, with_scratch};

/// Largest number of pixels that one task computes.
const TASK_PIXELS: usize = 2048;

/// Matrix product `c = a b`, or `c += a b` when `add`, with `a` of `[m, k]`, `b` of `[k, n]` and `c` of `[m, n]`;
/// strides are (row, column).
///
/// # Safety
/// `a`, `b` and `c` must be valid for matrices of these sizes and strides.
#[allow(clippy::too_many_arguments)]
unsafe fn product(
    (m, n, k): (usize, usize, usize),
    a: *const f32,
    a_strides: (usize, usize),
    b: *const f32,
    b_strides: (usize, usize),
    c: *mut f32,
    c_row_stride: usize,
    add: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            c_row_stride as isize,
            add,
            a,
            a_strides.1 as isize,
            a_strides.0 as isize,
            b,
            b_strides.1 as isize,
            b_strides.0 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// For every pixel, multiplies the channels of `x` by the weights (forward) or their transpose (input gradient).
///
/// For the input gradient, `dy` is passed as `x` and `dx` as `y`. `strides.x` is the batch stride of `x`, `strides.y`
/// that of `y`.
pub(crate) fn apply(
    g: &ConvGeometry,
    x: &[f32],
    weights: &[f32],
    direction: Direction,
    scales: Scales,
    strides: BatchStrides,
    y: Shared,
) {
    let pixels = g.h * g.w;
    let (outputs, channels) = match direction {
        Direction::Forward => (g.co, g.ci),
        Direction::InputGradient => (g.ci, g.co),
    };
    let chunks = pixels.div_ceil(TASK_PIXELS);
    parallel(g.n * chunks, |task| {
        let (image, first) = (task / chunks, task % chunks * TASK_PIXELS);
        let len = TASK_PIXELS.min(pixels - first);
        with_scratch(outputs * channels, |scaled| {
            for output in 0..outputs {
                let out_scale = g.gain as f32
                    * scales
                        .output
                        .map_or(1.0, |scale| scale[image * scale.len() / g.n + output]);
                for channel in 0..channels {
                    let weight = match direction {
                        Direction::Forward => weights[g.kernel_at(output, channel)],
                        Direction::InputGradient => weights[g.kernel_at(channel, output)],
                    };
                    let in_scale = scales
                        .input
                        .map_or(1.0, |scale| scale[image * scale.len() / g.n + channel]);
                    scaled[output * channels + channel] = weight * in_scale * out_scale;
                }
            }
            // SAFETY: each task writes its own pixels of its image.
            unsafe {
                let from = x[image * strides.x + first..].as_ptr();
                let to = y.at(image * strides.y + first);
                product(
                    (outputs, len, channels),
                    scaled.as_ptr(),
                    (channels, 1),
                    from,
                    (pixels, 1),
                    to,
                    pixels,
                    false,
                );
            }
        });
    });
}

/// Largest number of parts of the batch whose weight gradients are summed in parallel, then added. It does not depend
/// on the number of threads, so the result does not either.
const PARTIAL_SUMS: usize = 8;

/// The weight gradient of one group, summed over images and pixels. `dw` has the same order as the weights (see
/// [`ConvGeometry::swapped`]).
pub(crate) fn weight_gradient(
    g: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    scales: Scales,
    strides: BatchStrides,
    dw: &mut [f32],
) {
    let pixels = g.h * g.w;
    let parts = PARTIAL_SUMS.min(g.n);
    let size = g.co * g.ci;
    let mut sums = vec![0.0; parts * size];
    let to = Shared(sums.as_mut_ptr());
    parallel(parts, |part| {
        with_scratch(size, |one| {
            for image in part * g.n / parts..(part + 1) * g.n / parts {
                // SAFETY: each task adds to its own part.
                unsafe {
                    let dy = dy[image * strides.y..].as_ptr();
                    let x = x[image * strides.x..].as_ptr();
                    product(
                        (g.co, g.ci, pixels),
                        dy,
                        (pixels, 1),
                        x,
                        (1, pixels),
                        one.as_mut_ptr(),
                        g.ci,
                        false,
                    );
                    for output in 0..g.co {
                        let out_scale = g.gain as f32
                            * scales
                                .output
                                .map_or(1.0, |scale| scale[image * scale.len() / g.n + output]);
                        for channel in 0..g.ci {
                            let in_scale = scales
                                .input
                                .map_or(1.0, |scale| scale[image * scale.len() / g.n + channel]);
                            let at = output * g.ci + channel;
                            *to.at(part * size + at) += one[at] * out_scale * in_scale;
                        }
                    }
                }
            }
        });
    });
    dw.fill(0.0);
    for part in sums.chunks_exact(size) {
        for output in 0..g.co {
            for channel in 0..g.ci {
                dw[g.kernel_at(output, channel)] += part[output * g.ci + channel];
            }
        }
    }
}
