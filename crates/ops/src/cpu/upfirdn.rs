//! Upsampling, padding, filtering and downsampling of planes: a fast path for separable filters in f32, and a plain
//! path for everything else.

use super::parallel::{parallel, threads};
use super::scratch::{Shared, uninit, with_scratch};
use super::simd::{Simd, dispatch, isa};

/// The sizes along one axis: `out[i] = sum over k of taps[k] * zero_stuffed[i * down + k - pad]`.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub len: usize,
    pub out_len: usize,
    pub up: usize,
    pub down: usize,
    /// Zeros before the first value, counted after upsampling; negative values crop.
    pub pad: isize,
}

/// The taps of a filter, to be applied as a cross-correlation.
#[derive(Clone, Debug)]
pub(crate) enum Taps {
    Separable {
        x: Vec<f64>,
        y: Vec<f64>,
    },
    Full {
        values: Vec<f64>,
        rows: usize,
        columns: usize,
    },
}

/// Filters `planes` images of `y.len` rows and `x.len` columns to `y.out_len` rows and `x.out_len` columns, in f32.
pub(crate) fn filter_f32(
    input: &[f32],
    planes: usize,
    x: &Axis,
    y: &Axis,
    taps: &Taps,
) -> Vec<f32> {
    let Taps::Separable {
        x: x_taps,
        y: y_taps,
    } = taps
    else {
        return filter_any(input, planes, x, y, taps);
    };
    let single = |taps: &[f64]| taps.iter().map(|&t| t as f32).collect::<Vec<_>>();
    let (x_taps, y_taps) = (single(x_taps), single(y_taps));
    let out_plane = x.out_len * y.out_len;
    // SAFETY: every value is written below, before any is read.
    let mut out = unsafe { uninit(planes * out_plane) };
    let to = Shared(out.as_mut_ptr());
    // Each task filters planes with about 2^15 result pixels in all, or fewer so that every thread has a task.
    let per_task = (1usize << 15)
        .div_ceil(out_plane.max(1))
        .min(planes.div_ceil(threads()))
        .max(1);
    let isa = isa();
    // The scratch buffer: one zero-stuffed row, and all rows after the horizontal filter.
    let stuffed = (x.len * x.up).max(x.out_len * x.down) + x_taps.len() + x.pad.unsigned_abs() + 64;
    parallel(planes.div_ceil(per_task), |task| {
        with_scratch(stuffed + y.len * x.out_len, |scratch| {
            let (row, rows) = scratch.split_at_mut(stuffed);
            for plane in task * per_task..((task + 1) * per_task).min(planes) {
                let from = &input[plane * x.len * y.len..][..x.len * y.len];
                // SAFETY: each task writes its own planes.
                unsafe {
                    let out = std::slice::from_raw_parts_mut(to.at(plane * out_plane), out_plane);
                    filter_plane(isa, from, x, y, &x_taps, &y_taps, row, rows, out);
                }
            }
        });
    });
    out
}

// No closures below: a closure would be compiled without the instruction set of S.
#[inline(always)]
unsafe fn filter_plane_body<S: Simd>(
    input: &[f32],
    x: &Axis,
    y: &Axis,
    x_taps: &[f32],
    y_taps: &[f32],
    row: &mut [f32],
    rows: &mut [f32],
    out: &mut [f32],
) {
    let width = x.out_len;
    row.fill(0.0);
    let (lead, crop) = (x.pad.max(0) as usize, (-x.pad).max(0) as usize);
    for r in 0..y.len {
        let from = &input[r * x.len..][..x.len];
        if x.up == 1 {
            row[lead..lead + x.len].copy_from_slice(from);
        } else {
            for (i, value) in from.iter().enumerate() {
                row[lead + i * x.up] = *value;
            }
        }
        let to = &mut rows[r * width..][..width];
        filter_row(&row[crop..], x.down, x_taps, to);
    }
    for o in 0..y.out_len {
        let to = &mut out[o * width..][..width];
        // The horizontally filtered rows that this output row depends on, with their taps.
        let mut seen = [(0usize, 0.0f32); 32];
        let mut count = 0;
        let mut first = true;
        for (k, &tap) in y_taps.iter().enumerate() {
            let at = (o * y.down + k) as isize - y.pad;
            if at < 0 || at % y.up as isize != 0 || at / y.up as isize >= y.len as isize {
                continue;
            }
            seen[count] = (at as usize / y.up, tap);
            count += 1;
            if count == 4 {
                add_rows(&seen, count, rows, width, to, first);
                (count, first) = (0, false);
            }
        }
        if count > 0 || first {
            add_rows(&seen, count, rows, width, to, first);
        }
    }
}
dispatch!(unsafe fn filter_plane(input: &[f32], x: &Axis, y: &Axis, x_taps: &[f32], y_taps: &[f32], row: &mut [f32], rows: &mut [f32], out: &mut [f32]) = filter_plane_body);

