//! Effective resolution: the share of an image's pixels, per side, that carry detail. The spectrum of an enlarged image
//! ends below the Nyquist frequency.

use super::round4;
use image::RgbImage;

/// Number of samples in each line that is transformed.
const LINE: usize = 128;
/// Number of frequencies above 0, up to the Nyquist frequency.
const BINS: usize = LINE / 2;
/// Number of pairs of lines that are transformed side by side.
const LANES: usize = 16;
/// Largest number of windows that are analyzed; those with the most contrast are chosen.
const MAX_WINDOWS: usize = 12;

/// Frequency up to which an image has detail, as a share of the Nyquist frequency, in (0, 1]: about `1 / s` for an
/// image that was enlarged `s` times, 1 for one that was not.
///
/// Only `region`, `[x, y, width, height]` in pixels, is analyzed. The power spectra of rows and columns are averaged
/// over the windows of 128 x 128 pixels with the most contrast. In a drawing, power falls smoothly with frequency; in
/// an enlarged image it drops sharply at the Nyquist frequency of the image before enlargement. The result is the
/// frequency above which the power stays far below the trend of the low frequencies. Regions that are flat or have a
/// side below 128 pixels give 1, since nothing can be said about them.
#[allow(clippy::needless_range_loop)] // lanes of several arrays
pub fn effective_resolution(image: &RgbImage, region: [u32; 4]) -> f64 {
    let [x0, y0, width, height] = region.map(|v| v as usize);
    if width < LINE || height < LINE {
        return 1.0;
    }
    let stride = image.width() as usize;
    let pixels = image.as_raw();
    let at = |x: usize, y: usize| -> f32 {
        let p = &pixels[(y * stride + x) * 3..][..3];
        0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])
    };

    // Choose the windows with the most contrast from a grid. Contrast is measured by the differences of samples 4
    // pixels apart.
    let steps = |length: usize| -> Vec<usize> {
        let n = (length / LINE).clamp(1, 8);
        (0..n)
            .map(|i| {
                if n == 1 {
                    (length - LINE) / 2
                } else {
                    i * (length - LINE) / (n - 1)
                }
            })
            .collect()
    };
    let mut windows: Vec<(f32, usize, usize)> = Vec::new();
    for &wy in &steps(height) {
        for &wx in &steps(width) {
            let (left, top) = (x0 + wx, y0 + wy);
            let mut busy = 0.0;
            for y in (0..LINE - 4).step_by(8) {
                for x in (0..LINE - 4).step_by(8) {
                    let here = at(left + x, top + y);
                    busy += (at(left + x + 4, top + y) - here).abs().min(40.0)
                        + (at(left + x, top + y + 4) - here).abs().min(40.0);
                }
            }
            windows.push((busy, left, top));
        }
    }
    windows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    windows.truncate(MAX_WINDOWS);

    let transform = Fourier::new();
    let mut power = [0f64; BINS + 1];
    let (mut rows, mut columns) = ([[0f32; LANES]; LINE], [[0f32; LANES]; LINE]);
    for (_, left, top) in windows {
        for first in (0..LINE).step_by(4 * LANES) {
            for (k, (rows, columns)) in rows.iter_mut().zip(&mut columns).enumerate() {
                for lane in 0..LANES {
                    rows[lane] = at(left + k, top + first + 4 * lane);
                    columns[lane] = at(left + first + 4 * lane, top + k);
                }
            }
            transform.add_power(&mut rows, &mut columns, &mut power);
        }
    }
    round4(cliff(&power))
}

