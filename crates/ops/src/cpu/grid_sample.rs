//! Bilinear sampling, its adjoint, and its derivative with respect to the grid, on NCHW slices.
//!
//! Offsets and weights are computed once for a chunk of points and used for all channels of a task. A neighbor outside
//! the image has weight 0 and the offset 0, which is valid to read.

use std::ops::{Add, AddAssign, Mul, Sub};

use super::parallel::parallel;
use super::simd::{Simd, dispatch, isa};

/// Sizes of one call: `n` images of `c` channels, `h` by `w` pixels, sampled at `out_h` by `out_w` points each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GridGeometry {
    pub n: usize,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub out_h: usize,
    pub out_w: usize,
}

/// The operations on f32 and f64 that the kernels need.
pub(crate) trait Real:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + AddAssign
{
    fn from_usize(value: usize) -> Self;
    fn half() -> Self;
    fn one() -> Self;
    fn floor(self) -> Self;
    /// Conversion to i32; values out of range become the nearest i32.
    fn to_i32(self) -> i32;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            #[inline(always)]
            fn from_usize(value: usize) -> Self {
                value as $t
            }
            #[inline(always)]
            fn half() -> Self {
                0.5
            }
            #[inline(always)]
            fn one() -> Self {
                1.0
            }
            #[inline(always)]
            fn floor(self) -> Self {
                <$t>::floor(self)
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                self as i32
            }
        }
    };
}
real!(f32);
real!(f64);

/// The number of points whose offsets and weights are computed together.
const CHUNK: usize = 64;
/// The number of channels that one task processes.
const TASK_CHANNELS: usize = 8;

/// For each point of a chunk, the offsets in the plane of its four neighboring pixels, and their weights.
struct Taps<T> {
    offsets: [[u32; CHUNK]; 4],
    weights: [[T; CHUNK]; 4],
}

/// The kind of weights that [`taps`] computes: of the sample, or of its derivative by the point's x or y.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weights {
    Value,
    DerivativeX,
    DerivativeY,
}

/// Offsets and weights for at most `CHUNK` points of `grid`, pairs (x, y); -1 and 1 are the edges of the image.
#[inline(always)]
fn taps<T: Real>(grid: &[T], h: usize, w: usize, what: Weights) -> Taps<T> {
    let zero = T::default();
    let mut taps = Taps {
        offsets: [[0; CHUNK]; 4],
        weights: [[zero; CHUNK]; 4],
    };
    let (half, one) = (T::half(), T::one());
    let (width, height) = (T::from_usize(w), T::from_usize(h));
    for (i, point) in grid.chunks_exact(2).take(CHUNK).enumerate() {
        let x = ((point[0] + one) * width - one) * half;
        let y = ((point[1] + one) * height - one) * half;
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let (x0, y0) = (x0.to_i32(), y0.to_i32());
        for k in 0..4 {
            let (right, down) = (k & 1 == 1, k >> 1 == 1);
            let (xi, yi) = (
                x0.wrapping_add(i32::from(right)),
                y0.wrapping_add(i32::from(down)),
            );
            let inside = xi >= 0 && yi >= 0 && (xi as usize) < w && (yi as usize) < h;
            let mut wx = if right { fx } else { one - fx };
            let mut wy = if down { fy } else { one - fy };
            if what == Weights::DerivativeX {
                wx = (if right { half } else { zero - half }) * width;
            }
            if what == Weights::DerivativeY {
                wy = (if down { half } else { zero - half }) * height;
            }
            taps.offsets[k][i] = if inside {
                yi as u32 * w as u32 + xi as u32
            } else {
                0
            };
            taps.weights[k][i] = if inside { wx * wy } else { zero };
        }
    }
    taps
}

/// The weighted sum of the four neighbors of point `i`.
///
/// # Safety
/// `plane` holds every offset of the chunk, and `i` is below `CHUNK`.
#[inline(always)]
unsafe fn gather<T: Real>(taps: &Taps<T>, plane: *const T, i: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe {
        let [a, b, c, d] = &taps.offsets;
        let [wa, wb, wc, wd] = &taps.weights;
        (*plane.add(a[i] as usize) * wa[i] + *plane.add(b[i] as usize) * wb[i])
            + (*plane.add(c[i] as usize) * wc[i] + *plane.add(d[i] as usize) * wd[i])
    }
}

/// Samples `channels` channels of one image at all points of `grid`, into `y[channel][point]`.
///
/// # Safety
/// `x` holds `channels` planes of `h * w` values, `y` as many planes of `grid.len() / 2`.
#[inline(always)]
unsafe fn sample_task<S: Simd, T: Real>(
    g: GridGeometry,
    channels: usize,
    x: *const T,
    grid: &[T],
    y: *mut T,
) {
    let points = g.out_h * g.out_w;
    for (chunk, part) in grid.chunks(2 * CHUNK).enumerate() {
        let taps = taps(part, g.h, g.w, Weights::Value);
        for channel in 0..channels {
            // SAFETY: offsets lie in the plane, points in the output.
            unsafe {
                let plane = x.add(channel * g.h * g.w);
                let out = y.add(channel * points + chunk * CHUNK);
                for i in 0..part.len() / 2 {
                    *out.add(i) = gather(&taps, plane, i);
                }
            }
        }
    }
}
dispatch!(unsafe fn sample_channels<T: Real>(
    g: GridGeometry, channels: usize, x: *const T, grid: &[T], y: *mut T,
) = sample_task);

