//! Several sightings of a face become one box.

use crate::{Face, intersection_over_union};

/// Joins faces that overlap a better one by at least `min_iou`: the score is the best, the box the mean of all,
/// weighted by score. Cells and looks err independently, so the mean lies closer than the best.
pub(super) fn merge(mut faces: Vec<Face>, min_iou: f32) -> Vec<Face> {
    faces.retain(|face| face.score.is_finite() && face.rect.iter().all(|v| v.is_finite()));
    // Stable: equal scores stay in the order of the looks and cells.
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut groups: Vec<(Face, [f32; 4], f32)> = Vec::new();
    for face in faces {
        let same = groups
            .iter_mut()
            .find(|(best, ..)| intersection_over_union(&best.rect, &face.rect) >= min_iou);
        match same {
            Some((_, sum, weight)) => {
                for (sum, value) in sum.iter_mut().zip(face.rect) {
                    *sum += value * face.score;
                }
                *weight += face.score;
            }
            None => groups.push((face, face.rect.map(|v| v * face.score), face.score)),
        }
    }
    let mean = |(best, sum, weight): (Face, [f32; 4], f32)| Face {
        rect: if weight > 0.0 {
            sum.map(|v| v / weight)
        } else {
            best.rect
        },
        score: best.score,
    };
    groups.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sightings_are_averaged_by_score() {
        let face = |x: f32, score| Face {
            rect: [x, 0.0, x + 10.0, 10.0],
            score,
        };
        let merged = merge(
            vec![
                face(50.0, 0.3),
                face(2.0, 0.2),
                face(0.0, 0.6),
                face(f32::NAN, 0.9),
            ],
            0.5,
        );
        assert_eq!(merged.len(), 2);
        for (merged, expected) in merged.iter().zip([face(0.5, 0.6), face(50.0, 0.3)]) {
            assert_eq!(merged.score, expected.score);
            for (a, b) in merged.rect.iter().zip(expected.rect) {
                assert!((a - b).abs() < 1e-4, "{merged:?}");
            }
        }
    }
}
