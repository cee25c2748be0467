//! The perceptual blur metric of Crété et al.: the share of an image's variation that a strong blur leaves.

use super::{luma, round4};
use image::RgbImage;

/// Blur from 0 (sharp) to 1 (blurred away), independent of contrast.
///
/// The image is compared with itself after a 9-tap box blur along each axis. In a sharp image the blur removes most of
/// the differences between neighboring pixels, in a blurred one hardly any; the result is the share that remains, on
/// the axis on which more remains. Flat images, and images with a side below 16 pixels, give 0.
///
/// Crété, Dolmiere, Ladret, Nicolas: "The blur effect: perception and estimation with a new no-reference perceptual
/// blur metric" (2007).
pub fn blur(image: &RgbImage) -> f64 {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width < 16 || height < 16 {
        return 0.0;
    }
    let y = luma(image);
    let mut along = Variation::default();
    let mut across = Variation::default();
    for line in y.chunks_exact(width) {
        along.add(
            &line[REACH..],
            &line[REACH - 1..],
            &line[2 * REACH - 1..],
            line,
        );
    }
    let line = |row: usize| &y[row * width..][..width];
    for row in REACH..=height - REACH {
        across.add(
            line(row),
            line(row - 1),
            line(row + REACH - 1),
            line(row - REACH),
        );
    }
    round4((1.0 - along.lost().min(across.lost())).clamp(0.0, 1.0))
}

/// Taps of the box blur.
const TAPS: i32 = 9;
/// Distance of the farthest sample that the difference of two blurred neighbors depends on.
const REACH: usize = TAPS as usize / 2 + 1;

/// Sum of absolute differences between neighbors, and the part of this sum that a box blur removes. Both are in ninths
/// of an 8-bit level, so that integers suffice.
#[derive(Default)]
struct Variation {
    all: u64,
    removed: u64,
}

impl Variation {
    /// Adds the samples `here`, with their neighbors `before`. The sample that only the box around `here` contains is
    /// in `enters`, the one that only the box around `before` contains in `leaves`. The blurred values of a pair differ
    /// by a ninth of the difference of these two.
    fn add(&mut self, here: &[u8], before: &[u8], enters: &[u8], leaves: &[u8]) {
        let (mut all, mut removed) = (0i32, 0i32);
        for (((&here, &before), &enters), &leaves) in
            here.iter().zip(before).zip(enters).zip(leaves)
        {
            let sharp = TAPS * i32::from(here.abs_diff(before));
            let blurred = i32::from(enters.abs_diff(leaves));
            all += sharp;
            removed += (sharp - blurred).max(0);
        }
        self.all += u64::from(all.unsigned_abs());
        self.removed += u64::from(removed.unsigned_abs());
    }

    /// Share of the variation that the blur removes; 1 without variation.
    fn lost(&self) -> f64 {
        if self.all == 0 {
            1.0
        } else {
            self.removed as f64 / self.all as f64
        }
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
