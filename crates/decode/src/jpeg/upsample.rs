//! Upsamples a component to one value per pixel: libjpeg's triangle filter for factors of two, repetition for others.

use super::planes::Plane;

/// Upsamples a component to the size of the image, row by row.
pub struct Upsampler<'a> {
    plane: &'a Plane,
    /// Pixels per sample, horizontally and vertically.
    ratio: (usize, usize),
    /// Weighted sums of two rows of samples, before the horizontal filter.
    sums: Vec<u16>,
}

impl<'a> Upsampler<'a> {
    /// Prepares a component; `ratio` is its number of pixels per sample, horizontally and vertically.
    pub fn new(plane: &'a Plane, ratio: (usize, usize)) -> Self {
        Self {
            plane,
            ratio,
            sums: vec![0; plane.width],
        }
    }

    /// Writes row `y` of the image into `out`, which has `plane.width * ratio.0` values.
    pub fn write_row(&mut self, y: usize, out: &mut [u8]) {
        let (h, v) = self.ratio;
        let plane = self.plane;
        // libjpeg's filter needs more than 2 samples in a row; narrower components are repeated.
        let is_wide = plane.width > 2;
        let near = plane.row(y / v);
        // With two image rows per sample row, the upper one is blended with the sample row above, the lower one with
        // the sample row below.
        let is_upper = y.is_multiple_of(2);
        let far = || {
            if is_upper {
                plane.row((y / 2).saturating_sub(1))
            } else {
                plane.row(y / 2 + 1)
            }
        };
        match (h, v) {
            (1, 1) => out.copy_from_slice(near),
            (2, 1) if is_wide => {
                for (sum, &near) in self.sums.iter_mut().zip(near) {
                    *sum = u16::from(near);
                }
                widen(&self.sums, out, 1, 2, 2);
            }
            (1, 2) => {
                let bias = if is_upper { 1 } else { 2 };
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(far()) {
                    *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
            (2, 2) if is_wide => {
                for ((sum, &near), &far) in self.sums.iter_mut().zip(near).zip(far()) {
                    *sum = 3 * u16::from(near) + u16::from(far);
                }
                widen(&self.sums, out, 8, 7, 4);
            }
            _ => {
                for (out, &near) in out.chunks_exact_mut(h).zip(near) {
                    out.fill(near);
                }
            }
        }
    }
}

/// Writes two values for each of `sums`: three quarters of it and a quarter of its left or right neighbor, with the
/// given rounding biases and right shift.
fn widen(sums: &[u16], out: &mut [u8], left_bias: u16, right_bias: u16, shift: u32) {
    let last = sums.len() - 1;
    for (i, (out, &sum)) in out.chunks_exact_mut(2).zip(sums).enumerate() {
        let left = sums[i.saturating_sub(1)];
        let right = sums[(i + 1).min(last)];
        out[0] = ((3 * sum + left + left_bias) >> shift) as u8;
        out[1] = ((3 * sum + right + right_bias) >> shift) as u8;
    }
}
