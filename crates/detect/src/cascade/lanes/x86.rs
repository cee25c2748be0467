//! The SIMD evaluation for x86, generic over the instruction set.

mod avx2;
mod avx512;

use self::avx2::Avx2;
use self::avx512::Avx512;
use super::{FEW, LBP_ORDER, Row, Stage, Stump};

/// Operations on vectors of 16-bit sums, and on the f64 votes (sums of leaf values) of their lanes.
///
/// # Safety
/// The CPU must support the instruction set that the type is named after.
pub(super) trait Lanes {
    const N: usize;
    type Vector: Copy;
    type Votes: Copy;
    unsafe fn load(from: *const u16) -> Self::Vector;
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn zero() -> Self::Vector;
    /// Sets `bit` in the lanes of `pattern` in which `a >= b`, unsigned.
    unsafe fn set_where_ge(
        pattern: Self::Vector,
        a: Self::Vector,
        b: Self::Vector,
        bit: i16,
    ) -> Self::Vector;
    unsafe fn no_votes() -> Self::Votes;
    /// Adds `stump.left` to the votes of lanes whose pattern is in `stump.patterns`, `stump.right` to the others.
    unsafe fn vote(votes: Self::Votes, pattern: Self::Vector, stump: &Stump) -> Self::Votes;
    /// Bit mask of the lanes whose votes are at least `threshold`.
    unsafe fn reaching(votes: Self::Votes, threshold: f64) -> u32;
}

/// [`classify`] with AVX-512.
///
/// # Safety
/// The CPU must support AVX-512 F and BW. For every window of the row and every cell corner of every stump, 32
/// consecutive values of `row.sums` must be readable, starting at that corner.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn classify_avx512(row: &Row<'_>, passed: &mut Vec<u32>, found: &mut Vec<usize>) {
    // SAFETY: as the caller promises.
    unsafe { classify::<Avx512>(row, passed, found) }
}

/// [`classify`] with AVX2.
///
/// # Safety
/// The CPU must support AVX2. For every window of the row and every cell corner of every stump, 16 consecutive values
/// of `row.sums` must be readable, starting at that corner.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn classify_avx2(row: &Row<'_>, passed: &mut Vec<u32>, found: &mut Vec<usize>) {
    // SAFETY: as the caller promises.
    unsafe { classify::<Avx2>(row, passed, found) }
}

/// Appends to `found` the left columns of the windows that the cascade accepts; `passed` is scratch.
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

/// Bit mask of the windows that pass `stage`, among the `L::N` windows from index `at` on.
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
            // The sum of a cell takes two steps: subtract vertically neighboring corners, then horizontally neighboring
            // results.
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

/// Clears the bits of windows that OpenCV does not visit: after a window that fails the first stage, OpenCV skips the
/// next window.
///
/// `passed` has one bit per window, set if it passes the first stage. A passing window is skipped when an odd number of
/// windows lie between it and the passing window before it, whether the latter was visited or not. `lanes` is the
/// number of windows in one mask.
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