/// Frequency at which a power spectrum is cut off, as a share of the Nyquist frequency; 1 without a cutoff.
fn cliff(power: &[f64; BINS + 1]) -> f64 {
    /// Sum of the power at low frequencies below which a region counts as flat.
    const FLOOR: f64 = 1e-9;
    /// A frequency counts as cut off when its power lies this far below the extrapolated spectrum, in powers of ten.
    const DROP: f64 = 1.1;
    if power[2..10].iter().sum::<f64>() < FLOOR {
        return 1.0;
    }
    // Smoothed log power.
    let log: Vec<f64> = (0..=BINS)
        .map(|k| {
            let (from, to) = (k.saturating_sub(1).max(1), (k + 1).min(BINS));
            let mean = power[from..=to].iter().sum::<f64>() / (to - from + 1) as f64;
            mean.max(1e-12).log10()
        })
        .collect();
    // The trend at low frequencies, fitted by least squares of log power over log frequency and extrapolated.
    let (from, to) = (3, 14);
    let n = (to - from) as f64;
    let (mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0);
    for (k, &y) in log.iter().enumerate().take(to).skip(from) {
        let x = (k as f64).log10();
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
    }
    let slope = ((sxy - sx * sy / n) / (sxx - sx * sx / n)).clamp(-3.2, -1.0);
    let level = (sy - slope * sx) / n;
    // Beyond the cutoff one bin in ten may be stronger (aliases of a cheap filter, the grid of JPEG blocks).
    let mut n_above = 0;
    let mut cut = BINS + 1;
    for k in (from + 3..=BINS).rev() {
        let is_above = log[k] > level + slope * (k as f64).log10() - DROP;
        n_above += usize::from(is_above);
        if !is_above && n_above * 10 <= BINS + 1 - k {
            cut = k;
        }
    }
    if cut > BINS - 4 {
        1.0
    } else {
        cut as f64 / BINS as f64
    }
}

/// A radix-2 Fourier transform of 128 samples, in plain f32 so that every machine gives the same bits.
struct Fourier {
    window: [f32; LINE],
    cos: [f32; LINE / 2],
    sin: [f32; LINE / 2],
}

impl Fourier {
    fn new() -> Self {
        let angle = |i: usize| std::f64::consts::TAU * i as f64 / LINE as f64;
        Self {
            window: std::array::from_fn(|i| (0.5 - 0.5 * (angle(i) + angle(1) / 2.0).cos()) as f32),
            cos: std::array::from_fn(|i| angle(i).cos() as f32),
            sin: std::array::from_fn(|i| -angle(i).sin() as f32),
        }
    }

