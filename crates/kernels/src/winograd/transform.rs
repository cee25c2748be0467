//! The transforms between tiles, kernels or outputs and points.

use crate::simd::Simd;

/// A Winograd algorithm F(MxM, 3x3), given by its one-dimensional transforms, with the matrix names of the paper.
///
/// Every function takes and returns six vectors. A transform with fewer inputs ignores the remaining vectors; a
/// transform with fewer outputs returns zeros in their place.
pub(crate) trait Transform: Sync {
    /// Number of outputs of a tile along one axis.
    const M: usize;
    /// Number of inputs, and of points, of a tile along one axis: `M + 2`.
    const A: usize;

    /// `B^T d`: `A` inputs to `A` points.
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6];
    /// `A^T m`: `A` points to `M` outputs.
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6];
    /// `G k`: 3 kernel values to `A` points.
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6];
    /// `A y`: `M` output gradients to `A` points; the transpose of `output`.
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6];
    /// `G^T m`: `A` points to 3 kernel gradients; the transpose of `kernel`.
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6];
}

/// F(2x2, 3x3) with interpolation points 0, 1, -1 and infinity: 2.25 times fewer multiplications than a direct
/// convolution.
pub(crate) struct F2;

// All functions of both impls are unsafe only because the caller must enable the instruction set of `S`.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Transform for F2 {
    const M: usize = 2;
    const A: usize = 4;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                S::sub(d[0], d[2]),
                S::add(d[1], d[2]),
                S::sub(d[2], d[1]),
                S::sub(d[1], d[3]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                S::add(m[0], S::add(m[1], m[2])),
                S::sub(S::sub(m[1], m[2]), m[3]),
                z,
                z,
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let half = S::splat(0.5);
            let even = S::add(k[0], k[2]);
            let z = S::zero();
            [
                k[0],
                S::mul(half, S::add(even, k[1])),
                S::mul(half, S::sub(even, k[1])),
                k[2],
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let z = S::zero();
            [
                y[0],
                S::add(y[0], y[1]),
                S::sub(y[0], y[1]),
                S::sub(z, y[1]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let half = S::splat(0.5);
            let sum = S::mul(half, S::add(m[1], m[2]));
            let difference = S::mul(half, S::sub(m[1], m[2]));
            let z = S::zero();
            [S::add(m[0], sum), difference, S::add(sum, m[3]), z, z, z]
        }
    }
}

/// F(4x4, 3x3) with interpolation points 0, 1, -1, 2, -2 and infinity: 4 times fewer multiplications than a direct
/// convolution, but 5 times its rounding error.
pub(crate) struct F4;

#[allow(clippy::undocumented_unsafe_blocks)]
impl Transform for F4 {
    const M: usize = 4;
    const A: usize = 6;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
            let t0 = S::sub(d[4], S::mul(four, d[2]));
            let t1 = S::sub(d[3], S::mul(four, d[1]));
            let t2 = S::sub(d[4], d[2]);
            let t3 = S::mul(two, S::sub(d[3], d[1]));
            [
                S::add(S::sub(S::mul(four, d[0]), S::mul(five, d[2])), d[4]),
                S::add(t0, t1),
                S::sub(t0, t1),
                S::add(t2, t3),
                S::sub(t2, t3),
                S::add(S::sub(S::mul(four, d[1]), S::mul(five, d[3])), d[5]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (s1, d1) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (s2, d2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            let z = S::zero();
            [
                S::add(m[0], S::add(s1, s2)),
                S::fma(S::splat(2.0), d2, d1),
                S::fma(S::splat(4.0), s2, s1),
                S::add(S::fma(S::splat(8.0), d2, d1), m[5]),
                z,
                z,
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel<S: Simd>(k: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let even = S::mul(S::splat(-1.0 / 6.0), S::add(k[0], k[2]));
            let odd = S::mul(S::splat(-1.0 / 6.0), k[1]);
            let far = S::fma(
                S::splat(1.0 / 24.0),
                k[0],
                S::mul(S::splat(1.0 / 6.0), k[2]),
            );
            let side = S::mul(S::splat(1.0 / 12.0), k[1]);
            [
                S::mul(S::splat(0.25), k[0]),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(far, side),
                S::sub(far, side),
                k[2],
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_transposed<S: Simd>(y: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (even, odd) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
            let even2 = S::fma(S::splat(4.0), y[2], y[0]);
            let odd2 = S::fma(S::splat(2.0), y[1], S::mul(S::splat(8.0), y[3]));
            [
                y[0],
                S::add(even, odd),
                S::sub(even, odd),
                S::add(even2, odd2),
                S::sub(even2, odd2),
                y[3],
            ]
        }
    }
    #[inline(always)]
    unsafe fn kernel_transposed<S: Simd>(m: &[S::V; 6]) -> [S::V; 6] {
        unsafe {
            let (s1, d1) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (s2, d2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            let (sixth, twelfth, z) = (S::splat(1.0 / 6.0), S::splat(1.0 / 12.0), S::zero());
            let near = S::mul(sixth, s1);
            [
                S::sub(
                    S::fma(S::splat(1.0 / 24.0), s2, S::mul(S::splat(0.25), m[0])),
                    near,
                ),
                S::sub(S::mul(twelfth, d2), S::mul(sixth, d1)),
                S::add(S::sub(S::mul(sixth, s2), near), m[5]),
                z,
                z,
                z,
            ]
        }
    }
}

/// Applies a one-dimensional transform along both axes of a tile of `from x from` vectors. Returns `to x to` vectors,
/// in the upper left of a 6x6 array.
macro_rules! along_both_axes {
    ($S:ident, $transform:path, $tile:ident, $from:expr, $to:expr) => {{
        let mut half = [[$S::zero(); 6]; 6];
        for column in 0..$from {
            let mut line = [$S::zero(); 6];
            for row in 0..$from {
                line[row] = $tile[row][column];
            }
            let points = $transform(&line);
            for row in 0..$to {
                half[row][column] = points[row];
            }
        }
        for row in 0..$to {
            half[row] = $transform(&half[row]);
        }
        half
    }};
}
pub(super) use along_both_axes;
