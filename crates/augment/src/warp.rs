//! The geometric stage for one image (pad by reflection, upsample, sample bilinearly, downsample), and its adjoint.
//!
//! Up to four channels are processed together, stored as `[y][x][channel]`, so that the channels of each pixel form one
//! short vector; a channel is a lane of this vector. Only the part of the upsampled image from which the map samples is
//! computed.

use std::ops::Range;

use candle_core::WithDType;

use crate::geometry::{Map, warped_size};

/// The low-pass filter of Daubechies' symlet with six vanishing moments (`sym6`).
pub(crate) const SYM6: [f64; 12] = [
    0.015_404_109_327_027_373,
    0.003_490_712_084_217_47,
    -0.117_990_111_148_190_57,
    -0.048_311_742_585_633,
    0.491_055_941_926_746_7,
    0.787_641_141_030_194,
    0.337_929_421_727_621_8,
    -0.072_637_522_786_462_52,
    -0.021_060_292_512_300_564,
    0.044_724_901_770_665_78,
    0.001_767_711_864_242_803_6,
    -0.007_800_708_325_034_148,
];

/// The number of taps that contribute to an upsampled pixel: every other tap of the filter.
const PHASE_TAPS: usize = SYM6.len() / 2;
/// The number of rows and columns at each edge of the warped image that downsampling does not read.
const UNUSED: usize = 1;

/// The geometric stage for one image.
pub(crate) struct Warp<'a> {
    pub width: usize,
    pub height: usize,
    /// The number of reflected pixels: left, right, top, bottom.
    pub margin: [usize; 4],
    pub map: &'a Map,
}

/// One axis (x or y) of the padded image, and the window: the range of pixels of the upsampled image on this axis that
/// the map reads.
struct Axis {
    len: usize,
    before: usize,
    padded: usize,
    window: Range<usize>,
}

impl Axis {
    fn new(len: usize, before: usize, after: usize, read: (f64, f64)) -> Self {
        let padded = len + before + after;
        let last = 2.0 * padded as f64;
        let start = (read.0 - 1e-6).floor().clamp(0.0, last) as usize;
        let end = ((read.1 + 1e-6).floor() + 2.0).clamp(0.0, last) as usize;
        Axis {
            len,
            before,
            padded,
            window: start..end.max(start),
        }
    }

    /// The index of the first padded pixel that the upsampled pixel `u` depends on; it may be negative.
    fn first(u: usize) -> isize {
        (u / 2) as isize - 3 + (u % 2) as isize
    }

    /// The padded pixels that the window depends on; some may be outside the padded image.
    fn support(&self) -> Range<isize> {
        let last = self.window.end - 1;
        Self::first(self.window.start)..Self::first(last) + PHASE_TAPS as isize
    }

    /// The index of the image pixel that is copied to padded pixel `k`; `None` if `k` is outside the padded image.
    fn source(&self, k: isize) -> Option<usize> {
        if k < 0 || k as usize >= self.padded {
            return None;
        }
        let i = (k - self.before as isize).unsigned_abs();
        // A margin is smaller than the image, so one reflection is enough.
        Some(i.min(2 * (self.len - 1) - i))
    }
}

/// The filter taps in the number type of the image.
struct Taps<T> {
    /// The taps for downsampling, with a sum of 1.
    down: [T; 12],
    /// The taps for upsampling, with a sum of 2, split into those for even and for odd pixels.
    up: [[T; PHASE_TAPS]; 2],
}

impl<T: WithDType> Taps<T> {
    fn new() -> Self {
        let sum: f64 = SYM6.iter().sum();
        Taps {
            down: SYM6.map(|tap| T::from_f64(tap / sum)),
            up: std::array::from_fn(|phase| {
                std::array::from_fn(|t| T::from_f64(2.0 * SYM6[11 - phase - 2 * t] / sum))
            }),
        }
    }
}