/// The adjoint of [`sample_task`]: adds `dy[channel][point]` to the neighbors of each point in `dx`, initially zeros.
///
/// # Safety
/// `dx` holds `channels` planes of `h * w` values, `dy` as many planes of `grid.len() / 2`.
#[inline(always)]
unsafe fn spread_task<S: Simd, T: Real>(
    g: GridGeometry,
    channels: usize,
    dy: *const T,
    grid: &[T],
    dx: *mut T,
) {
    let points = g.out_h * g.out_w;
    for (chunk, part) in grid.chunks(2 * CHUNK).enumerate() {
        let taps = taps(part, g.h, g.w, Weights::Value);
        for channel in 0..channels {
            // SAFETY: offsets lie in the plane, points in the gradient.
            unsafe {
                let plane = dx.add(channel * g.h * g.w);
                let from = dy.add(channel * points + chunk * CHUNK);
                for i in 0..part.len() / 2 {
                    let value = *from.add(i);
                    for k in 0..4 {
                        *plane.add(taps.offsets[k][i] as usize) += value * taps.weights[k][i];
                    }
                }
            }
        }
    }
}
dispatch!(unsafe fn spread_channels<T: Real>(
    g: GridGeometry, channels: usize, dy: *const T, grid: &[T], dx: *mut T,
) = spread_task);

/// The gradient with respect to the grid of one image, summed over its channels, as pairs (x, y) in `dgrid`.
///
/// # Safety
/// `x` holds `g.c` planes of `h * w` values, `dy` as many planes of `grid.len() / 2`; `dgrid` is as long as `grid`.
#[inline(always)]
unsafe fn grid_gradient_task<S: Simd, T: Real>(
    g: GridGeometry,
    x: *const T,
    grid: &[T],
    dy: *const T,
    dgrid: *mut T,
) {
    let points = g.out_h * g.out_w;
    for (chunk, part) in grid.chunks(2 * CHUNK).enumerate() {
        for (axis, what) in [Weights::DerivativeX, Weights::DerivativeY]
            .into_iter()
            .enumerate()
        {
            let taps = taps(part, g.h, g.w, what);
            let mut sums = [T::default(); CHUNK];
            for channel in 0..g.c {
                // SAFETY: offsets lie in the plane, points in the gradient.
                unsafe {
                    let plane = x.add(channel * g.h * g.w);
                    let from = dy.add(channel * points + chunk * CHUNK);
                    for (i, sum) in sums.iter_mut().enumerate().take(part.len() / 2) {
                        *sum += gather(&taps, plane, i) * *from.add(i);
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate().take(part.len() / 2) {
                // SAFETY: `dgrid` has as many pairs as the grid.
                unsafe { *dgrid.add(2 * (chunk * CHUNK + i) + axis) = *sum };
            }
        }
    }
}
dispatch!(unsafe fn grid_gradient_image<T: Real>(
    g: GridGeometry, x: *const T, grid: &[T], dy: *const T, dgrid: *mut T,
) = grid_gradient_task);

/// A pointer that several tasks share; each task writes to its own part of the memory.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);
// SAFETY: every user writes disjoint ranges from different threads.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// `offset` must be inside the allocation.
    unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// Runs `task(image, first channel, number of channels)` in parallel until all channels of all images are covered.
fn channel_tasks(g: GridGeometry, task: impl Fn(usize, usize, usize) + Send + Sync) {
    let chunks = g.c.div_ceil(TASK_CHANNELS);
    parallel(g.n * chunks, |i| {
        let first = i % chunks * TASK_CHANNELS;
        task(i / chunks, first, TASK_CHANNELS.min(g.c - first));
    });
}

/// Samples `x`, `[n, c, h, w]`, at the points of `grid`, `[n, out_h, out_w, 2]`.
pub(crate) fn sample<T: Real>(g: GridGeometry, x: &[T], grid: &[T]) -> Vec<T> {
    let points = g.out_h * g.out_w;
    let mut y = vec![T::default(); g.n * g.c * points];
    let to = Shared(y.as_mut_ptr());
    channel_tasks(g, |image, first, channels| {
        let plane = image * g.c + first;
        // SAFETY: each task writes its own planes, and all slices have the sizes of the geometry.
        unsafe {
            sample_channels(
                isa(),
                g,
                channels,
                x[plane * g.h * g.w..].as_ptr(),
                &grid[2 * image * points..2 * (image + 1) * points],
                to.at(plane * points),
            );
        }
    });
    y
}

/// The adjoint of [`sample`] for a fixed grid: the gradient with respect to `x` for the gradient `dy` of the result.
pub(crate) fn spread<T: Real>(g: GridGeometry, dy: &[T], grid: &[T]) -> Vec<T> {
    let points = g.out_h * g.out_w;
    let mut dx = vec![T::default(); g.n * g.c * g.h * g.w];
    let to = Shared(dx.as_mut_ptr());
    channel_tasks(g, |image, first, channels| {
        let plane = image * g.c + first;
        // SAFETY: as in `sample`.
        unsafe {
            spread_channels(
                isa(),
                g,
                channels,
                dy[plane * points..].as_ptr(),
                &grid[2 * image * points..2 * (image + 1) * points],
                to.at(plane * g.h * g.w),
            );
        }
    });
    dx
}

/// The gradient with respect to the grid for the gradient `dy` of the result of [`sample`].
pub(crate) fn grid_gradient<T: Real>(g: GridGeometry, x: &[T], grid: &[T], dy: &[T]) -> Vec<T> {
    let points = g.out_h * g.out_w;
    let mut dgrid = vec![T::default(); grid.len()];
    let to = Shared(dgrid.as_mut_ptr());
    parallel(g.n, |image| {
        // SAFETY: as in `sample`.
        unsafe {
            grid_gradient_image(
                isa(),
                g,
                x[image * g.c * g.h * g.w..].as_ptr(),
                &grid[2 * image * points..2 * (image + 1) * points],
                dy[image * g.c * points..].as_ptr(),
                to.at(2 * image * points),
            );
        }
    });
    dgrid
}
