//! Recall, precision and average precision at IoU 0.5.

use std::ops::Range;

use detect::{Face, area, intersection, intersection_over_union};

use crate::Truth;

/// Smallest IoU with a true face at which a detection is correct.
const MIN_IOU: f32 = 0.5;
/// A wrong detection with at least this share of its area inside one ignored region is not counted.
const MIN_IGNORED: f32 = 0.5;
/// Detection counts and average precision of one detector over a set of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Number of true faces in all images.
    pub n_truth: usize,
    /// Number of correct detections among those whose score reaches the threshold given to [`evaluate`].
    pub n_correct: usize,
    /// Number of wrong detections among those whose score reaches that threshold.
    pub n_wrong: usize,
    /// Area under the precision-recall curve of all detections, whatever their score, 0 to 1.
    ///
    /// The precision at a recall is the best precision at that or any higher recall, as in PASCAL VOC since 2010.
    pub average_precision: f64,
}

impl Scores {
    /// Share of the true faces that were found at the threshold, 0 to 1; 0 without true faces.
    pub fn recall(&self) -> f64 {
        ratio(self.n_correct, self.n_truth)
    }

    /// Share of the detections at the threshold that are correct, 0 to 1; 0 without detections.
    pub fn precision(&self) -> f64 {
        ratio(self.n_correct, self.n_correct + self.n_wrong)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Scores detections against the true boxes of the same images.
///
/// In each image the detections are taken by falling score. Each is matched with the true face of highest IoU among
/// those not matched yet; with an IoU of at least 0.5 it is correct. Recall and precision count the detections with a
/// score of at least `threshold`. The average precision uses all detections, so the detector should have been run with
/// a low threshold of its own.
pub fn evaluate<'a>(
    images: impl IntoIterator<Item = (&'a Truth, &'a [Face])>,
    threshold: f32,
) -> Scores {
    evaluate_sizes(images, threshold, 0.0..f32::INFINITY)
}

/// As [`evaluate`], restricted to faces whose side (square root of the box's area, in pixels) is in `sides`.
///
/// For a correct detection the side of its true face counts, for a wrong detection the side of its own box.
pub fn evaluate_sizes<'a>(
    images: impl IntoIterator<Item = (&'a Truth, &'a [Face])>,
    threshold: f32,
    sides: Range<f32>,
) -> Scores {
    let has_size = |rect: &[f32; 4]| sides.contains(&area(rect).sqrt());
    let mut n_truth = 0;
    let mut detections: Vec<ScoredDetection> = Vec::new();
    for (truth, faces) in images {
        n_truth += truth.faces.iter().filter(|rect| has_size(rect)).count();
        let matched = match_faces(truth, faces).into_iter();
        detections.extend(matched.filter(|detection| has_size(&detection.rect)));
    }
    // Wrong detections first among equal scores, so that ties never raise the average precision.
    detections.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.is_correct.cmp(&b.is_correct))
    });
    let counted = detections
        .iter()
        .filter(|detection| detection.score >= threshold);
    let n_correct = counted
        .clone()
        .filter(|detection| detection.is_correct)
        .count();
    Scores {
        n_truth,
        n_correct,
        n_wrong: counted.count() - n_correct,
        average_precision: average_precision(&detections, n_truth),
    }
}

/// A detection that is counted as correct or wrong.
struct ScoredDetection {
    score: f32,
    is_correct: bool,
    /// The true box for a correct detection, the detected box for a wrong one; its area decides the size class.
    rect: [f32; 4],
}

/// Matches the detections of one image with its true faces. Wrong detections inside an ignored region are left out.
fn match_faces(truth: &Truth, faces: &[Face]) -> Vec<ScoredDetection> {
    let mut order: Vec<&Face> = faces.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut is_taken = vec![false; truth.faces.len()];
    let mut detections = Vec::new();
    for face in order {
        let overlaps = truth
            .faces
            .iter()
            .map(|rect| intersection_over_union(rect, &face.rect))
            .enumerate();
        let best = overlaps
            .filter(|(i, iou)| !is_taken[*i] && *iou >= MIN_IOU)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, _)) = best {
            is_taken[i] = true;
            detections.push(ScoredDetection {
                score: face.score,
                is_correct: true,
                rect: truth.faces[i],
            });
            continue;
        }
        let is_ignored =
            |rect: &[f32; 4]| intersection(rect, &face.rect) >= MIN_IGNORED * area(&face.rect);
        if !truth.ignore.iter().any(is_ignored) {
            detections.push(ScoredDetection {
                score: face.score,
                is_correct: false,
                rect: face.rect,
            });
        }
    }
    detections
}

