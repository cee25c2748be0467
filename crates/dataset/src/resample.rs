//! Resizes images with Pillow's arithmetic, bit for bit, so that NVIDIA's `dataset_tool.py` and this crate pack the
//! same pixels.
//!
//! An image is resized in two passes over 8-bit values, first horizontally, then vertically; coefficients are in fixed
//! point with 22 fractional bits. When an image is reduced, the filter is widened by the same factor.

use serde::{Deserialize, Serialize};

use decode::Image;

/// Fractional bits of a coefficient: 32 less 8 for the value and 2 for the overshoot of the filter.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The resampling filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The mean of the covered area.
    Box,
    /// A sinc windowed to three lobes (Lanczos-3); sharper than [`Box`](Self::Box).
    #[default]
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Resizes an image to `width` x `height` pixels; the same size gives the same image.
///
/// Alpha is resized independently of the colors, so composite it before.
///
/// # Panics
/// When a side of the image or of the result is 0.
pub fn resize(image: &Image, width: usize, height: usize, filter: Filter) -> Image {
    assert!(
        image.width > 0 && image.height > 0 && width > 0 && height > 0,
        "resize: empty image"
    );
    let mut pixels = None;
    if width != image.width {
        pixels = Some(resize_rows(
            &image.pixels,
            image.width,
            width,
            image.channels,
            filter,
        ));
    }
    if height != image.height {
        let source = pixels.as_deref().unwrap_or(&image.pixels);
        pixels = Some(resize_columns(source, image.height, height, filter));
    }
    Image {
        width,
        height,
        channels: image.channels,
        pixels: pixels.unwrap_or_else(|| image.pixels.clone()),
    }
}

/// The input values from which one output value is computed: those from index `first` on, one for each of the
/// fixed-point `weights`.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn windows(size_in: usize, size_out: usize, filter: Filter) -> Vec<Window> {
    let scale = size_in as f64 / size_out as f64;
    let filter_scale = scale.max(1.0);
    let support = filter.support() * filter_scale;
    let inverse = 1.0 / filter_scale;
    (0..size_out)
        .map(|out| {
            let center = (out as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(size_in);
            let mut weights: Vec<f64> = (first..end)
                .map(|x| filter.weight((x as f64 - center + 0.5) * inverse))
                .collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|w| *w /= sum);
            }
            let fixed = |w: f64| (w * f64::from(1 << PRECISION_BITS) + 0.5_f64.copysign(w)) as i32;
            Window {
                first,
                weights: weights.into_iter().map(fixed).collect(),
            }
        })
        .collect()
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn resize_rows(
    pixels: &[u8],
    width: usize,
    width_out: usize,
    channels: usize,
    filter: Filter,
) -> Vec<u8> {
    let windows = windows(width, width_out, filter);
    // Inner loops over a constant number of channels are several times faster.
    match channels {
        1 => resize_rows_of::<1>(pixels, width, &windows),
        2 => resize_rows_of::<2>(pixels, width, &windows),
        3 => resize_rows_of::<3>(pixels, width, &windows),
        _ => resize_rows_of::<4>(pixels, width, &windows),
    }
}

fn resize_rows_of<const C: usize>(pixels: &[u8], width: usize, windows: &[Window]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<C>();
    let mut out = vec![[0; C]; pixels.len() / width * windows.len()];
    let rows = pixels.chunks_exact(width);
    for (row, row_out) in rows.zip(out.chunks_exact_mut(windows.len())) {
        for (window, pixel_out) in windows.iter().zip(row_out) {
            let mut sums = [HALF; C];
            for (&weight, pixel) in window.weights.iter().zip(&row[window.first..]) {
                for c in 0..C {
                    sums[c] += i32::from(pixel[c]) * weight;
                }
            }
            *pixel_out = sums.map(clip);
        }
    }
    out.into_flattened()
}

fn resize_columns(pixels: &[u8], height: usize, height_out: usize, filter: Filter) -> Vec<u8> {
    let row_len = pixels.len() / height;
    let mut out = Vec::with_capacity(row_len * height_out);
    let mut sums = vec![0; row_len];
    for window in windows(height, height_out, filter) {
        sums.fill(HALF);
        let rows = pixels[window.first * row_len..].chunks_exact(row_len);
        for (&weight, row) in window.weights.iter().zip(rows) {
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += i32::from(v) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, height: usize, pixels: &[u8]) -> Image {
        Image {
            width,
            height,
            channels: 1,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn box_halves_to_the_rounded_mean() {
        let image = gray(4, 2, &[10, 20, 30, 41, 12, 22, 32, 43]);
        assert_eq!(resize(&image, 2, 1, Filter::Box).pixels, [16, 37]);
    }

    #[test]
    fn flat_images_stay_flat_and_equal_sizes_stay_equal() {
        for filter in [Filter::Box, Filter::Lanczos] {
            let flat = gray(7, 5, &[200; 35]);
            assert!(
                resize(&flat, 16, 3, filter)
                    .pixels
                    .iter()
                    .all(|&v| v == 200)
            );
            let ramp = gray(3, 2, &[1, 2, 3, 4, 5, 6]);
            assert_eq!(resize(&ramp, 3, 2, filter), ramp);
        }
    }

    #[test]
    fn lanczos_gives_pillows_numbers() {
        // Origin: Pillow 13.0, Image.resize((5, 3), LANCZOS) of an 8 x 4 gray image.
        let pixels: Vec<u8> = (0..32).map(|i| (i * i * 7 % 256) as u8).collect();
        let resized = resize(&gray(8, 4, &pixels), 5, 3, Filter::Lanczos);
        assert_eq!(
            resized.pixels,
            [
                39, 33, 97, 208, 127, 121, 190, 210, 100, 62, 100, 153, 203, 157, 107
            ]
        );
        let resized = resize(&gray(8, 4, &pixels), 11, 6, Filter::Lanczos);
        assert_eq!(
            resized.pixels,
            [
                0, 0, 10, 15, 55, 83, 109, 166, 255, 197, 78, 118, 42, 22, 96, 59, 103, 182, 187,
                204, 127, 47, 193, 115, 124, 213, 107, 175, 255, 135, 75, 54, 47, 13, 135, 255,
                230, 194, 254, 216, 14, 5, 87, 115, 89, 109, 140, 171, 240, 216, 151, 133, 119,
                107, 101, 232, 85, 0, 124, 240, 156, 123, 255, 231, 104, 60
            ]
        );
    }
}
