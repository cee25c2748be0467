//! Recall, precision and average precision against boxes drawn by people.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::geometry::{area, intersection};
use crate::{DetectError, Face, intersection_over_union};

/// The true faces of one picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// The faces, `[x0, y0, x1, y1]` in pixels.
    pub faces: Vec<[f32; 4]>,
    /// Regions where a detection counts neither way.
    #[serde(default)]
    pub ignore: Vec<[f32; 4]>,
}

/// Overlap from which a detection is right.
const MIN_IOU: f32 = 0.5;
/// A detection with this share of its area in an ignored region does not count.
const MIN_IGNORED: f32 = 0.5;
const MAX_BYTES: u64 = 1 << 28;

/// Reads `boxes.json`: file name to [`Truth`], by file name.
///
/// # Errors
/// [`DetectError::Read`] or [`DetectError::Model`] with the place of the mistake.
pub fn load_truth(path: &Path) -> Result<BTreeMap<String, Truth>, DetectError> {
    let bytes = DetectError::read_limited(path, MAX_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| DetectError::model(path, error))
}

/// How well a detector did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Number of true faces.
    pub n_truth: usize,
    /// Detections at the threshold that are right.
    pub n_right: usize,
    /// Detections at the threshold that are wrong.
    pub n_wrong: usize,
    /// Area under the precision-recall curve over all detections, precision made monotone.
    pub average_precision: f64,
}

impl Scores {
    /// Share of the true faces that were found at the threshold.
    pub fn recall(&self) -> f64 {
        ratio(self.n_right, self.n_truth)
    }

    /// Share of the detections at the threshold that are right.
    pub fn precision(&self) -> f64 {
        ratio(self.n_right, self.n_right + self.n_wrong)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Compares detections with the truth, picture by picture, at IoU 0.5.
///
/// Detections are matched best score first, each to the free true face that it overlaps most. Recall and precision
/// count those with a score of at least `threshold`; the average precision uses all, so detectors should be run with
/// a low threshold.
pub fn evaluate<'a>(
    pictures: impl IntoIterator<Item = (&'a Truth, &'a [Face])>,
    threshold: f32,
) -> Scores {
    evaluate_sizes(pictures, threshold, 0.0..f32::INFINITY)
}

/// As [`evaluate`], of the faces alone whose side (the root of the area, in pixels) lies in `sides`.
///
/// A detection that is right has the size of its true face, one that is wrong its own.
pub fn evaluate_sizes<'a>(
    pictures: impl IntoIterator<Item = (&'a Truth, &'a [Face])>,
    threshold: f32,
    sides: Range<f32>,
) -> Scores {
    let has_size = |rect: &[f32; 4]| sides.contains(&area(rect).sqrt());
    let mut n_truth = 0;
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (truth, faces) in pictures {
        n_truth += truth.faces.iter().filter(|rect| has_size(rect)).count();
        let judged = judge(truth, faces).into_iter();
        verdicts.extend(judged.filter(|verdict| has_size(&verdict.rect)));
    }
    // Wrong ones first among equals: no luck.
    verdicts.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.is_right.cmp(&b.is_right))
    });
    let counted = verdicts.iter().filter(|verdict| verdict.score >= threshold);
    let n_right = counted.clone().filter(|verdict| verdict.is_right).count();
    Scores {
        n_truth,
        n_right,
        n_wrong: counted.count() - n_right,
        average_precision: average_precision(&verdicts, n_truth),
    }
}

/// A detection that counts.
struct Verdict {
    score: f32,
    is_right: bool,
    /// The true face, or what was taken for one.
    rect: [f32; 4],
}

/// The detections of a picture that count.
fn judge(truth: &Truth, faces: &[Face]) -> Vec<Verdict> {
    let mut order: Vec<&Face> = faces.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut is_taken = vec![false; truth.faces.len()];
    let mut verdicts = Vec::new();
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
            verdicts.push(Verdict {
                score: face.score,
                is_right: true,
                rect: truth.faces[i],
            });
            continue;
        }
        let is_ignored =
            |rect: &[f32; 4]| intersection(rect, &face.rect) >= MIN_IGNORED * area(&face.rect);
        if !truth.ignore.iter().any(is_ignored) {
            verdicts.push(Verdict {
                score: face.score,
                is_right: false,
                rect: face.rect,
            });
        }
    }
    verdicts
}

/// Area under precision over recall; the precision at a recall is the best at that recall or beyond.
fn average_precision(verdicts: &[Verdict], n_truth: usize) -> f64 {
    let mut curve = Vec::with_capacity(verdicts.len());
    let mut n_right = 0;
    for (i, &Verdict { is_right, .. }) in verdicts.iter().enumerate() {
        n_right += usize::from(is_right);
        curve.push((is_right, ratio(n_right, i + 1)));
    }
    let mut best = 0f64;
    let mut sum = 0.0;
    for (is_right, precision) in curve.into_iter().rev() {
        best = best.max(precision);
        if is_right {
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
        // Right .9; wrong .8; a second look at the same face .7 (wrong); ignored .6; right .5.
        let faces_a = [
            face(1.0, 0.9),
            face(50.0, 0.8),
            face(0.0, 0.7),
            face(82.0, 0.6),
            face(20.0, 0.5),
        ];
        let pictures = [(&a, &faces_a[..]), (&b, &[][..])];
        let scores = evaluate(pictures, 0.75);
        assert_eq!((scores.n_truth, scores.n_right, scores.n_wrong), (3, 1, 1));
        assert_eq!((scores.recall(), scores.precision()), (1.0 / 3.0, 0.5));
        // Precision 1 at the first face, 2/4 at the second, the third is never found.
        assert!((scores.average_precision - (1.0 + 0.5) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn each_size_is_measured_by_its_own_faces() {
        let a = truth(&[[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 60.0, 60.0]], &[]);
        let large = |x: f32, score| Face {
            rect: [x, 20.0, x + 40.0, 60.0],
            score,
        };
        // The large face is found as one that is a little smaller, another is seen where nothing is.
        let faces = [face(0.0, 0.9), large(22.0, 0.8), face(80.0, 0.7)];
        let counts = |sides| {
            let scores = evaluate_sizes([(&a, &faces[..])], 0.5, sides);
            (scores.n_truth, scores.n_right, scores.n_wrong)
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

    #[test]
    fn truth_files_are_read_and_mistakes_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.json");
        std::fs::write(
            &path,
            r#"{"a.png": {"width": 9, "height": 8, "faces": [[1, 2, 3, 4.5]], "ignore": []}}"#,
        )
        .unwrap();
        let truth = load_truth(&path).unwrap();
        assert_eq!(truth["a.png"].faces, [[1.0, 2.0, 3.0, 4.5]]);
        std::fs::write(&path, r#"{"a.png": {"width": 9}}"#).unwrap();
        assert!(
            load_truth(&path)
                .unwrap_err()
                .to_string()
                .contains("height")
        );
    }
}