/// Average precision of detections sorted by falling score, see [`Scores::average_precision`].
fn average_precision(detections: &[ScoredDetection], n_truth: usize) -> f64 {
    let mut curve = Vec::with_capacity(detections.len());
    let mut n_correct = 0;
    for (i, &ScoredDetection { is_correct, .. }) in detections.iter().enumerate() {
        n_correct += usize::from(is_correct);
        curve.push((is_correct, ratio(n_correct, i + 1)));
    }
    let mut best = 0f64;
    let mut sum = 0.0;
    for (is_correct, precision) in curve.into_iter().rev() {
        best = best.max(precision);
        if is_correct {
            sum += best;
        }
    }
    if n_truth == 0 {
        0.0
    } else {
        sum / n_truth as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(faces: &[[f32; 4]], ignore: &[[f32; 4]]) -> Truth {
        Truth {
            width: 100,
            height: 100,
            faces: faces.to_vec(),
            ignore: ignore.to_vec(),
        }
    }

    fn face(x: f32, score: f32) -> Face {
        Face {
            rect: [x, 0.0, x + 10.0, 10.0],
            score,
        }
    }

    #[test]
    fn a_curve_worked_out_by_hand() {
        let a = truth(
            &[[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]],
            &[[80.0, 0.0, 95.0, 10.0]],
        );
        let b = truth(&[[0.0, 0.0, 10.0, 10.0]], &[]);
        // By score: 0.9 correct, 0.8 wrong, 0.7 a second box on the same face (wrong), 0.6 ignored, 0.5 correct.
        let faces_a = [
            face(1.0, 0.9),
            face(50.0, 0.8),
            face(0.0, 0.7),
            face(82.0, 0.6),
            face(20.0, 0.5),
        ];
        let images = [(&a, &faces_a[..]), (&b, &[][..])];
        let scores = evaluate(images, 0.75);
        assert_eq!(
            (scores.n_truth, scores.n_correct, scores.n_wrong),
            (3, 1, 1)
        );
        assert_eq!((scores.recall(), scores.precision()), (1.0 / 3.0, 0.5));
        // Precision is 1 at the first face found and 2/4 at the second; the third face is never found.
        assert!((scores.average_precision - (1.0 + 0.5) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn each_size_is_measured_by_its_own_faces() {
        let a = truth(&[[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 60.0, 60.0]], &[]);
        let large = |x: f32, score| Face {
            rect: [x, 20.0, x + 40.0, 60.0],
            score,
        };
        // The large face is found by a slightly shifted box; a third detection has no true face.
        let faces = [face(0.0, 0.9), large(22.0, 0.8), face(80.0, 0.7)];
        let counts = |sides| {
            let scores = evaluate_sizes([(&a, &faces[..])], 0.5, sides);
            (scores.n_truth, scores.n_correct, scores.n_wrong)
        };
        assert_eq!(counts(0.0..16.0), (1, 1, 1));
        assert_eq!(counts(16.0..40.0), (0, 0, 0));
        assert_eq!(counts(40.0..f32::INFINITY), (1, 1, 0));
    }

    #[test]
    fn perfect_and_empty_detectors() {
        let a = truth(&[[0.0, 0.0, 10.0, 10.0]], &[]);
        let perfect = evaluate([(&a, &[face(0.0, 0.9)][..])], 0.5);
        assert_eq!(
            (
                perfect.recall(),
                perfect.precision(),
                perfect.average_precision
            ),
            (1.0, 1.0, 1.0)
        );
        let blind = evaluate([(&a, &[][..])], 0.5);
        assert_eq!(
            (blind.recall(), blind.precision(), blind.average_precision),
            (0.0, 0.0, 0.0)
        );
    }
}
