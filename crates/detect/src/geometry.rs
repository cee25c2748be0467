//! Overlap of boxes `[x0, y0, x1, y1]`, and non-maximum suppression.

use crate::Face;

/// Intersection over union of two boxes `[x0, y0, x1, y1]`, 0 to 1; 0 when both are empty.
pub fn intersection_over_union(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let overlap = intersection(a, b);
    let union = area(a) + area(b) - overlap;
    if union > 0.0 { overlap / union } else { 0.0 }
}

/// Area that two boxes `[x0, y0, x1, y1]` share.
pub fn intersection(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    width.max(0.0) * height.max(0.0)
}

/// Area of a box `[x0, y0, x1, y1]`; 0 when its width or height is negative.
pub fn area(a: &[f32; 4]) -> f32 {
    (a[2] - a[0]).max(0.0) * (a[3] - a[1]).max(0.0)
}

/// Non-maximum suppression: sorts faces by falling score and drops each whose IoU with a better one exceeds `max_iou`.
///
/// Equal scores are ordered by position, so that the result does not depend on the order of the input. Faces with NaN
/// or infinite values are dropped, and only the best 30,000 are considered.
pub fn suppress(faces: &mut Vec<Face>, max_iou: f32) {
    suppress_by(faces, |kept, face| {
        intersection_over_union(kept, face) > max_iou
    });
}

/// As [`suppress`], and drops also a face that shares with a better one more than `max_share` of the smaller box's
/// area.
///
/// Such boxes are parts of one face that were detected in different tiles.
pub(crate) fn suppress_nested(faces: &mut Vec<Face>, max_iou: f32, max_share: f32) {
    suppress_by(faces, |kept, face| {
        let smaller = area(kept).min(area(face));
        intersection_over_union(kept, face) > max_iou
            || intersection(kept, face) > max_share * smaller
    });
}

/// Largest number of candidates that are compared, those of highest score; the time is quadratic in it. Ultralytics
/// YOLO has the same limit.
const MAX_CANDIDATES: usize = 30_000;

fn suppress_by(faces: &mut Vec<Face>, clash: impl Fn(&[f32; 4], &[f32; 4]) -> bool) {
    faces.retain(|face| face.score.is_finite() && face.rect.iter().all(|v| v.is_finite()));
    faces.sort_by(|a, b| {
        let position = || {
            a.rect
                .iter()
                .zip(&b.rect)
                .map(|(a, b)| a.total_cmp(b))
                .find(|order| order.is_ne())
        };
        b.score
            .total_cmp(&a.score)
            .then_with(|| position().unwrap_or(std::cmp::Ordering::Equal))
    });
    faces.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Face> = Vec::new();
    for face in faces.drain(..) {
        if !kept.iter().any(|better| clash(&better.rect, &face.rect)) {
            kept.push(face);
        }
    }
    *faces = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(rect: [f32; 4], score: f32) -> Face {
        Face { rect, score }
    }

    #[test]
    fn overlap_of_known_boxes() {
        let a = [0.0, 0.0, 10.0, 10.0];
        assert_eq!(intersection_over_union(&a, &a), 1.0);
        assert_eq!(
            intersection_over_union(&a, &[5.0, 0.0, 15.0, 10.0]),
            50.0 / 150.0
        );
        assert_eq!(intersection_over_union(&a, &[10.0, 0.0, 20.0, 10.0]), 0.0);
        assert_eq!(intersection_over_union(&[3.0; 4], &[3.0; 4]), 0.0);
    }

    #[test]
    fn the_best_of_a_heap_survives_in_any_order() {
        let heap = [
            face([0.0, 0.0, 10.0, 10.0], 0.5),
            face([1.0, 0.0, 11.0, 10.0], 0.9),
            face([20.0, 0.0, 30.0, 10.0], 0.5),
            face([0.0, 1.0, 10.0, 11.0], f32::NAN),
        ];
        for turn in 0..heap.len() {
            let mut faces = heap.to_vec();
            faces.rotate_left(turn);
            suppress(&mut faces, 0.5);
            assert_eq!(faces, [heap[1], heap[2]]);
        }
    }

    #[test]
    fn a_box_inside_a_better_one_goes_only_when_asked() {
        let pair = vec![
            face([0.0, 0.0, 20.0, 20.0], 0.9),
            face([5.0, 5.0, 12.0, 12.0], 0.8),
        ];
        let mut faces = pair.clone();
        suppress(&mut faces, 0.4);
        assert_eq!(faces.len(), 2);
        suppress_nested(&mut faces, 0.4, 0.7);
        assert_eq!(faces, pair[..1]);
    }
}
