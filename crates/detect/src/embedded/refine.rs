//! The refinement pass: detects small faces again in enlarged windows of the image.
//!
//! In the image pyramid, whose resolution is limited to save time, a small face covers only a few cells, so its score
//! is unreliable. The image itself has more detail, and a window around one face is searched quickly. The final score
//! combines the scores of the pyramid (first pass) and of the window (refinement pass). The smaller the face is at the
//! base scale, the less weight the score of the first pass has.

use image::RgbImage;
use image::imageops::crop_imm;

use crate::shrink::resize_rgb;
use crate::{Face, intersection_over_union};

/// Largest width and height of an enlarged window, in pixels.
pub(super) const WINDOW: u32 = 160;
/// Side of the face in the enlarged window, in pixels.
const FACE: f32 = 56.0;
/// Faces whose side at the base scale is below this many pixels are refined.
const SMALL: f32 = 28.0;
/// For faces whose side at the base scale is at most this many pixels, the score of the first pass has its smallest
/// weight.
const TINY: f32 = 12.0;
/// Largest number of faces of an image that are refined, those of highest score.
const MAX_REFINED: usize = 6;
/// Smallest IoU at which the boxes of both passes are the same face; low because small boxes are inaccurate.
const MIN_IOU: f32 = 0.3;
/// Weights of the scores: scores `p` with weights `w` combine to `1 - product((1 - p)^w)`. The score of the first pass
/// has `WEIGHT_OF_TINY` for faces of [`TINY`] pixels, `WEIGHT_OF_SMALL` for faces of [`SMALL`] pixels, and a value
/// between both for sizes between; that of the refinement pass has `WEIGHT_OF_REFINED`.
const WEIGHT_OF_TINY: f32 = 0.1;
const WEIGHT_OF_SMALL: f32 = 0.6;
const WEIGHT_OF_REFINED: f32 = 2.0;

/// Indices in `faces` of the faces to refine: the best small ones with a score of at least `min_score`.
///
/// `faces` are sorted by falling score. `base_scale` is as in [`merge`](super::merge::merge).
pub(super) fn small(faces: &[Face], base_scale: f32, min_score: f32) -> Vec<usize> {
    // A NaN fails both comparisons.
    let is_small = |face: &Face| side(face) * base_scale < SMALL && face.score >= min_score;
    (0..faces.len())
        .filter(|&i| is_small(&faces[i]))
        .take(MAX_REFINED)
        .collect()
}

/// The side of a square with the area of the face's box.
fn side(face: &Face) -> f32 {
    (face.width() * face.height()).sqrt()
}

/// The window of the image around a face, which is enlarged for the refinement pass.
pub(super) struct Window {
    /// Left, top, width and height in pixels of the image.
    rect: (u32, u32, u32, u32),
    /// Enlargement of the window, along x and y.
    scale: (f32, f32),
}

impl Window {
    /// The window around a face and its enlarged pixels; `None` when the face has no area in the image.
    pub fn around(face: &Face, image: &RgbImage) -> Option<(Self, RgbImage)> {
        let side = side(face);
        if side.is_nan() || side <= 0.0 {
            return None;
        }
        let half = 0.5 * side * WINDOW as f32 / FACE;
        let range = |low: f32, high: f32, length: u32| {
            let middle = (low + high) / 2.0;
            let start = (middle - half).floor().clamp(0.0, length as f32) as u32;
            let end = (middle + half).ceil().clamp(0.0, length as f32) as u32;
            (start, end - start)
        };
        let [x0, y0, x1, y1] = face.rect;
        let (x, width) = range(x0, x1, image.width());
        let (y, height) = range(y0, y1, image.height());
        if width == 0 || height == 0 {
            return None;
        }
        let length = |length: u32| {
            let enlarged = (length as f32 * FACE / side).round() as u32;
            enlarged.clamp(1, WINDOW)
        };
        let part = crop_imm(image, x, y, width, height).to_image();
        let enlarged = resize_rgb(&part, length(width), length(height));
        let scale = |enlarged: u32, length: u32| enlarged as f32 / length as f32;
        let window = Self {
            rect: (x, y, width, height),
            scale: (
                scale(enlarged.width(), width),
                scale(enlarged.height(), height),
            ),
        };
        Some((window, enlarged))
    }

