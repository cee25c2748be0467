//! Classification of single windows by the stages of a cascade, with LBP or Haar features.

use super::integral;
use super::model::{HaarFeature, Model, Node, Test};

/// Result of the cascade for one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StageResult {
    Face,
    FailedFirstStage,
    FailedLater,
}

/// Classifies windows of one scale of the image pyramid, from integral images.
pub(super) trait Evaluator {
    /// Sets the gray image of the next scale, of width `size.0` and height `size.1`, no larger than that of the first
    /// scale. Windows start at every `step`-th column; `step` is 1 or 2.
    fn set_image(&mut self, pixels: &[u8], size: (usize, usize), step: usize);

    /// Appends to `found` the left columns of the accepted windows whose top row is `y` and whose left column is below
    /// `last_x`.
    fn classify_row(&mut self, model: &Model, y: usize, last_x: usize, found: &mut Vec<usize>);
}

/// [`Evaluator::classify_row`] for one window after the other; `classify` gets the left column of a window.
#[inline(always)]
fn classify_each(
    last_x: usize,
    step: usize,
    found: &mut Vec<usize>,
    classify: impl Fn(usize) -> StageResult,
) {
    let mut x = 0;
    while x < last_x {
        match classify(x) {
            StageResult::Face => found.push(x),
            // No face nearby: skip the next window, as OpenCV does.
            StageResult::FailedFirstStage => x += step,
            StageResult::FailedLater => {}
        }
        x += step;
    }
}

/// Sums the leaf values of each stage until one fails. `goes_left` says whether the window takes the left child of a
/// node.
#[inline(always)]
fn run_stages(model: &Model, goes_left: impl Fn(&Node) -> bool) -> StageResult {
    let is_stumps = model.is_stumps();
    for (index, stage) in model.stages.iter().enumerate() {
        let mut votes = 0f64;
        if is_stumps {
            let range = stage.trees.clone();
            let leaves = model.leaves[2 * range.start..2 * range.end].chunks_exact(2);
            for (node, leaf) in model.nodes[range].iter().zip(leaves) {
                votes += f64::from(if goes_left(node) { leaf[0] } else { leaf[1] });
            }
        } else {
            for tree in &model.trees[stage.trees.clone()] {
                let mut at = 0;
                loop {
                    let node = &model.nodes[tree.nodes + at as usize];
                    at = if goes_left(node) {
                        node.left
                    } else {
                        node.right
                    };
                    if at <= 0 {
                        break;
                    }
                }
                votes += f64::from(model.leaves[tree.leaves + at.unsigned_abs() as usize]);
            }
        }
        if votes < f64::from(stage.threshold) {
            return if index == 0 {
                StageResult::FailedFirstStage
            } else {
                StageResult::FailedLater
            };
        }
    }
    StageResult::Face
}

/// Evaluates LBP features: local binary patterns of 3 x 3 cells.
pub(super) struct LbpEvaluator {
    /// For each feature, the offsets of the 16 cell corners from the window's origin in the integral image, row by row.
    corners: Vec<[u32; 16]>,
    /// The largest of these offsets.
    reach: usize,
    stride: usize,
    step: usize,
    sums: Vec<u32>,
}

/// Returns the offsets of the 16 corners of 3 x 3 cells, row by row; the upper left cell is `[x, y, width, height]`.
///
/// `place(x, y)` returns the offset of a point in the integral image.
pub(super) fn lbp_corners(
    [x, y, width, height]: [usize; 4],
    place: impl Fn(usize, usize) -> usize,
) -> [u32; 16] {
    std::array::from_fn(|i| place(x + i % 4 * width, y + i / 4 * height) as u32)
}

impl LbpEvaluator {
    /// `stride` is the row length and `rows` the number of rows of the largest integral image.
    pub fn new(features: &[[usize; 4]], stride: usize, rows: usize) -> Self {
        let corners: Vec<[u32; 16]> = features
            .iter()
            .map(|&feature| lbp_corners(feature, |x, y| x + y * stride))
            .collect();
        let reach = corners.iter().flatten().copied().max().unwrap_or(0) as usize;
        Self {
            corners,
            reach,
            stride,
            step: 1,
            sums: vec![0; stride * rows],
        }
    }

    #[inline(always)]
    fn classify(&self, model: &Model, x: usize, y: usize) -> StageResult {
        let sums = &self.sums[y * self.stride + x..];
        assert!(self.reach < sums.len(), "the window lies inside the image");
        run_stages(model, |node| {
            // SAFETY: no corner lies beyond `reach`, which was just compared with the length.
            let pattern = unsafe { lbp_pattern(sums, &self.corners[node.feature]) };
            match &node.test {
                Test::OneOf(patterns) => {
                    patterns[(pattern >> 5) as usize & 7] >> (pattern & 31) & 1 != 0
                }
                Test::Below(_) => false,
            }
        })
    }
}

impl Evaluator for LbpEvaluator {
    fn set_image(&mut self, pixels: &[u8], size: (usize, usize), step: usize) {
        self.step = step;
        integral::upright(pixels, size, self.stride, &mut self.sums, false);
    }

    fn classify_row(&mut self, model: &Model, y: usize, last_x: usize, found: &mut Vec<usize>) {
        classify_each(last_x, self.step, found, |x| self.classify(model, x, y));
    }
}

/// The eight outer cells, clockwise from the upper left, each by the index of its upper left corner among the 16.
pub(super) const LBP_ORDER: [usize; 8] = [0, 1, 2, 6, 10, 9, 8, 4];

