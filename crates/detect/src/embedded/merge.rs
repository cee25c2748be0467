//! Several sightings of a face become one box.

use crate::{Face, intersection_over_union};

/// What a cell of one look took for a face.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub face: Face,
    /// Number of the look.
    pub look: usize,
}

/// Two faces of a picture overlap by less than this.
const MAX_IOU: f32 = 0.4;
/// The number of looks that see a face of at least [`COMMON`] pixels in the common look, the finest at faces of all
/// sizes.
const LOOKS: f32 = 3.0;
const COMMON: f32 = 64.0;
/// The number that sees a face of at most [`SMALL`] pixels: coarser looks hardly know what it is.
const LOOKS_OF_SMALL: f32 = 1.0;
const SMALL: f32 = 16.0;
/// Looks that are less sure than this do not support each other.
const MIN_SUPPORT: f32 = 0.2;

/// Joins sightings that overlap a better one by at least `min_iou`.
///
/// The box is the mean of all, weighted by score: cells and looks err independently, so the mean lies closer than the
/// best. The score is 1 minus the geometric mean of what the best of each look lacks to 1, as though as many of them
/// saw the face as see one of its size: what only one size of the picture takes for a face mostly is none. `scale` is
/// the number of pixels of the common look for one of the picture.
pub(super) fn merge(mut sightings: Vec<Sighting>, min_iou: f32, scale: f32) -> Vec<Face> {
    sightings.retain(|Sighting { face, .. }| {
        face.score.is_finite() && face.rect.iter().all(|v| v.is_finite())
    });
    // Stable: equal scores stay in the order of the looks and cells.
    sightings.sort_by(|a, b| b.face.score.total_cmp(&a.face.score));
    let mut groups: Vec<Group> = Vec::new();
    for Sighting { face, look } in sightings {
        let same = groups
            .iter_mut()
            .find(|group| intersection_over_union(&group.best.rect, &face.rect) >= min_iou);
        match same {
            Some(group) => group.add(face, look),
            None => groups.push(Group::new(face, look)),
        }
    }
    // Means of groups can come close to each other.
    without_overlaps(groups.into_iter().map(|group| group.face(scale)).collect())
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
    looks: Vec<usize>,
    /// What all looks together lack to 1.
    lack: f32,
}

impl Group {
    fn new(best: Face, look: usize) -> Self {
        Self {
            best,
            sum: best.rect.map(|v| v * best.score),
            weight: best.score,
            looks: vec![look],
            lack: 1.0 - best.score,
        }
    }

    /// Adds a sighting that is no better than those before.
    fn add(&mut self, face: Face, look: usize) {
        for (sum, value) in self.sum.iter_mut().zip(face.rect) {
            *sum += value * face.score;
        }
        self.weight += face.score;
        if face.score >= MIN_SUPPORT && !self.looks.contains(&look) {
            self.looks.push(look);
            self.lack *= 1.0 - face.score;
        }
    }

    fn face(&self, scale: f32) -> Face {
        let rect = if self.weight > 0.0 {
            self.sum.map(|v| v / self.weight)
        } else {
            self.best.rect
        };
        let side = ((rect[2] - rect[0]) * (rect[3] - rect[1])).sqrt() * scale;
        Face {
            rect,
            score: 1.0 - self.lack.powf(1.0 / looks_that_see(side)),
        }
    }
}

/// How many looks see a face of so many pixels in the common look.
fn looks_that_see(side: f32) -> f32 {
    // A NaN, the root of a negative area, counts as small.
    let share = ((side.max(SMALL) / SMALL).ln() / (COMMON / SMALL).ln()).min(1.0);
    LOOKS_OF_SMALL + share * (LOOKS - LOOKS_OF_SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_averaged_and_looks_support_each_other() {
        let face = |x: f32, score| Face {
            rect: [x, 0.0, x + 10.0, 10.0],
            score,
        };
        let seen = |x, score, look| Sighting {
            face: face(x, score),
            look,
        };
        let merged = merge(
            vec![
                seen(50.0, 0.3, 0),
                seen(2.0, 0.2, 1),
                seen(0.0, 0.6, 0),
                seen(0.0, 0.6, 0),
                seen(0.0, 0.1, 2),
                seen(f32::NAN, 0.9, 0),
            ],
            0.5,
            10.0,
        );
        assert_eq!(merged.len(), 2);
        let x = 2.0 * 0.2 / 1.5;
        // The second sighting of the first look and the unsure look do not count twice.
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
    fn small_faces_need_fewer_looks() {
        let sightings = vec![Sighting {
            face: Face {
                rect: [0.0, 0.0, 20.0, 20.0],
                score: 0.75,
            },
            look: 0,
        }];
        let score = |scale| merge(sightings.clone(), 0.5, scale)[0].score;
        assert!((score(SMALL / 20.0) - 0.75).abs() < 1e-6);
        assert!((score(4.0) - (1.0 - 0.25f32.cbrt())).abs() < 1e-6);
        assert!(score(1.0) > score(2.0) && score(2.0) > score(4.0));
    }
}
