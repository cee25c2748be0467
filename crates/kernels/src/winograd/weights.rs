//! Transforms kernels to points.

use super::transform::{Transform, along_both_axes};
use crate::geometry::Direction;
use crate::parallel::parallel;
use crate::scratch::{Shared, uninit};
use crate::simd::{Isa, Simd, dispatch};

/// Transformed kernels of one group, `[A * A][out block][in channel][lane]`; valid until the weights change.
pub(crate) struct Weights {
    pub(super) points: Vec<f32>,
    pub(super) isa: Isa,
}

/// Transforms the kernels of one group, times `gain`.
///
/// `co` and `ci` are the numbers of output and input channels of the computation in `direction`: for the input gradient
/// `ci` is the number of channels of `dy`.
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
    // SAFETY: every value is written below, before any is read.
    let mut points = unsafe { uninit(T::A * T::A * blocks * ci * lanes) };
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
    // Distance in `weights` from one output channel (a lane) to the next, and from one input channel to the next.
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
