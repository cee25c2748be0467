//! Merges candidate boxes of one face, found at several scales, into one box.

use crate::{Face, intersection_over_union};

/// A face that one cell of the network found at one scale of the image pyramid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub face: Face,
    /// Index of the scale.
    pub scale: usize,
}

/// Remaining faces of an image overlap by less than this.
const MAX_IOU: f32 = 0.4;
/// Number of scales that detect a face whose side is at least [`COMMON`] pixels at the base scale.
const N_SCALES: f32 = 3.0;
const COMMON: f32 = 64.0;
/// Number of scales that detect a face of at most [`SMALL`] pixels: at coarser ones it is too small.
const N_SCALES_OF_SMALL: f32 = 1.0;
const SMALL: f32 = 16.0;
/// Candidates with a lower score do not raise the score of a better one.
const MIN_SUPPORT: f32 = 0.2;

/// Joins each candidate with a better one that it overlaps by at least `min_iou`.
///
/// The box is the mean of all, weighted by score, since cells and scales err independently. With `p` the best score at
/// a scale, the score is `1 - product(1 - p)^(1 / n)`, where `n` is the number of scales that usually detect a face of
/// this size: a candidate that only one scale finds is mostly wrong. `base_scale` is the size of the image at the base
/// scale (the finest one that detects faces of all sizes) relative to the image.
pub(super) fn merge(mut candidates: Vec<Candidate>, min_iou: f32, base_scale: f32) -> Vec<Face> {
    candidates.retain(|Candidate { face, .. }| {
        face.score.is_finite() && face.rect.iter().all(|v| v.is_finite())
    });
    // Stable: equal scores stay in the order of the scales and cells.
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
    // Means of groups can come close to each other.
    without_overlaps(
        groups
            .into_iter()
            .map(|group| group.face(base_scale))
            .collect(),
    )
}

/// Best first, without those that overlap a better one.
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
    /// Product of `1 - p` over the scales.
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

    /// Adds a candidate whose score is not above those before.
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

/// Number of scales that detect a face with this side at the base scale.
fn scales_that_detect(side: f32) -> f32 {
    // A NaN, the root of a negative area, counts as small.
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
        // The second candidate of the first scale and the one below MIN_SUPPORT do not raise the score.
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
