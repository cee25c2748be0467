//! FaceBoxes: predicts offsets from fixed prior boxes, which are denser for small faces (Zhang et al.,
//! arXiv:1708.05234).

use image::RgbImage;

use super::runner::Output;
use super::tensor::{Coding, Input, Placing, place};
use crate::Face;
use crate::shrink::fitted_size;

/// The default score threshold.
pub(super) const THRESHOLD: f32 = 0.5;
/// Two boxes whose IoU exceeds this are the same face.
pub(super) const MAX_IOU: f32 = 0.3;

/// Input coding: blue, green, red, each 0 to 255 minus the mean of ImageNet.
const CODING: Coding = Coding {
    order: [2, 1, 0],
    mean: [104.0, 117.0, 123.0],
    factor: 1.0,
    fill: [104.0, 117.0, 123.0],
};
/// For each stride the prior boxes of a cell: side in pixels, and number along each axis of the cell.
const PRIORS: [(u32, &[(f32, usize)]); 3] = [
    (32, &[(32.0, 4), (64.0, 2), (128.0, 1)]),
    (64, &[(256.0, 1)]),
    (128, &[(512.0, 1)]),
];
/// Factors of the predicted offsets of center and size; training divides by them.
const VARIANCES: (f32, f32) = (0.1, 0.2);
/// Fraction of the height of a predicted box that is cut off at its top, since it is above the brow: the known weights
/// for anime were trained on boxes that include hair.
const HAIR: f32 = 0.2;

/// Number of prior boxes for a network input of this width and height.
pub(super) fn n_priors((width, height): (u32, u32)) -> usize {
    let cells = |stride: u32| width.div_ceil(stride) as usize * height.div_ceil(stride) as usize;
    PRIORS
        .iter()
        .map(|(stride, sides)| cells(*stride) * sides.iter().map(|(_, n)| n * n).sum::<usize>())
        .sum()
}

/// The prior boxes, `[center x, center y, side]` in pixels of the network's input, in the order of its outputs.
fn priors((width, height): (u32, u32)) -> impl Iterator<Item = [f32; 3]> {
    PRIORS.iter().flat_map(move |&(stride, sides)| {
        let cells = (0..height.div_ceil(stride))
            .flat_map(move |row| (0..width.div_ceil(stride)).map(move |x| (x, row)));
        cells.flat_map(move |(column, row)| {
            sides.iter().flat_map(move |&(side, n)| {
                // A single prior is in the middle of its cell; several start at its corner.
                let place = move |cell: u32, i: usize| {
                    let share = if n == 1 { 0.5 } else { i as f32 / n as f32 };
                    (cell as f32 + share) * stride as f32
                };
                (0..n * n).map(move |i| [place(column, i % n), place(row, i / n), side])
            })
        })
    })
}

/// The network's input for an image, which is shrunk if necessary but keeps its aspect ratio.
///
/// With a fixed input size (width, height) the image is shrunk to fit it and padded; otherwise its longest side is at
/// most `longest_side`.
pub(super) fn input(image: &RgbImage, fixed: Option<(u32, u32)>, longest_side: u32) -> Input {
    let (width, height) = image.dimensions();
    let size = match fixed {
        Some((w, h)) => {
            let ratio = (f64::from(w) / f64::from(width))
                .min(f64::from(h) / f64::from(height))
                .min(1.0);
            let side = |length: u32, most: u32| {
                ((f64::from(length) * ratio).round() as u32).clamp(1, most)
            };
            (side(width, w), side(height, h))
        }
        None => fitted_size(width, height, longest_side),
    };
    place(image, size, fixed.unwrap_or(size), (0, 0), &CODING)
}

/// The faces whose score is at least `threshold`, in source pixels, from the offsets `[1, n, 4]` and the class
/// probabilities `[1, n, 2]` (background, face) of `n` prior boxes.
pub(super) fn faces(
    boxes: &Output,
    scores: &Output,
    placing: &Placing,
    threshold: f32,
) -> Result<Vec<Face>, String> {
    let n = n_priors(placing.canvas);
    if boxes.shape != [1, n, 4] || scores.shape != [1, n, 2] {
        return Err(format!(
            "{:?} and {:?} came out where {n} priors were due",
            boxes.shape, scores.shape
        ));
    }
    let rows = boxes
        .values
        .chunks_exact(4)
        .zip(scores.values.chunks_exact(2));
    let candidates = priors(placing.canvas)
        .zip(rows)
        .filter(|(_, (_, score))| score[1] >= threshold);
    let face = |([x, y, side], (offset, score)): ([f32; 3], (&[f32], &[f32]))| {
        let center = (
            x + offset[0] * VARIANCES.0 * side,
            y + offset[1] * VARIANCES.0 * side,
        );
        let (width, height) = (
            side * (offset[2] * VARIANCES.1).exp(),
            side * (offset[3] * VARIANCES.1).exp(),
        );
        let top = center.1 - height / 2.0;
        let rect = [
            center.0 - width / 2.0,
            top,
            center.0 + width / 2.0,
            top + height,
        ];
        let mut face = placing.face(rect, score[1]);
        face.rect[1] += HAIR * face.height();
        face
    };
    Ok(candidates.map(face).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_are_counted_and_placed() {
        assert_eq!(n_priors((1024, 1024)), 32 * 32 * 21 + 16 * 16 + 8 * 8);
        assert_eq!(n_priors((33, 130)), 2 * 5 * 21 + 3 + 2);
        let all: Vec<_> = priors((33, 130)).collect();
        assert_eq!(all.len(), n_priors((33, 130)));
        // The first cell: 16 of side 32, 4 of side 64, 1 of side 128; then the next column.
        assert_eq!(all[0], [0.0, 0.0, 32.0]);
        assert_eq!(all[1], [8.0, 0.0, 32.0]);
        assert_eq!(all[4], [0.0, 8.0, 32.0]);
        assert_eq!(all[17], [16.0, 0.0, 64.0]);
        assert_eq!(all[20], [16.0, 16.0, 128.0]);
        assert_eq!(all[21], [32.0, 0.0, 32.0]);
        assert_eq!(all[210], [32.0, 32.0, 256.0]);
        assert_eq!(all[213], [64.0, 64.0, 512.0]);
    }

    #[test]
    fn offsets_move_and_scale_a_prior() {
        let placing = Placing {
            canvas: (32, 32),
            offset: (0, 0),
            scale: (2.0, 2.0),
        };
        let n = n_priors((32, 32));
        let mut boxes = Output {
            shape: [1, n, 4],
            values: vec![0.0; 4 * n],
        };
        let mut scores = Output {
            shape: [1, n, 2],
            values: [1.0, 0.0].repeat(n),
        };
        scores.values[2 * 20 + 1] = 0.75;
        boxes.values[4 * 20..][..4].copy_from_slice(&[1.0, -1.0, 5.0 * 0.5f32.ln(), 0.0]);
        let faces = faces(&boxes, &scores, &placing, 0.5).unwrap();
        // The prior of side 128 at (16, 16), moved by (12.8, -12.8), half as wide, times 2 to source pixels, without
        // hair.
        assert_eq!(faces.len(), 1);
        let expected = [-6.4, -121.6 + 51.2, 121.6, 134.4];
        for (value, expected) in faces[0].rect.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-3, "{:?}", faces[0].rect);
        }
    }
}
