//! SIMD evaluation of LBP cascades of stumps: classifies 32 windows of a row at a time with AVX-512, 16 with AVX2.
//!
//! Neighboring windows are in neighboring lanes, so that the values at one cell corner of all windows are read by one
//! contiguous load. At scales where only every second column has a window, each row of the integral image stores its
//! even columns before its odd ones for the same reason. Integral images have 16 bits: the sum of a cell is correct in
//! wrapping arithmetic as long as the cell has at most 257 pixels. Leaf values are added in f64 in the order of the
//! trees, so the result equals that of the evaluation of single windows.

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use super::model::{Model, Test};
use super::window::{Evaluator, LBP_ORDER, lbp_corners};

/// Instruction sets that this evaluation is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Avx2,
    Avx512,
}

impl Isa {
    /// The instruction sets that this machine supports, the fastest last.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            let has_avx2 = is_x86_feature_detected!("avx2");
            return [(Self::Avx2, has_avx2), (Self::Avx512, has_avx512)]
                .into_iter()
                .filter_map(|(isa, has)| has.then_some(isa))
                .collect();
        }
        #[allow(unreachable_code)]
        Vec::new()
    }
}

/// Largest number of lanes of any instruction set; the integral image is padded by this many values.
const MOST_LANES: usize = 32;
/// Largest number of pixels in a cell whose sum cannot overflow 16 bits.
const MAX_CELL: usize = 65535 / 255;
/// When at most this many windows of a vector have passed the stages so far, they are classified one at a time, which
/// is faster.
const FEW: u32 = 2;

/// A tree of one node with two leaves.
struct Stump {
    /// Offsets of the 16 cell corners from the window's origin: `[0]` if every column has a window, `[1]` if every
    /// second one has (the integral image then stores its even columns first).
    corners: [[u32; 16]; 2],
    /// One bit for each of the 256 LBP patterns, set when a window of this pattern takes the left leaf.
    patterns: [u16; 16],
    left: f64,
    right: f64,
}

struct Stage {
    stumps: Range<usize>,
    threshold: f64,
}

/// Evaluates an LBP cascade of stumps on many windows at a time.
pub(super) struct LbpLanes {
    isa: Isa,
    stumps: Vec<Stump>,
    stages: Vec<Stage>,
    /// For each of the two lists of offsets in [`Stump::corners`], the largest offset in any stump.
    reach: [usize; 2],
    stride: usize,
    step: usize,
    sums: Vec<u16>,
    line: Vec<u16>,
    passed: Vec<u32>,
}

impl LbpLanes {
    /// Prepares a cascade; `None` when a tree has more than one node or a cell more than [`MAX_CELL`] pixels.
    ///
    /// `columns` and `rows` are those of the largest integral image.
    pub fn new(
        model: &Model,
        features: &[[usize; 4]],
        columns: usize,
        rows: usize,
        isa: Isa,
    ) -> Option<Self> {
        if !model.is_stumps() || features.iter().any(|[_, _, w, h]| w * h > MAX_CELL) {
            return None;
        }
        let half = columns.div_ceil(2);
        let stride = 2 * half;
        let mut stumps = Vec::with_capacity(model.nodes.len());
        for (node, leaves) in model.nodes.iter().zip(model.leaves.chunks_exact(2)) {
            let Test::OneOf(patterns) = &node.test else {
                return None;
            };
            let feature = features[node.feature];
            stumps.push(Stump {
                corners: [
                    lbp_corners(feature, |x, y| x + y * stride),
                    lbp_corners(feature, |x, y| x / 2 + x % 2 * half + y * stride),
                ],
                patterns: std::array::from_fn(|i| (patterns[i / 2] >> (i % 2 * 16)) as u16),
                left: f64::from(leaves[0]),
                right: f64::from(leaves[1]),
            });
        }
        let stages = model.stages.iter().map(|stage| Stage {
            stumps: stage.trees.clone(),
            threshold: f64::from(stage.threshold),
        });
        let reach = [0, 1].map(|step| {
            let corners = stumps.iter().flat_map(|stump| stump.corners[step]);
            corners.max().unwrap_or(0) as usize
        });
        Some(Self {
            isa,
            stages: stages.collect(),
            reach,
            stride,
            step: 1,
            sums: vec![0; stride * rows + MOST_LANES],
            line: vec![0; columns],
            passed: Vec::new(),
            stumps,
        })
    }

