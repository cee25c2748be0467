//! Classifies many windows of a row at a time: LBP stumps over 16-bit sums, 32 windows with AVX-512, 16 with AVX2.
//!
//! Neighboring windows lie in neighboring lanes, so that every corner of every cell is one load. Where only every
//! second column holds a window, the even columns of a row are stored before the odd ones for the same reason. Sums of
//! cells of at most 257 pixels survive the wrapping of 16 bits. Votes are added in f64 in the order of the trees, as
//! one window alone would add them.

use std::ops::Range;

use super::model::{Model, Test};
use super::window::{Evaluator, LBP_ORDER, lbp_corners};

/// Instruction sets that the kernel is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Avx2,
    Avx512,
}

impl Isa {
    /// Instruction sets of this machine, the best last.
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

/// The most lanes of any instruction set: sums are readable this far beyond the last window.
const MOST_LANES: usize = 32;
/// Cells with more pixels than this overflow 16 bits.
const MAX_CELL: usize = 65535 / 255;
/// With so few windows left in the lanes, one at a time is faster.
const FEW: u32 = 2;

/// A tree of one node.
struct Stump {
    /// Offsets of the corners of the cells, for steps of 1 and of 2.
    corners: [[u32; 16]; 2],
    /// Patterns that go left, one bit each.
    patterns: [u16; 16],
    left: f64,
    right: f64,
}

struct Stage {
    stumps: Range<usize>,
    threshold: f64,
}

/// Judges LBP cascades of stumps.
pub(super) struct LbpLanes {
    isa: Isa,
    stumps: Vec<Stump>,
    stages: Vec<Stage>,
    /// The largest corner, for steps of 1 and of 2.
    reach: [usize; 2],
    stride: usize,
    step: usize,
    sums: Vec<u16>,
    line: Vec<u16>,
    passed: Vec<u32>,
}

impl LbpLanes {
    /// `None` for cascades of trees, and for cells that are too large. `columns` and `rows` are those of the largest
    /// integral image.
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

    /// One window from a stage on.
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
            // SAFETY: `Isa` values are only made for what the machine has; every corner of the lanes of every window
            // is readable, as was just asserted.
            Isa::Avx2 => unsafe { x86::judge_avx2(&row, &mut passed, found) },
            // SAFETY: as above.
            Isa::Avx512 => unsafe { x86::judge_avx512(&row, &mut passed, found) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (row, found);
        self.passed = passed;
    }
}

/// A row of windows.
struct Row<'a> {
    sums: &'a [u16],
    stumps: &'a [Stump],
    stages: &'a [Stage],
    step: usize,
    /// Windows in it.
    n: usize,
    /// One window, from a stage on.
    is_face: &'a dyn Fn(usize, usize) -> bool,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{FEW, LBP_ORDER, Row, Stage, Stump};
    use std::arch::x86_64::*;

    /// Vectors of 16-bit sums, and the votes of their lanes.
    ///
    /// # Safety
    /// The methods need the instruction set that the type is named after.
    trait Lanes {
        const N: usize;
        type Vector: Copy;
        type Votes: Copy;
        unsafe fn load(from: *const u16) -> Self::Vector;
        unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
        unsafe fn zero() -> Self::Vector;
        /// Sets `bit` of the lanes of `pattern` in which `a >= b`.
        unsafe fn set_where_ge(
            pattern: Self::Vector,
            a: Self::Vector,
            b: Self::Vector,
            bit: i16,
        ) -> Self::Vector;
        unsafe fn no_votes() -> Self::Votes;
        /// Adds `left` in the lanes whose pattern is in the set, `right` in the others.
        unsafe fn vote(votes: Self::Votes, pattern: Self::Vector, stump: &Stump) -> Self::Votes;
        /// Lanes with at least so many votes.
        unsafe fn reaching(votes: Self::Votes, threshold: f64) -> u32;
    }

    struct Avx512;

    impl Lanes for Avx512 {
        const N: usize = 32;
        type Vector = __m512i;
        type Votes = [__m512d; 4];

        #[inline(always)]
        unsafe fn load(from: *const u16) -> __m512i {
            // SAFETY: the caller promises 32 readable values and the instruction set; so in all that follow.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
            // SAFETY: see `load`.
            unsafe { _mm512_sub_epi16(a, b) }
        }

