//! Training targets: assigns faces to cells of the network's output levels.

use detect::embedded::network::{LEVELS, Level};

/// Range of the sides (square root of the area, in pixels) of the faces that each level must detect; ranges overlap.
const SIDES: [[f32; 2]; 3] = [[0.0, 52.0], [36.0, 112.0], [76.0, f32::INFINITY]];
/// Faces and regions to ignore that are this many times smaller or larger than the range of a level count as background
/// there: an eye of a large face is no face, nor is the figure around a small one.
const OTHER_LEVEL: f32 = 2.0;
/// Cells detect a face if their distance from its center is at most this share of its width and height.
const NEAR: f32 = 0.2;
/// Cells up to this share of width and height that need not detect the face have no target.
const RING: f32 = 0.36;
/// Both distances are at least this many strides, so that every face has a cell.
const NEAREST: f32 = 0.55;

/// Training targets of one image for one level; each list has one value per cell, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelTargets {
    /// 1 for cells that must detect a face, otherwise 0.
    pub is_face: Vec<f32>,
    /// Weight of the score loss: 1, or 0 for cells without a target score.
    pub counts: Vec<f32>,
    /// Distances from the cell's center to the left, upper, right and lower side of the face's box, in units of
    /// [`Level::unit`] pixels; 1 for cells without a face.
    pub distances: [Vec<f32>; 4],
}

/// The targets of each level for an image of `side` x `side` pixels; boxes are `[x0, y0, x1, y1]` in pixels.
pub fn targets(faces: &[[f32; 4]], ignore: &[[f32; 4]], side: usize) -> Vec<LevelTargets> {
    LEVELS
        .into_iter()
        .zip(SIDES)
        .map(|(level, sides)| level_targets(faces, ignore, side / level.stride, level, sides))
        .collect()
}

fn level_targets(
    faces: &[[f32; 4]],
    ignore: &[[f32; 4]],
    cells: usize,
    level: Level,
    [smallest, largest]: [f32; 2],
) -> LevelTargets {
    let n = cells * cells;
    let mut targets = LevelTargets {
        is_face: vec![0.0; n],
        counts: vec![1.0; n],
        distances: std::array::from_fn(|_| vec![1.0; n]),
    };
    let stride = level.stride as f32;
    let concerns = |rect: &&[f32; 4]| {
        let side = ((rect[2] - rect[0]) * (rect[3] - rect[1])).sqrt();
        side * OTHER_LEVEL > smallest && side < largest * OTHER_LEVEL
    };
    let faces: Vec<_> = faces.iter().filter(concerns).collect();
    let ignore: Vec<_> = ignore.iter().filter(concerns).collect();
    for cell in 0..n {
        let x = ((cell % cells) as f32 + 0.5) * stride;
        let y = ((cell / cells) as f32 + 0.5) * stride;
        if ignore
            .iter()
            .any(|r| x > r[0] && x < r[2] && y > r[1] && y < r[3])
        {
            targets.counts[cell] = 0.0;
        }
        let mut nearest = f32::INFINITY;
        for &&[x0, y0, x1, y1] in &faces {
            let (width, height) = (x1 - x0, y1 - y0);
            let side = (width * height).sqrt();
            let reach = |share: f32, length: f32| (share * length).max(NEAREST * stride);
            let (dx, dy) = ((x - (x0 + x1) / 2.0).abs(), (y - (y0 + y1) / 2.0).abs());
            if dx > reach(RING, width) || dy > reach(RING, height) {
                continue;
            }
            let answers = side >= smallest
                && side < largest
                && dx <= reach(NEAR, width)
                && dy <= reach(NEAR, height);
            if answers && side < nearest {
                nearest = side;
                targets.is_face[cell] = 1.0;
                targets.counts[cell] = 1.0;
                let distances = [x - x0, y - y0, x1 - x, y1 - y];
                for (to, distance) in targets.distances.iter_mut().zip(distances) {
                    to[cell] = (distance / level.unit()).max(0.02);
                }
            } else if nearest.is_infinite() {
                targets.counts[cell] = 0.0;
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_answered_for_where_it_is() {
        let levels = targets(
            &[[100.0, 60.0, 140.0, 100.0]],
            &[[0.0, 0.0, 20.0, 20.0]],
            256,
        );
        // A face of 40 pixels belongs to the first two levels.
        let counts: Vec<f32> = levels
            .iter()
            .map(|level| level.is_face.iter().sum())
            .collect();
        assert!(
            counts[0] >= 4.0 && counts[1] >= 1.0 && counts[2] == 0.0,
            "{counts:?}"
        );
        let cell = 10 * 32 + 14;
        assert_eq!(levels[0].is_face[cell], 1.0);
        // The center of the cell is at (116, 84); the unit is 16 pixels.
        let distances: Vec<f32> = levels[0].distances.iter().map(|d| d[cell]).collect();
        assert_eq!(distances, [1.0, 1.5, 1.5, 1.0]);
        assert_eq!((levels[0].counts[0], levels[0].counts[31]), (0.0, 1.0));
    }

    #[test]
    fn parts_of_large_faces_and_figures_with_small_ones_are_no_faces() {
        let silent = |rect: [f32; 4], as_face: bool| -> Vec<bool> {
            let rects = [rect];
            let (faces, ignore) = rects.split_at(usize::from(as_face));
            let is_silent = |level: &LevelTargets| {
                level.counts.iter().all(|&c| c == 1.0) && level.is_face.iter().all(|&f| f == 0.0)
            };
            targets(faces, ignore, 256).iter().map(is_silent).collect()
        };
        for as_face in [false, true] {
            assert_eq!(
                silent([20.0, 20.0, 140.0, 140.0], as_face),
                [true, false, false]
            );
            assert_eq!(
                silent([-100.0, -100.0, 160.0, 160.0], as_face),
                [true, true, false]
            );
            assert_eq!(
                silent([100.0, 100.0, 116.0, 116.0], as_face),
                [false, true, true]
            );
        }
    }

    #[test]
    fn every_face_has_a_cell() {
        for side in [8.0, 14.0, 30.0, 60.0, 100.0, 220.0] {
            for shift in [0.0, 3.0, 7.0] {
                let face = [10.0 + shift, 12.0, 10.0 + shift + side, 12.0 + side];
                let n: f32 = targets(&[face], &[], 256)
                    .iter()
                    .flat_map(|l| &l.is_face)
                    .sum();
                assert!(n > 0.0, "{face:?}");
            }
        }
    }
}