/// Writes the weighted sum of `count` (at most four) rows to `to`, or adds the sum to `to` when `first` is false.
/// `seen` holds the index and the weight of each row.
#[inline(always)]
fn add_rows(
    seen: &[(usize, f32)],
    count: usize,
    rows: &[f32],
    width: usize,
    to: &mut [f32],
    first: bool,
) {
    if first && count == 4 {
        let (a, b) = (
            &rows[seen[0].0 * width..][..width],
            &rows[seen[1].0 * width..][..width],
        );
        let (c, d) = (
            &rows[seen[2].0 * width..][..width],
            &rows[seen[3].0 * width..][..width],
        );
        let (s, t, u, v) = (seen[0].1, seen[1].1, seen[2].1, seen[3].1);
        for i in 0..width {
            to[i] = a[i] * s + b[i] * t + (c[i] * u + d[i] * v);
        }
        return;
    }
    if first && count == 2 {
        let (a, b) = (
            &rows[seen[0].0 * width..][..width],
            &rows[seen[1].0 * width..][..width],
        );
        let (s, t) = (seen[0].1, seen[1].1);
        for i in 0..width {
            to[i] = a[i] * s + b[i] * t;
        }
        return;
    }
    if first {
        to.fill(0.0);
    }
    for &(row, tap) in &seen[..count] {
        let from = &rows[row * width..][..width];
        for (to, from) in to.iter_mut().zip(from) {
            *to += from * tap;
        }
    }
}

#[inline(always)]
fn filter_row(row: &[f32], down: usize, taps: &[f32], to: &mut [f32]) {
    let len = to.len();
    if let (&[a, b, c, d], true) = (taps, down <= 2) {
        if down == 1 {
            let (r0, r1, r2, r3) = (
                &row[..len],
                &row[1..][..len],
                &row[2..][..len],
                &row[3..][..len],
            );
            for i in 0..len {
                to[i] = r0[i] * a + r1[i] * b + (r2[i] * c + r3[i] * d);
            }
        } else {
            let row = &row[..2 * len + 2];
            for i in 0..len {
                to[i] =
                    row[2 * i] * a + row[2 * i + 1] * b + (row[2 * i + 2] * c + row[2 * i + 3] * d);
            }
        }
        return;
    }
    to.fill(0.0);
    for (k, &tap) in taps.iter().enumerate() {
        if down == 1 {
            for (to, from) in to.iter_mut().zip(&row[k..][..len]) {
                *to += from * tap;
            }
        } else {
            for (i, to) in to.iter_mut().enumerate() {
                *to += row[i * down + k] * tap;
            }
        }
    }
}

/// A float type for [`filter_any`], converted from (`of`) and to (`wide`) f64.
pub(crate) trait Float: Copy + Send + Sync + 'static {
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

impl Float for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn wide(self) -> f64 {
        self
    }
}

/// The plain path: any filter in any float type, summed in f64.
pub(crate) fn filter_any<T: Float>(
    input: &[T],
    planes: usize,
    x: &Axis,
    y: &Axis,
    taps: &Taps,
) -> Vec<T> {
    let out_plane = x.out_len * y.out_len;
    let mut out = vec![T::of(0.0); planes * out_plane];
    let (rows, columns) = match taps {
        Taps::Separable { x, y } => (y.len(), x.len()),
        Taps::Full { rows, columns, .. } => (*rows, *columns),
    };
    let tap = |row: usize, column: usize| match taps {
        Taps::Separable { x, y } => y[row] * x[column],
        Taps::Full { values, .. } => values[row * columns + column],
    };
    let source = |axis: &Axis, out: usize, k: usize| {
        let at = (out * axis.down + k) as isize - axis.pad;
        let inside =
            at >= 0 && at % axis.up as isize == 0 && at / (axis.up as isize) < axis.len as isize;
        inside.then(|| at as usize / axis.up)
    };
    for (out, input) in out
        .chunks_exact_mut(out_plane.max(1))
        .zip(input.chunks_exact((x.len * y.len).max(1)))
    {
        for oy in 0..y.out_len {
            for ox in 0..x.out_len {
                let mut sum = 0.0;
                for row in 0..rows {
                    let Some(iy) = source(y, oy, row) else {
                        continue;
                    };
                    for column in 0..columns {
                        let Some(ix) = source(x, ox, column) else {
                            continue;
                        };
                        sum += tap(row, column) * input[iy * x.len + ix].wide();
                    }
                }
                out[oy * x.out_len + ox] = T::of(sum);
            }
        }
    }
    out
}
