//! Weights in the layout of the direct convolution.

use crate::geometry::{ConvGeometry, Direction};
use crate::parallel::parallel;
use crate::scratch::Shared;
use crate::simd::Isa;

/// Copies weights of one group, times the gain, to `[out block][tap][channel][lane]`; `taps` are indices into the
/// kernel, `ky * kw + kx`.
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

/// Packed weights of one group; valid until the weights change.
pub(crate) struct Weights {
    pub(super) phases: Vec<Phase>,
    pub(super) isa: Isa,
}

/// The kernel taps that contribute to one class of output pixels.
///
/// A convolution has one phase. In a transposed convolution of stride `s` the output pixels whose row and column
/// (before cropping by the padding) are congruent to `row` and `column` modulo `s` form one phase.
pub(super) struct Phase {
    /// Row and column of each tap in the packed input, relative to the base position.
    pub taps: Vec<(usize, usize)>,
    pub weights: Vec<f32>,
    /// Output row and column of this phase, modulo the stride.
    pub row: usize,
    pub column: usize,
}

impl Weights {
    /// Packs the weights of one group for `direction`.
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

/// Number of rows and columns of `dy` that one base position of the transposed convolution reads.
pub(super) fn transposed_reach(g: &ConvGeometry) -> (usize, usize) {
    (g.kh.div_ceil(g.stride), g.kw.div_ceil(g.stride))
}