    /// Adds the power spectra of real lines to `power`. The lines `a` and `b` of each lane are transformed together, as
    /// the real and imaginary part of one complex line, and overwritten.
    fn add_power(
        &self,
        a: &mut [[f32; LANES]; LINE],
        b: &mut [[f32; LANES]; LINE],
        power: &mut [f64; BINS + 1],
    ) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature that the function is compiled for was just detected.
            return unsafe { self.add_power_avx2(a, b, power) };
        }
        self.add_power_plain(a, b, power);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_power_avx2(
        &self,
        a: &mut [[f32; LANES]; LINE],
        b: &mut [[f32; LANES]; LINE],
        power: &mut [f64; BINS + 1],
    ) {
        self.add_power_plain(a, b, power);
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // lanes of several arrays
    fn add_power_plain(
        &self,
        re: &mut [[f32; LANES]; LINE],
        im: &mut [[f32; LANES]; LINE],
        power: &mut [f64; BINS + 1],
    ) {
        self.weigh(re);
        self.weigh(im);
        let mut half = 1;
        while half < LINE {
            let step = LINE / (2 * half);
            for start in (0..LINE).step_by(2 * half) {
                for k in 0..half {
                    let (c, s) = (self.cos[k * step], self.sin[k * step]);
                    let (i, j) = (start + k, start + k + half);
                    for l in 0..LANES {
                        let (x, y) = (re[j][l], im[j][l]);
                        let (tr, ti) = (x * c - y * s, x * s + y * c);
                        (re[j][l], im[j][l]) = (re[i][l] - tr, im[i][l] - ti);
                        (re[i][l], im[i][l]) = (re[i][l] + tr, im[i][l] + ti);
                    }
                }
            }
            half *= 2;
        }
        // |A|^2 + |B|^2 from the bins k and -k of the joint spectrum.
        for k in 1..=BINS {
            let j = LINE - k;
            for l in 0..LANES {
                let norm = re[k][l] * re[k][l]
                    + im[k][l] * im[k][l]
                    + re[j][l] * re[j][l]
                    + im[j][l] * im[j][l];
                power[k] += f64::from(norm) * 0.5;
            }
        }
    }

    /// Subtracts the mean of each line, applies the window, and puts the samples in bit-reversed order.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // lanes of several arrays
    fn weigh(&self, lines: &mut [[f32; LANES]; LINE]) {
        let mut means = [0f32; LANES];
        for samples in lines.iter() {
            for l in 0..LANES {
                means[l] += samples[l];
            }
        }
        for mean in &mut means {
            *mean /= LINE as f32;
        }
        for (samples, &weight) in lines.iter_mut().zip(&self.window) {
            for l in 0..LANES {
                samples[l] = (samples[l] - means[l]) * weight;
            }
        }
        for i in 0..LINE {
            let j = i.reverse_bits() >> (usize::BITS - LINE.trailing_zeros());
            if i < j {
                lines.swap(i, j);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use image::imageops::{FilterType, resize};

    /// An image of lines and patches with hard edges, as in drawn art.
    fn art(side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let (fx, fy) = (x as f32, y as f32);
            let line = ((fx * 0.31 + (fy * 0.045).sin() * 20.0) % 37.0) < 2.0
                || ((fy * 0.7 - fx * 0.2) % 53.0).abs() < 1.5;
            let patch = ((fx / 61.0).sin() + (fy / 47.0).cos()) > 0.4;
            Rgb(if line {
                [25, 20, 30]
            } else if patch {
                [240, 200, 180]
            } else {
                [120, 150, 220]
            })
        })
    }

    #[test]
    fn enlargement_is_found_by_the_spectrum() {
        let native = art(600);
        let whole =
            |image: &RgbImage| effective_resolution(image, [0, 0, image.width(), image.height()]);
        assert!(whole(&native) > 0.9, "native {}", whole(&native));
        for factor in [2.0, 3.0] {
            for filter in [FilterType::CatmullRom, FilterType::Lanczos3] {
                let small = resize(
                    &art(1200),
                    (600.0 / factor) as u32,
                    (600.0 / factor) as u32,
                    FilterType::Lanczos3,
                );
                let large = resize(&small, 600, 600, filter);
                let found = whole(&large);
                let expected = 1.0 / factor;
                assert!(
                    (found - expected).abs() < 0.2 && found < 0.75,
                    "x{factor} {filter:?}: {found}"
                );
            }
        }
    }

    #[test]
    fn flat_and_tiny_images_are_left_alone() {
        assert_eq!(
            effective_resolution(
                &RgbImage::from_pixel(300, 300, Rgb([9; 3])),
                [0, 0, 300, 300]
            ),
            1.0
        );
        assert_eq!(effective_resolution(&art(100), [0, 0, 100, 100]), 1.0);
    }

    #[test]
    fn the_transform_agrees_with_the_definition() {
        let a: [f32; LINE] = std::array::from_fn(|i| ((i * i) % 97) as f32);
        let b: [f32; LINE] = std::array::from_fn(|i| ((i * 31) % 53) as f32);
        // The lanes hold multiples of the same line.
        let lanes = |line: &[f32; LINE]| line.map(|v| std::array::from_fn(|l| v * l as f32));
        let fourier = Fourier::new();
        let mut power = [0f64; BINS + 1];
        fourier.add_power(&mut lanes(&a), &mut lanes(&b), &mut power);
        let squares: usize = (0..LANES).map(|l| l * l).sum();
        for k in [1, 7, 33, 64] {
            let mut expected = 0.0;
            for line in [&a, &b] {
                let mean = line.iter().sum::<f32>() / LINE as f32;
                let (mut re, mut im) = (0.0, 0.0);
                for (i, sample) in line.iter().enumerate() {
                    let v = f64::from((sample - mean) * fourier.window[i]);
                    let angle = std::f64::consts::TAU * (k * i) as f64 / LINE as f64;
                    re += v * angle.cos();
                    im -= v * angle.sin();
                }
                expected += re * re + im * im;
            }
            expected *= squares as f64;
            assert!(
                (power[k] - expected).abs() < 1e-3 * expected.max(1.0),
                "bin {k}: {} {expected}",
                power[k]
            );
        }
    }
}