/// `sum += tap * values`
#[inline(always)]
fn add_scaled<T: WithDType>(sum: &mut [T], tap: T, values: &[T]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += tap * *value;
    }
}

/// The largest integer up to `x`. Avoids `f64::floor`, which is a library call on x86-64 without SSE4.1.
#[inline(always)]
fn floor(x: f64) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(f64::from(towards_zero) > x)
}

/// The four pixels around the point (x, y) of the upsampled image: for each, the offset in the window and the weight in
/// bilinear interpolation.
#[inline(always)]
fn neighbors<T: WithDType>(x: f64, y: f64, columns: &Axis, rows: &Axis) -> [(usize, T); 4] {
    let (x0, y0) = (floor(x), floor(y));
    let (fx, fy) = (x - f64::from(x0), y - f64::from(y0));
    let (width, height) = (columns.window.len(), rows.window.len());
    let xi = i64::from(x0) - columns.window.start as i64;
    let yi = i64::from(y0) - rows.window.start as i64;
    let weights = [
        (1.0 - fx) * (1.0 - fy),
        fx * (1.0 - fy),
        (1.0 - fx) * fy,
        fx * fy,
    ];
    if xi >= 0 && yi >= 0 && xi + 1 < width as i64 && yi + 1 < height as i64 {
        let at = yi as usize * width + xi as usize;
        let offsets = [at, at + 1, at + width, at + width + 1];
        return std::array::from_fn(|k| (offsets[k], T::from_f64(weights[k])));
    }
    // Neighbors outside the window are outside the padded image, where pixels are zero.
    std::array::from_fn(|k| {
        let (x, y) = (xi + (k % 2) as i64, yi + (k / 2) as i64);
        if x >= 0 && y >= 0 && x < width as i64 && y < height as i64 {
            (y as usize * width + x as usize, T::from_f64(weights[k]))
        } else {
            (0, T::zero())
        }
    })
}