    /// Whether the window at offset `origin` of the integral image passes all stages from index `from` on.
    fn is_face(&self, origin: usize, from: usize) -> bool {
        let sums = &self.sums[origin..];
        assert!(self.reach[self.step - 1] < sums.len());
        self.stages[from..].iter().all(|stage| {
            let mut votes = 0f64;
            for stump in &self.stumps[stage.stumps.clone()] {
                // SAFETY: no corner lies beyond `reach`, which was just compared with the length.
                let s: [u16; 16] = stump.corners[self.step - 1]
                    .map(|corner| unsafe { *sums.get_unchecked(corner as usize) });
                let cell = |i: usize| {
                    s[i].wrapping_sub(s[i + 1])
                        .wrapping_sub(s[i + 4])
                        .wrapping_add(s[i + 5])
                };
                let middle = cell(5);
                let pattern = LBP_ORDER.iter().fold(0usize, |pattern, &i| {
                    pattern << 1 | usize::from(cell(i) >= middle)
                });
                let is_left = stump.patterns[pattern >> 4] >> (pattern & 15) & 1 != 0;
                votes += if is_left { stump.left } else { stump.right };
            }
            votes >= stage.threshold
        })
    }
}

impl Evaluator for LbpLanes {
    fn set_image(&mut self, pixels: &[u8], size: (usize, usize), step: usize) {
        self.step = step;
        let (width, height) = size;
        let half = self.stride / 2;
        self.sums[..self.stride].fill(0);
        let line = &mut self.line[..=width];
        line.fill(0);
        for y in 0..height {
            let mut sum = 0u16;
            for (above, &pixel) in line[1..].iter_mut().zip(&pixels[y * width..][..width]) {
                sum = sum.wrapping_add(u16::from(pixel));
                *above = above.wrapping_add(sum);
            }
            let row = &mut self.sums[(y + 1) * self.stride..][..self.stride];
            if step == 1 {
                row[..=width].copy_from_slice(line);
            } else {
                let (even, odd) = row.split_at_mut(half);
                let pairs = line.chunks_exact(2);
                if let [last] = pairs.remainder() {
                    even[width / 2] = *last;
                }
                for ((even, odd), pair) in even.iter_mut().zip(odd).zip(pairs) {
                    (*even, *odd) = (pair[0], pair[1]);
                }
            }
        }
    }

    fn classify_row(&mut self, _: &Model, y: usize, last_x: usize, found: &mut Vec<usize>) {
        let n = last_x.div_ceil(self.step);
        if n == 0 {
            return;
        }
        let origin = y * self.stride;
        assert!(
            origin + n + self.reach[self.step - 1] + MOST_LANES <= self.sums.len() + 1,
            "the windows lie inside the image"
        );
        let mut passed = std::mem::take(&mut self.passed);
        let is_face = |at: usize, stage: usize| self.is_face(origin + at, stage);
        let row = Row {
            sums: &self.sums[origin..],
            stumps: &self.stumps,
            stages: &self.stages,
            step: self.step,
            n,
            is_face: &is_face,
        };
        #[cfg(target_arch = "x86_64")]
        match self.isa {
            // SAFETY: `Isa` values are only made by `Isa::available`, for instruction sets that the machine supports;
            // for every window and every corner, the values of all lanes are readable, as was just asserted.
            Isa::Avx2 => unsafe { x86::classify_avx2(&row, &mut passed, found) },
            // SAFETY: as above.
            Isa::Avx512 => unsafe { x86::classify_avx512(&row, &mut passed, found) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (row, found);
        self.passed = passed;
    }
}

/// A row of windows to classify.
struct Row<'a> {
    sums: &'a [u16],
    stumps: &'a [Stump],
    stages: &'a [Stage],
    step: usize,
    /// Number of windows in the row.
    n: usize,
    /// Whether the window with this index in the row passes all stages from the given index on.
    is_face: &'a dyn Fn(usize, usize) -> bool,
}
