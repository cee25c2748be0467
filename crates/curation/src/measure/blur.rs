//! The perceptual blur of Crété et al.: what a strong blur would still change.

use super::{luma, round4};
use image::RgbImage;

/// Blur in 0 (sharp) to 1 (blurred away), independent of contrast.
///
/// An image is compared with itself after a 9-tap box blur: a sharp image loses most of its variation between
/// neighbors, a blurred one hardly any. The larger of both axes counts. Flat images give 0.
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
/// Samples before and after that a difference of blurred neighbors needs.
const REACH: usize = TAPS as usize / 2 + 1;

/// Difference of neighbors, and the part of it that a box blur removes; in ninths of a level, to stay with integers.
#[derive(Default)]
struct Variation {
    all: u64,
    removed: u64,
}

impl Variation {
    /// Adds neighbors `here` and `before`. Their blurred values differ by what enters the box less what leaves it.
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

    /// Share of the variation that the blur removes.
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