    /// Combines a face of the first pass with `refined`, the faces detected in the enlarged window, in pixels of the
    /// window.
    ///
    /// The box of the result is that of the best face in `refined` that overlaps `first`, or that of `first` if none
    /// does. `base_scale` is as in [`small`].
    pub fn combine(&self, refined: &[Face], first: &Face, base_scale: f32) -> Face {
        let second = refined
            .iter()
            .map(|face| self.in_image(face))
            .filter(|face| intersection_over_union(&face.rect, &first.rect) >= MIN_IOU)
            .max_by(|a, b| a.score.total_cmp(&b.score));
        let share = ((side(first) * base_scale - TINY) / (SMALL - TINY)).clamp(0.0, 1.0);
        let weight = WEIGHT_OF_TINY + share * (WEIGHT_OF_SMALL - WEIGHT_OF_TINY);
        let complement = (1.0 - first.score).powf(weight);
        match second {
            Some(second) => Face {
                rect: second.rect,
                score: 1.0 - complement * (1.0 - second.score).powf(WEIGHT_OF_REFINED),
            },
            None => Face {
                rect: first.rect,
                score: 1.0 - complement,
            },
        }
    }

    fn in_image(&self, face: &Face) -> Face {
        let x = |x: f32| x / self.scale.0 + self.rect.0 as f32;
        let y = |y: f32| y / self.scale.1 + self.rect.1 as f32;
        let [x0, y0, x1, y1] = face.rect;
        Face {
            rect: [x(x0), y(y0), x(x1), y(y1)],
            score: face.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(rect: [f32; 4], score: f32) -> Face {
        Face { rect, score }
    }

    #[test]
    fn the_best_small_faces_are_chosen() {
        let of = |side: f32, score| face([0.0, 0.0, side, side], score);
        let mut faces = vec![of(100.0, 0.9), of(50.0, 0.8), of(60.0, 0.7), of(20.0, 0.1)];
        assert_eq!(small(&faces, 0.5, 0.05), [1, 3]);
        assert_eq!(small(&faces, 0.5, 0.2), [1]);
        faces.extend([of(10.0, 0.06); 9]);
        assert_eq!(small(&faces, 0.5, 0.05).len(), MAX_REFINED);
    }

    #[test]
    fn a_face_in_the_window_keeps_its_position_in_the_image() {
        let image = RgbImage::new(300, 200);
        // One window is inside the image, the other is cut off at its corner.
        for rect in [[100.0, 80.0, 120.0, 100.0], [275.0, 3.0, 295.0, 23.0]] {
            let first = face(rect, 0.5);
            let (window, enlarged) = Window::around(&first, &image).unwrap();
            assert!(enlarged.width() <= WINDOW && enlarged.height() <= WINDOW);
            let (x, y, ..) = window.rect;
            let shown = [
                (rect[0] - x as f32) * window.scale.0,
                (rect[1] - y as f32) * window.scale.1,
                (rect[2] - x as f32) * window.scale.0,
                (rect[3] - y as f32) * window.scale.1,
            ];
            assert!(((shown[2] - shown[0]) / FACE - 1.0).abs() < 0.1);
            let surer = window.combine(&[face(shown, 0.8)], &first, 1.0);
            for (a, b) in surer.rect.iter().zip(rect) {
                assert!((a - b).abs() < 1e-3, "{surer:?}");
            }
            assert!(surer.score > 0.8);
            // A face elsewhere in the window does not count.
            let elsewhere = face([0.0, 0.0, 10.0, 10.0], 0.9);
            let blank = window.combine(&[elsewhere], &first, 1.0);
            assert_eq!(blank.rect, rect);
            assert!(blank.score < 0.5);
            // The score of a tiny face has little weight.
            assert!(window.combine(&[], &first, 0.1).score < 0.1);
        }
    }

    #[test]
    fn a_face_without_area_has_no_window() {
        let image = RgbImage::new(30, 30);
        for rect in [
            [5.0; 4],
            [9.0, 0.0, 5.0, 8.0],
            [500.0, 500.0, 510.0, 510.0],
            [f32::NAN; 4],
        ] {
            assert!(
                Window::around(&face(rect, 0.5), &image).is_none(),
                "{rect:?}"
            );
        }
    }
}