impl Warp<'_> {
    fn axes(&self) -> (Axis, Axis) {
        let [left, right, top, bottom] = self.margin;
        let last = |size| (warped_size(size) - 1 - UNUSED) as f64;
        let first = UNUSED as f64;
        let read = |axis: usize| {
            let [a, b, c] = self.map.pixels[axis];
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for x in [first, last(self.width)] {
                for y in [first, last(self.height)] {
                    let position = a * x + b * y + c;
                    (low, high) = (low.min(position), high.max(position));
                }
            }
            (low, high)
        };
        (
            Axis::new(self.width, left, right, read(0)),
            Axis::new(self.height, top, bottom, read(1)),
        )
    }

    fn position(&self, axis: usize, x: usize, y: usize) -> f64 {
        let [a, b, c] = self.map.pixels[axis];
        a * x as f64 + (b * y as f64 + c)
    }

    /// Warps the planes of one image from `x` to `y`, both `[channels, height, width]`.
    pub fn forward<T: WithDType>(&self, x: &[T], y: &mut [T]) {
        let plane = self.width * self.height;
        for (x, y) in x.chunks(4 * plane).zip(y.chunks_mut(4 * plane)) {
            match x.len() / plane {
                1 => self.forward_lanes::<T, 1>(x, y),
                2 => self.forward_lanes::<T, 2>(x, y),
                _ => self.forward_lanes::<T, 4>(x, y),
            }
        }
    }

    /// The adjoint of [`Self::forward`]: computes the gradient `dx` of the input from the gradient `dy` of the output.
    pub fn adjoint<T: WithDType>(&self, dy: &[T], dx: &mut [T]) {
        let plane = self.width * self.height;
        for (dy, dx) in dy.chunks(4 * plane).zip(dx.chunks_mut(4 * plane)) {
            match dy.len() / plane {
                1 => self.adjoint_lanes::<T, 1>(dy, dx),
                2 => self.adjoint_lanes::<T, 2>(dy, dx),
                _ => self.adjoint_lanes::<T, 4>(dy, dx),
            }
        }
    }

    fn forward_lanes<T: WithDType, const L: usize>(&self, x: &[T], y: &mut [T]) {
        let (columns, rows) = self.axes();
        if columns.window.is_empty() || rows.window.is_empty() {
            y.fill(T::zero());
            return;
        }
        let taps = Taps::<T>::new();
        let (width, height) = (self.width, self.height);
        let plane = width * height;
        let channels = x.len() / plane;
        let up_width = columns.window.len();

        // Pad and upsample along x.
        let support = columns.support();
        let mut padded = vec![[T::zero(); L]; support.len()];
        let mut wide = vec![[T::zero(); L]; height * up_width];
        for (row, wide) in wide.chunks_exact_mut(up_width).enumerate() {
            for (k, value) in support.clone().zip(&mut padded) {
                if let Some(column) = columns.source(k) {
                    for (lane, value) in value.iter_mut().enumerate().take(channels) {
                        *value = x[lane * plane + row * width + column];
                    }
                }
            }
            for (u, out) in columns.window.clone().zip(wide) {
                let first = (Axis::first(u) - support.start) as usize;
                let mut sum = [T::zero(); L];
                for (tap, value) in taps.up[u % 2].iter().zip(&padded[first..]) {
                    for lane in 0..L {
                        sum[lane] += *tap * value[lane];
                    }
                }
                *out = sum;
            }
        }

        // Pad and upsample along y.
        let mut large = vec![[T::zero(); L]; rows.window.len() * up_width];
        for (v, out) in rows.window.clone().zip(large.chunks_exact_mut(up_width)) {
            for (t, tap) in taps.up[v % 2].iter().enumerate() {
                if let Some(row) = rows.source(Axis::first(v) + t as isize) {
                    let from = &wide[row * up_width..(row + 1) * up_width];
                    add_scaled(out.as_flattened_mut(), *tap, from.as_flattened());
                }
            }
        }

        // Sample one row at a time and downsample it along x.
        let (out_width, out_height) = (warped_size(width), warped_size(height));
        let mut sampled = vec![[T::zero(); L]; out_width];
        let mut narrow = vec![[T::zero(); L]; out_height * width];
        for row in UNUSED..out_height - UNUSED {
            for (column, out) in sampled.iter_mut().enumerate() {
                let (px, py) = (self.position(0, column, row), self.position(1, column, row));
                let mut sum = [T::zero(); L];
                for (at, weight) in neighbors::<T>(px, py, &columns, &rows) {
                    for lane in 0..L {
                        sum[lane] += weight * large[at][lane];
                    }
                }
                *out = sum;
            }
            for (column, out) in narrow[row * width..(row + 1) * width]
                .iter_mut()
                .enumerate()
            {
                let mut sum = [T::zero(); L];
                for (tap, value) in taps.down.iter().zip(&sampled[2 * column + UNUSED..]) {
                    for lane in 0..L {
                        sum[lane] += *tap * value[lane];
                    }
                }
                *out = sum;
            }
        }

        // Downsample along y.
        let mut line = vec![[T::zero(); L]; width];
        for row in 0..height {
            line.fill([T::zero(); L]);
            for (t, tap) in taps.down.iter().enumerate() {
                let from = (2 * row + UNUSED + t) * width;
                let from = &narrow[from..from + width];
                add_scaled(line.as_flattened_mut(), *tap, from.as_flattened());
            }
            for lane in 0..channels {
                for (column, value) in line.iter().enumerate() {
                    y[lane * plane + row * width + column] = value[lane];
                }
            }
        }
    }

    /// The transposed steps of `forward_lanes` in reverse order.
    fn adjoint_lanes<T: WithDType, const L: usize>(&self, dy: &[T], dx: &mut [T]) {
        dx.fill(T::zero());
        let (columns, rows) = self.axes();
        if columns.window.is_empty() || rows.window.is_empty() {
            return;
        }
        let taps = Taps::<T>::new();
        let (width, height) = (self.width, self.height);
        let plane = width * height;
        let channels = dy.len() / plane;
        let up_width = columns.window.len();

        // The adjoint of downsampling along y.
        let (out_width, out_height) = (warped_size(width), warped_size(height));
        let mut narrow = vec![[T::zero(); L]; out_height * width];
        let mut line = vec![[T::zero(); L]; width];
        for row in 0..height {
            for lane in 0..channels {
                for (column, value) in line.iter_mut().enumerate() {
                    value[lane] = dy[lane * plane + row * width + column];
                }
            }
            for (t, tap) in taps.down.iter().enumerate() {
                let to = (2 * row + UNUSED + t) * width;
                let to = &mut narrow[to..to + width];
                add_scaled(to.as_flattened_mut(), *tap, line.as_flattened());
            }
        }

        // The adjoints of downsampling along x and of sampling.
        let mut sampled = vec![[T::zero(); L]; out_width];
        let mut large = vec![[T::zero(); L]; rows.window.len() * up_width];
        for row in UNUSED..out_height - UNUSED {
            sampled.fill([T::zero(); L]);
            for (column, value) in narrow[row * width..(row + 1) * width].iter().enumerate() {
                for (tap, out) in taps.down.iter().zip(&mut sampled[2 * column + UNUSED..]) {
                    for lane in 0..L {
                        out[lane] += *tap * value[lane];
                    }
                }
            }
            for (column, value) in sampled.iter().enumerate() {
                let (px, py) = (self.position(0, column, row), self.position(1, column, row));
                for (at, weight) in neighbors::<T>(px, py, &columns, &rows) {
                    for lane in 0..L {
                        large[at][lane] += weight * value[lane];
                    }
                }
            }
        }

        // The adjoints of upsampling and padding along y.
        let mut wide = vec![[T::zero(); L]; height * up_width];
        for (v, from) in rows.window.clone().zip(large.chunks_exact(up_width)) {
            for (t, tap) in taps.up[v % 2].iter().enumerate() {
                if let Some(row) = rows.source(Axis::first(v) + t as isize) {
                    let to = &mut wide[row * up_width..(row + 1) * up_width];
                    add_scaled(to.as_flattened_mut(), *tap, from.as_flattened());
                }
            }
        }

        // The adjoints of upsampling and padding along x.
        let support = columns.support();
        let mut padded = vec![[T::zero(); L]; support.len()];
        for (row, wide) in wide.chunks_exact(up_width).enumerate() {
            padded.fill([T::zero(); L]);
            for (u, value) in columns.window.clone().zip(wide) {
                let first = (Axis::first(u) - support.start) as usize;
                for (tap, out) in taps.up[u % 2].iter().zip(&mut padded[first..]) {
                    for lane in 0..L {
                        out[lane] += *tap * value[lane];
                    }
                }
            }
            for (k, value) in support.clone().zip(&padded) {
                if let Some(column) = columns.source(k) {
                    for (lane, value) in value.iter().enumerate().take(channels) {
                        dx[lane * plane + row * width + column] += *value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_orthonormal_to_its_shifts() {
        for shift in 0..6 {
            let product: f64 = (0..12 - 2 * shift)
                .map(|i| SYM6[i] * SYM6[i + 2 * shift])
                .sum();
            let expected = f64::from(u8::from(shift == 0));
            assert!((product - expected).abs() < 1e-9, "{shift} {product}");
        }
    }

    #[test]
    fn reflection_repeats_no_edge() {
        let axis = Axis::new(4, 3, 3, (0.0, 19.0));
        let sources: Vec<_> = (-1..11).map(|k| axis.source(k)).collect();
        let expected = [3, 2, 1, 0, 1, 2, 3, 2, 1, 0].map(Some);
        assert_eq!(sources[1..11], expected);
        assert_eq!((sources[0], sources[11]), (None, None));
    }
}
