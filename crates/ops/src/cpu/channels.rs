//! Loops over arrays of rows `[row][inner]`, where each row has its own factor, inner product or added plane.

use super::parallel::parallel;
use super::scratch::{Shared, uninit};
use super::simd::{Simd, dispatch, isa};

/// The number of values that one task processes.
const TASK: usize = 1 << 15;

/// Calls `work(row)` for each row of `inner` values, in parallel tasks of about [`TASK`] values.
fn for_rows(rows: usize, inner: usize, work: impl Fn(usize) + Send + Sync) {
    let per_task = (TASK / inner.max(1)).max(1);
    parallel(rows.div_ceil(per_task), |task| {
        (task * per_task..((task + 1) * per_task).min(rows)).for_each(&work);
    });
}

/// Each row of `x` multiplied by its entry of `scales`; the row length is `x.len() / scales.len()`.
pub(crate) fn scale(x: &[f32], scales: &[f32]) -> Vec<f32> {
    let inner = x.len() / scales.len().max(1);
    // SAFETY: every value is written below, before any is read.
    let mut y = unsafe { uninit(x.len()) };
    let (to, isa) = (Shared(y.as_mut_ptr()), isa());
    for_rows(scales.len(), inner, |row| {
        // SAFETY: each task writes its own rows.
        unsafe {
            let y = std::slice::from_raw_parts_mut(to.at(row * inner), inner);
            scale_row(isa, &x[row * inner..][..inner], scales[row], y);
        }
    });
    y
}

#[inline(always)]
unsafe fn scale_row_body<S: Simd>(x: &[f32], scale: f32, y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * scale;
    }
}
dispatch!(unsafe fn scale_row(x: &[f32], scale: f32, y: &mut [f32]) = scale_row_body);

/// [`scale`] in f64, on one thread.
pub(crate) fn scale_f64(x: &[f64], scales: &[f64]) -> Vec<f64> {
    let inner = x.len() / scales.len().max(1);
    let products = x.iter().enumerate().map(|(i, x)| x * scales[i / inner]);
    products.collect()
}

/// The inner product of each row of `a` with the same row of `b`; rows have `inner` values.
pub(crate) fn dot(a: &[f32], b: &[f32], inner: usize) -> Vec<f32> {
    let rows = a.len() / inner.max(1);
    // SAFETY: every value is written below, before any is read.
    let mut dots = unsafe { uninit(rows) };
    let (to, isa) = (Shared(dots.as_mut_ptr()), isa());
    for_rows(rows, inner, |row| {
        // SAFETY: each task writes its own rows.
        unsafe {
            dot_row(
                isa,
                &a[row * inner..][..inner],
                &b[row * inner..][..inner],
                to.at(row),
            )
        }
    });
    dots
}

/// Sums into 64 partial sums, which SIMD lanes hold, then adds those up. Rounding errors grow with `inner / 64` only.
#[inline(always)]
unsafe fn dot_row_body<S: Simd>(a: &[f32], b: &[f32], to: *mut f32) {
    let mut lanes = [0.0f32; 64];
    let (a_chunks, b_chunks) = (a.chunks_exact(64), b.chunks_exact(64));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..64 {
            lanes[i] += a[i] * b[i];
        }
    }
    // SAFETY: the caller passes a pointer to one value.
    unsafe { *to = lanes.iter().sum::<f32>() + rest };
}
dispatch!(unsafe fn dot_row(a: &[f32], b: &[f32], to: *mut f32) = dot_row_body);

/// Adds planes of `inner` values to all `c` channels of `n` images; `planes` holds one for each image or one for all.
pub(crate) fn add_planes(x: &[f32], planes: &[f32], n: usize, c: usize, inner: usize) -> Vec<f32> {
    // SAFETY: every value is written below, before any is read.
    let mut y = unsafe { uninit(x.len()) };
    let (to, isa) = (Shared(y.as_mut_ptr()), isa());
    for_rows(n * c, inner, |row| {
        let at = row / c * inner % planes.len();
        // SAFETY: each task writes its own rows.
        unsafe {
            let y = std::slice::from_raw_parts_mut(to.at(row * inner), inner);
            add_row(isa, &x[row * inner..][..inner], &planes[at..][..inner], y);
        }
    });
    y
}

/// The sum over the `c` channels of each image: `n` planes of `inner` values.
pub(crate) fn sum_planes(x: &[f32], n: usize, c: usize, inner: usize) -> Vec<f32> {
    let mut y = vec![0.0f32; n * inner];
    // Tasks are parts of planes that are short enough to stay in the L1 cache.
    let piece = inner.clamp(1, 1 << 11);
    let pieces = inner.div_ceil(piece);
    let (to, isa) = (Shared(y.as_mut_ptr()), isa());
    parallel(n * pieces, |task| {
        let (image, start) = (task / pieces, task % pieces * piece);
        let len = piece.min(inner - start);
        // SAFETY: each task writes its own piece of one image.
        let y = unsafe { std::slice::from_raw_parts_mut(to.at(image * inner + start), len) };
        for channel in 0..c {
            let x = &x[(image * c + channel) * inner + start..][..len];
            // SAFETY: `isa()` reports only instruction sets that this CPU has.
            unsafe { accumulate_row(isa, x, y) };
        }
    });
    y
}

#[inline(always)]
unsafe fn accumulate_row_body<S: Simd>(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}
dispatch!(unsafe fn accumulate_row(x: &[f32], y: &mut [f32]) = accumulate_row_body);

/// The elementwise sum of two arrays of the same length.
pub(crate) fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    // SAFETY: every value is written below, before any is read.
    let mut y = unsafe { uninit(a.len()) };
    let (to, isa) = (Shared(y.as_mut_ptr()), isa());
    parallel(a.len().div_ceil(TASK), |task| {
        let range = task * TASK..((task + 1) * TASK).min(a.len());
        // SAFETY: each task writes its own range.
        unsafe {
            let y = std::slice::from_raw_parts_mut(to.at(range.start), range.len());
            add_row(isa, &a[range.clone()], &b[range], y);
        }
    });
    y
}

#[inline(always)]
unsafe fn add_row_body<S: Simd>(x: &[f32], plane: &[f32], y: &mut [f32]) {
    for ((y, x), plane) in y.iter_mut().zip(x).zip(plane) {
        *y = x + plane;
    }
}
dispatch!(unsafe fn add_row(x: &[f32], plane: &[f32], y: &mut [f32]) = add_row_body);
