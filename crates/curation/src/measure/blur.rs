//! The perceptual blur of Crété et al.: what a strong blur would still change.

use super::{luma, round4};
use image::RgbImage;

/// Blur in 0 (sharp) to 1 (blurred away), independent of contrast.
///
/// A picture is compared with itself after a 9-tap box blur: a sharp picture loses most of its variation between
/// neighbours, a blurred one hardly any. The larger of both axes counts. Flat pictures give 0.
///
/// Crété, Dolmiere, Ladret, Nicolas: "The blur effect: perception and estimation with a new no-reference perceptual
/// blur metric" (2007).
pub fn blur(image: &RgbImage) -> f64 {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width < 16 || height < 16 {
        return 0.0;
    }
    let y = luma(image);
    let rows = lost(&y, width, height, 1, width);
    let columns = lost(&y, height, width, width, 1);
    round4((1.0 - rows.min(columns)).clamp(0.0, 1.0))
}

/// Share of the variation along lines that a 9-tap box blur removes.
///
/// Lines have `length` samples `step` apart; there are `lines` of them, `stride` apart.
fn lost(y: &[u8], length: usize, lines: usize, step: usize, stride: usize) -> f64 {
    const TAPS: usize = 9;
    let (mut variation, mut removed) = (0i64, 0i64);
    let mut line = vec![0i32; length];
    for start in (0..lines).map(|i| i * stride) {
        for (i, v) in line.iter_mut().enumerate() {
            *v = i32::from(y[start + i * step]);
        }
        let mut sum: i32 = line[..TAPS].iter().sum();
        for i in TAPS / 2 + 1..length - TAPS / 2 {
            let before = sum;
            sum += line[i + TAPS / 2] - line[i - TAPS / 2 - 1];
            // Variations times 9, to stay with integers.
            let sharp = (line[i] - line[i - 1]).abs() * TAPS as i32;
            let blurred = (sum - before).abs();
            variation += i64::from(sharp);
            removed += i64::from((sharp - blurred).max(0));
        }
    }
    if variation == 0 {
        1.0
    } else {
        removed as f64 / variation as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, imageops};

    #[test]
    fn blur_rises_with_the_radius_whatever_the_contrast() {
        let sharp = RgbImage::from_fn(200, 200, |x, y| {
            Rgb(if (x / 13 + y / 17) % 2 == 0 {
                [230; 3]
            } else {
                [30; 3]
            })
        });
        let scores: Vec<f64> = [0.0, 1.0, 2.0, 4.0]
            .iter()
            .map(|&sigma| {
                if sigma == 0.0 {
                    blur(&sharp)
                } else {
                    blur(&imageops::blur(&sharp, sigma))
                }
            })
            .collect();
        assert!(scores.windows(2).all(|w| w[0] < w[1]), "{scores:?}");
        assert!(scores[0] < 0.2 && scores[3] > 0.6, "{scores:?}");
        let faint = RgbImage::from_fn(200, 200, |x, y| {
            Rgb(sharp.get_pixel(x, y).0.map(|v| 100 + v / 4))
        });
        assert!((blur(&faint) - scores[0]).abs() < 0.05);
        assert_eq!(blur(&RgbImage::from_pixel(64, 64, Rgb([7; 3]))), 0.0);
    }
}