        #[inline(always)]
        unsafe fn zero() -> __m512i {
            // SAFETY: see `load`.
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        unsafe fn set_where_ge(pattern: __m512i, a: __m512i, b: __m512i, bit: i16) -> __m512i {
            // SAFETY: see `load`.
            unsafe {
                let is_ge = _mm512_cmpge_epu16_mask(a, b);
                _mm512_mask_add_epi16(pattern, is_ge, pattern, _mm512_set1_epi16(bit))
            }
        }

        #[inline(always)]
        unsafe fn no_votes() -> [__m512d; 4] {
            // SAFETY: see `load`.
            unsafe { [_mm512_setzero_pd(); 4] }
        }

        #[inline(always)]
        unsafe fn vote(votes: [__m512d; 4], pattern: __m512i, stump: &Stump) -> [__m512d; 4] {
            // SAFETY: see `load`; the patterns are 32 bytes.
            unsafe {
                let table = _mm256_loadu_si256(stump.patterns.as_ptr().cast());
                let table = _mm512_broadcast_i64x4(table);
                let word = _mm512_permutexvar_epi16(_mm512_srli_epi16::<4>(pattern), table);
                let place = _mm512_and_si512(pattern, _mm512_set1_epi16(15));
                let bit = _mm512_srlv_epi16(word, place);
                let is_left = _mm512_test_epi16_mask(bit, _mm512_set1_epi16(1));
                let (left, right) = (_mm512_set1_pd(stump.left), _mm512_set1_pd(stump.right));
                let [a, b, c, d] = votes;
                [
                    _mm512_add_pd(a, _mm512_mask_blend_pd(is_left as u8, right, left)),
                    _mm512_add_pd(b, _mm512_mask_blend_pd((is_left >> 8) as u8, right, left)),
                    _mm512_add_pd(c, _mm512_mask_blend_pd((is_left >> 16) as u8, right, left)),
                    _mm512_add_pd(d, _mm512_mask_blend_pd((is_left >> 24) as u8, right, left)),
                ]
            }
        }

        #[inline(always)]
        unsafe fn reaching(votes: [__m512d; 4], threshold: f64) -> u32 {
            // SAFETY: see `load`.
            unsafe {
                let threshold = _mm512_set1_pd(threshold);
                let [a, b, c, d] = votes;
                let a = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(a, threshold));
                let b = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(b, threshold));
                let c = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(c, threshold));
                let d = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(d, threshold));
                a | b << 8 | c << 16 | d << 24
            }
        }
    }

    struct Avx2;

    impl Lanes for Avx2 {
        const N: usize = 16;
        type Vector = __m256i;
        type Votes = [__m256d; 4];

        #[inline(always)]
        unsafe fn load(from: *const u16) -> __m256i {
            // SAFETY: the caller promises 16 readable values and the instruction set; so in all that follow.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
            // SAFETY: see `load`.
            unsafe { _mm256_sub_epi16(a, b) }
        }

        #[inline(always)]
        unsafe fn zero() -> __m256i {
            // SAFETY: see `load`.
            unsafe { _mm256_setzero_si256() }
        }

        #[inline(always)]
        unsafe fn set_where_ge(pattern: __m256i, a: __m256i, b: __m256i, bit: i16) -> __m256i {
            // SAFETY: see `load`.
            unsafe {
                let is_ge = _mm256_cmpeq_epi16(_mm256_max_epu16(a, b), a);
                _mm256_or_si256(pattern, _mm256_and_si256(is_ge, _mm256_set1_epi16(bit)))
            }
        }

        #[inline(always)]
        unsafe fn no_votes() -> [__m256d; 4] {
            // SAFETY: see `load`.
            unsafe { [_mm256_setzero_pd(); 4] }
        }

        #[inline(always)]
        unsafe fn vote(votes: [__m256d; 4], pattern: __m256i, stump: &Stump) -> [__m256d; 4] {
            // SAFETY: see `load`; the patterns are 32 bytes.
            unsafe {
                let table = _mm256_loadu_si256(stump.patterns.as_ptr().cast());
                let low = _mm256_permute2x128_si256::<0x00>(table, table);
                let high = _mm256_permute2x128_si256::<0x11>(table, table);
                // The byte of the table that holds the bit, in the lower byte of each lane.
                let place = _mm256_srli_epi16::<3>(pattern);
                let is_high = _mm256_cmpgt_epi16(place, _mm256_set1_epi16(15));
                let byte = _mm256_blendv_epi8(
                    _mm256_shuffle_epi8(low, place),
                    _mm256_shuffle_epi8(high, _mm256_and_si256(place, _mm256_set1_epi16(15))),
                    is_high,
                );
                let powers = _mm256_setr_epi8(
                    1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64,
                    -128, 0, 0, 0, 0, 0, 0, 0, 0,
                );
                // The upper bytes of the lanes pick bytes of no meaning: they are cut off.
                let bit =
                    _mm256_shuffle_epi8(powers, _mm256_and_si256(pattern, _mm256_set1_epi16(7)));
                let bit = _mm256_and_si256(bit, _mm256_set1_epi16(255));
                let is_left = _mm256_cmpeq_epi16(_mm256_and_si256(byte, bit), bit);
                let (left, right) = (_mm256_set1_pd(stump.left), _mm256_set1_pd(stump.right));
                let halves = [
                    _mm256_castsi256_si128(is_left),
                    _mm256_extracti128_si256::<1>(is_left),
                ];
                let mut votes = votes;
                let mut i = 0;
                while i < 4 {
                    let half = halves[i / 2];
                    let four = if i % 2 == 0 {
                        half
                    } else {
                        _mm_srli_si128::<8>(half)
                    };
                    let mask = _mm256_castsi256_pd(_mm256_cvtepi16_epi64(four));
                    votes[i] = _mm256_add_pd(votes[i], _mm256_blendv_pd(right, left, mask));
                    i += 1;
                }
                votes
            }
        }

        #[inline(always)]
        unsafe fn reaching(votes: [__m256d; 4], threshold: f64) -> u32 {
            // SAFETY: see `load`.
            unsafe {
                let threshold = _mm256_set1_pd(threshold);
                let [a, b, c, d] = votes;
                let a = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(a, threshold));
                let b = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(b, threshold));
                let c = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(c, threshold));
                let d = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(d, threshold));
                (a | b << 4 | c << 8 | d << 12) as u32
            }
        }
    }

    /// # Safety
    /// AVX-512 F and BW; 32 values after every corner of every window.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn judge_avx512(
        row: &Row<'_>,
        passed: &mut Vec<u32>,
        found: &mut Vec<usize>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { classify::<Avx512>(row, passed, found) }
    }

    /// # Safety
    /// AVX2; 16 values after every corner of every window.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn judge_avx2(row: &Row<'_>, passed: &mut Vec<u32>, found: &mut Vec<usize>) {
        // SAFETY: as the caller promises.
        unsafe { classify::<Avx2>(row, passed, found) }
    }

    /// Appends the columns of the windows that the cascade accepts. `passed` is scratch.
    #[inline(always)]
    unsafe fn classify<L: Lanes>(row: &Row<'_>, passed: &mut Vec<u32>, found: &mut Vec<usize>) {
        let (first, later) = (&row.stages[0], &row.stages[1..]);
        passed.clear();
        let mut at = 0;
        while at < row.n {
            // SAFETY: as the caller promises.
            let mask = unsafe { stage::<L>(row, at, first) };
            let left = row.n - at;
            passed.push(if left < L::N {
                mask & ((1 << left) - 1)
            } else {
                mask
            });
            at += L::N;
        }
        keep_visited(passed, L::N);
        for (group, &mask) in passed.iter().enumerate() {
            let at = group * L::N;
            let mut alive = mask;
            for (i, next) in later.iter().enumerate() {
                if alive.count_ones() <= FEW {
                    let mut rest = alive;
                    while rest != 0 {
                        let lane = rest.trailing_zeros();
                        rest &= rest - 1;
                        if !(row.is_face)(at + lane as usize, i + 1) {
                            alive &= !(1 << lane);
                        }
                    }
                    break;
                }
                // SAFETY: as the caller promises.
                alive &= unsafe { stage::<L>(row, at, next) };
            }
            while alive != 0 {
                found.push((at + alive.trailing_zeros() as usize) * row.step);
                alive &= alive - 1;
            }
        }
    }

    /// The lanes that pass a stage, of the windows from `at` on.
    #[inline(always)]
    unsafe fn stage<L: Lanes>(row: &Row<'_>, at: usize, stage: &Stage) -> u32 {
        // SAFETY: as the caller promises.
        unsafe {
            let base = row.sums.as_ptr().add(at);
            let mut votes = L::no_votes();
            for stump in &row.stumps[stage.stumps.clone()] {
                let corners = &stump.corners[row.step - 1];
                let mut s = [L::zero(); 16];
                let mut i = 0;
                while i < 16 {
                    s[i] = L::load(base.add(corners[i] as usize));
                    i += 1;
                }
                // Columns of each row of cells, then the cells.
                let mut columns = [L::zero(); 12];
                let mut i = 0;
                while i < 12 {
                    columns[i] = L::sub(s[i], s[i + 4]);
                    i += 1;
                }
                let middle = L::sub(columns[5], columns[6]);
                let mut pattern = L::zero();
                let mut i = 0;
                while i < 8 {
                    let cell = LBP_ORDER[i];
                    let cell = L::sub(columns[cell], columns[cell + 1]);
                    pattern = L::set_where_ge(pattern, cell, middle, 1 << (7 - i));
                    i += 1;
                }
                votes = L::vote(votes, pattern, stump);
            }
            L::reaching(votes, stage.threshold)
        }
    }

    /// A window that fails the first stage has its neighbor skipped: takes out those that passed but are not looked at.
    ///
    /// Such a window stands after an odd number of failures since the last one that passed, whether that was looked
    /// at or not.
    fn keep_visited(passed: &mut [u32], lanes: usize) {
        let mut next = 0;
        for (group, mask) in passed.iter_mut().enumerate() {
            let mut rest = *mask;
            while rest != 0 {
                let lane = rest.trailing_zeros();
                rest &= rest - 1;
                let at = group * lanes + lane as usize;
                if (at - next) % 2 == 1 {
                    *mask &= !(1 << lane);
                }
                next = at + 1;
            }
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::CascadeOptions;
    use super::super::model::{Features, Node, Stage as ModelStage, Tree};
    use super::super::pyramid::{scales, slide};
    use super::super::window::LbpEvaluator;
    use super::*;
    use image::{GrayImage, Luma};

    fn random(state: &mut u64) -> usize {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    /// Stages that pass about two thirds of the windows each.
    fn model(seed: u64) -> (Model, Vec<[usize; 4]>) {
        let mut state = seed;
        let features: Vec<[usize; 4]> = (0..20)
            .map(|_| {
                let (w, h) = (1 + random(&mut state) % 7, 1 + random(&mut state) % 7);
                let x = random(&mut state) % (24 - 3 * w + 1);
                let y = random(&mut state) % (24 - 3 * h + 1);
                [x, y, w, h]
            })
            .collect();
        let (mut stages, mut trees, mut nodes, mut leaves) = (vec![], vec![], vec![], vec![]);
        for n in [2, 3, 5, 5, 7] {
            let first = trees.len();
            for _ in 0..n {
                trees.push(Tree {
                    nodes: nodes.len(),
                    leaves: leaves.len(),
                });
                nodes.push(Node {
                    feature: random(&mut state) % features.len(),
                    left: 0,
                    right: -1,
                    test: Test::OneOf(std::array::from_fn(|_| random(&mut state) as u32)),
                });
                leaves.extend(
                    [-1.0, 1.0].map(|sign| sign * (random(&mut state) % 1000) as f32 / 999.0),
                );
            }
            stages.push(ModelStage {
                trees: first..trees.len(),
                threshold: -0.4,
            });
        }
        let model = Model {
            window: (24, 24),
            stages,
            trees,
            nodes,
            leaves,
            features: Features::Lbp(features.clone()),
        };
        (model, features)
    }

    #[test]
    fn lanes_accept_the_windows_that_one_at_a_time_would() {
        let mut n_faces = 0;
        for (seed, width, height) in [
            (1, 97, 61),
            (2, 130, 90),
            (3, 24, 24),
            (4, 200, 25),
            (5, 64, 150),
        ] {
            let mut state = seed * 7919;
            let image = GrayImage::from_fn(width, height, |x, y| {
                let wave = (f64::from(x) / 5.0).sin() * (f64::from(y) / 7.0).cos();
                Luma([(128.0 + 100.0 * wave) as u8 ^ (random(&mut state) % 16) as u8])
            });
            let (model, features) = model(seed);
            let options = CascadeOptions {
                min_size: 0,
                ..CascadeOptions::default()
            };
            let scales = scales(model.window, image.dimensions(), &options);
            let (columns, rows) = (width as usize + 1, height as usize + 1);
            let one = LbpEvaluator::new(&features, columns, rows);
            let expected = slide(&model, &image, &scales, one).unwrap();
            n_faces += expected.len();
            for isa in Isa::available() {
                let lanes = LbpLanes::new(&model, &features, columns, rows, isa).unwrap();
                let found = slide(&model, &image, &scales, lanes).unwrap();
                assert_eq!(found, expected, "{isa:?}, {width} x {height}");
            }
        }
        assert!(n_faces > 100, "{n_faces}");
    }

    #[test]
    fn cells_that_overflow_are_left_to_one_at_a_time() {
        let (mut model, _) = model(1);
        let features = vec![[0, 0, 17, 17]; 20];
        model.window = (60, 60);
        for isa in Isa::available() {
            assert!(LbpLanes::new(&model, &features, 100, 100, isa).is_none());
        }
    }
}