/// Computes the LBP pattern, 0 to 255. Bits 7 to 0 stand for the outer cells, clockwise from the upper left; a bit is
/// set when the sum of its cell is at least that of the middle cell.
///
/// # Safety
/// Every corner must be an index of `sums`.
#[inline(always)]
unsafe fn lbp_pattern(sums: &[u32], corners: &[u32; 16]) -> u32 {
    // SAFETY: as the caller promises.
    let s: [u32; 16] = corners.map(|corner| unsafe { *sums.get_unchecked(corner as usize) });
    let cell = |i: usize| {
        s[i].wrapping_sub(s[i + 1])
            .wrapping_sub(s[i + 4])
            .wrapping_add(s[i + 5])
    };
    let middle = cell(5);
    LBP_ORDER
        .iter()
        .fold(0, |pattern, &i| pattern << 1 | u32::from(cell(i) >= middle))
}

/// Evaluates Haar features: differences of rectangle sums, divided by the standard deviation of the window.
pub(super) struct HaarEvaluator {
    features: Vec<HaarOffsets>,
    /// Corner offsets of the window without its 1-pixel border, over which the standard deviation is computed.
    inner: [usize; 4],
    inner_area: f64,
    has_tilted: bool,
    stride: usize,
    step: usize,
    sums: Vec<u32>,
    squares: Vec<u32>,
    tilted: Vec<u32>,
}

struct HaarOffsets {
    /// Corner offsets and weight of each rectangle; unused ones have weight 0.
    parts: [([usize; 4], f32); 3],
    is_tilted: bool,
}

impl HaarEvaluator {
    /// `stride` is the row length and `rows` the number of rows of the largest integral image.
    pub fn new(
        features: &[HaarFeature],
        window: (usize, usize),
        stride: usize,
        rows: usize,
    ) -> Self {
        let offset = |x: usize, y: usize| x + y * stride;
        let upright = |[x, y, width, height]: [usize; 4]| {
            [
                offset(x, y),
                offset(x + width, y),
                offset(x, y + height),
                offset(x + width, y + height),
            ]
        };
        let tilted = |[x, y, width, height]: [usize; 4]| {
            [
                offset(x, y),
                offset(x - height, y + height),
                offset(x + width, y + width),
                offset(x + width - height, y + width + height),
            ]
        };
        let offsets = |feature: &HaarFeature| {
            let mut parts = [([0; 4], 0.0); 3];
            for (slot, &(rect, weight)) in parts.iter_mut().zip(&feature.parts) {
                *slot = (
                    if feature.is_tilted {
                        tilted(rect)
                    } else {
                        upright(rect)
                    },
                    weight,
                );
            }
            HaarOffsets {
                parts,
                is_tilted: feature.is_tilted,
            }
        };
        let inner = (window.0 - 2, window.1 - 2);
        let has_tilted = features.iter().any(|feature| feature.is_tilted);
        Self {
            features: features.iter().map(offsets).collect(),
            inner: upright([1, 1, inner.0, inner.1]),
            inner_area: (inner.0 * inner.1) as f64,
            has_tilted,
            stride,
            step: 1,
            sums: vec![0; stride * rows],
            squares: vec![0; stride * rows],
            tilted: vec![0; if has_tilted { stride * rows } else { 0 }],
        }
    }
}

impl HaarEvaluator {
    #[inline(always)]
    fn classify(&self, model: &Model, x: usize, y: usize) -> StageResult {
        let origin = y * self.stride + x;
        let sums = &self.sums[origin..];
        let tilted = self.tilted.get(origin..).unwrap_or_default();
        let sum = f64::from(rectangle_sum(sums, &self.inner) as i32);
        let square = f64::from(rectangle_sum(&self.squares[origin..], &self.inner));
        let spread = self.inner_area * square - sum * sum;
        if spread <= 0.0 {
            return StageResult::FailedLater;
        }
        let contrast = (1.0 / spread.sqrt()) as f32;
        if self.inner_area * f64::from(contrast) >= 1e-1 {
            return StageResult::FailedLater;
        }
        run_stages(model, |node| {
            let feature = &self.features[node.feature];
            let table = if feature.is_tilted { tilted } else { sums };
            let part = |(corners, weight): &([usize; 4], f32)| {
                weight * rectangle_sum(table, corners) as i32 as f32
            };
            let [a, b, c] = &feature.parts;
            let mut value = part(a) + part(b);
            if c.1 != 0.0 {
                value += part(c);
            }
            match node.test {
                Test::Below(threshold) => value * contrast < threshold,
                Test::OneOf(_) => false,
            }
        })
    }
}

impl Evaluator for HaarEvaluator {
    fn set_image(&mut self, pixels: &[u8], size: (usize, usize), step: usize) {
        self.step = step;
        integral::upright(pixels, size, self.stride, &mut self.sums, false);
        integral::upright(pixels, size, self.stride, &mut self.squares, true);
        if self.has_tilted {
            integral::tilted(pixels, size, self.stride, &mut self.tilted);
        }
    }

    fn classify_row(&mut self, model: &Model, y: usize, last_x: usize, found: &mut Vec<usize>) {
        classify_each(last_x, self.step, found, |x| self.classify(model, x, y));
    }
}

/// Sum of the pixels in a rectangle, from the offsets of its corners in an integral image: upper left, upper right,
/// lower left, lower right.
#[inline(always)]
fn rectangle_sum(sums: &[u32], corners: &[usize; 4]) -> u32 {
    let [a, b, c, d] = corners.map(|corner| sums[corner]);
    a.wrapping_sub(b).wrapping_sub(c).wrapping_add(d)
}
