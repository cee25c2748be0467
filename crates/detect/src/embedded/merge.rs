//! Merges the candidate boxes of a face, which cells at several scales predict, into one box.

use crate::{Face, intersection_over_union};

/// A face that one cell of the network predicted at one scale of the image pyramid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub face: Face,
    /// Index of the scale in the list of searched scales.
    pub scale: usize,
}

/// Of two faces whose IoU is at least this, only the better one is kept.
const MAX_IOU: f32 = 0.4;
/// Number of scales that usually detect a face whose side at the base scale is at least [`COMMON`] pixels.
const N_SCALES: f32 = 3.0;
const COMMON: f32 = 64.0;
/// Number of scales that usually detect a face whose side at the base scale is at most [`SMALL`] pixels; at coarser
/// scales it is too small.
const N_SCALES_OF_SMALL: f32 = 1.0;
const SMALL: f32 = 16.0;
/// Lowest score with which a candidate raises the score of its group.
const MIN_SUPPORT: f32 = 0.2;

/// Groups candidates whose IoU with the best candidate of the group is at least `min_iou`, and returns one face per
/// group, sorted by falling score.
///
/// The box of a face is the mean of the boxes in the group, weighted by score, which reduces the independent errors of
/// cells and scales. Its score is `1 - product(1 - p)^(1 / n)`: the product is over the scales, `p` is the best score
/// at a scale, and `n` is the number of scales that usually detect a face of this size. The exponent lowers the score
/// of candidates that only one of these scales finds, which are mostly wrong.
///
/// `base_scale` is the size of the image at the base scale (the finest scale that is searched for faces of all sizes)
/// divided by its original size.
pub(super) fn merge(mut candidates: Vec<Candidate>, min_iou: f32, base_scale: f32) -> Vec<Face> {
    candidates.retain(|Candidate { face, .. }| {
        face.score.is_finite() && face.rect.iter().all(|v| v.is_finite())
    });
    // A stable sort: equal scores stay in the order of scales and cells.
    candidates.sort_by(|a, b| b.face.score.total_cmp(&a.face.score));
    let mut groups: Vec<Group> = Vec::new();
    for Candidate { face, scale } in candidates {
        let same = groups
            .iter_mut()
            .find(|group| intersection_over_union(&group.best.rect, &face.rect) >= min_iou);
        match same {
            Some(group) => group.add(face, scale),
            None => groups.push(Group::new(face, scale)),
        }
    }
    // The mean boxes of two groups can overlap.
    without_overlaps(
        groups
            .into_iter()
            .map(|group| group.face(base_scale))
            .collect(),
    )
}

/// Sorts faces by falling score and drops those whose IoU with a better one is at least [`MAX_IOU`].
pub(super) fn without_overlaps(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        let overlaps = |better: &Face| intersection_over_union(&better.rect, &face.rect);
        if kept.iter().all(|better| overlaps(better) < MAX_IOU) {
            kept.push(face);
        }
    }
    kept
}

struct Group {
    best: Face,
    sum: [f32; 4],
    weight: f32,
    scales: Vec<usize>,
    /// Product of `1 - p` over the scales, where `p` is the best score at a scale.
    complement: f32,
}

impl Group {
    fn new(best: Face, scale: usize) -> Self {
        Self {
            best,
            sum: best.rect.map(|v| v * best.score),
            weight: best.score,
            scales: vec![scale],
            complement: 1.0 - best.score,
        }
    }

    /// Adds a candidate; candidates must come in the order of falling score.
    fn add(&mut self, face: Face, scale: usize) {
        for (sum, value) in self.sum.iter_mut().zip(face.rect) {
            *sum += value * face.score;
        }
        self.weight += face.score;
        if face.score >= MIN_SUPPORT && !self.scales.contains(&scale) {
            self.scales.push(scale);
            self.complement *= 1.0 - face.score;
        }
    }

    fn face(&self, base_scale: f32) -> Face {
        let rect = if self.weight > 0.0 {
            self.sum.map(|v| v / self.weight)
        } else {
            self.best.rect
        };
        let side = ((rect[2] - rect[0]) * (rect[3] - rect[1])).sqrt() * base_scale;
        Face {
            rect,
            score: 1.0 - self.complement.powf(1.0 / scales_that_detect(side)),
        }
    }
}

/// Number of scales that usually detect a face with this side, in pixels of the base scale.
fn scales_that_detect(side: f32) -> f32 {
    // NaN, the root of a negative area, counts as small.
    let share = ((side.max(SMALL) / SMALL).ln() / (COMMON / SMALL).ln()).min(1.0);
    N_SCALES_OF_SMALL + share * (N_SCALES - N_SCALES_OF_SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_averaged_and_scales_support_each_other() {
        let face = |x: f32, score| Face {
            rect: [x, 0.0, x + 10.0, 10.0],
            score,
        };
        let found = |x, score, scale| Candidate {
            face: face(x, score),
            scale,
        };
        let merged = merge(
            vec![
                found(50.0, 0.3, 0),
                found(2.0, 0.2, 1),
                found(0.0, 0.6, 0),
                found(0.0, 0.6, 0),
                found(0.0, 0.1, 2),
                found(f32::NAN, 0.9, 0),
            ],
            0.5,
            10.0,
        );
        assert_eq!(merged.len(), 2);
        let x = 2.0 * 0.2 / 1.5;
        // The second candidate of scale 0 and the one below MIN_SUPPORT do not raise the score.
        let first = 1.0 - (0.4f32 * 0.8).cbrt();
        let second = 1.0 - 0.7f32.cbrt();
        for (merged, expected) in merged.iter().zip([face(x, first), face(50.0, second)]) {
            assert!((merged.score - expected.score).abs() < 1e-6, "{merged:?}");
            for (a, b) in merged.rect.iter().zip(expected.rect) {
                assert!((a - b).abs() < 1e-4, "{merged:?}");
            }
        }
    }

    #[test]
    fn small_faces_need_fewer_scales() {
        let candidates = vec![Candidate {
            face: Face {
                rect: [0.0, 0.0, 20.0, 20.0],
                score: 0.75,
            },
            scale: 0,
        }];
        let score = |base_scale| merge(candidates.clone(), 0.5, base_scale)[0].score;
        assert!((score(SMALL / 20.0) - 0.75).abs() < 1e-6);
        assert!((score(4.0) - (1.0 - 0.25f32.cbrt())).abs() < 1e-6);
        assert!(score(1.0) > score(2.0) && score(2.0) > score(4.0));
    }
}
