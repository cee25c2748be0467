//! The search that all model-based detectors share: the whole image, then tiles at finer scales if wanted, then filters
//! by score, size and number.

use image::RgbImage;
use image::imageops::crop_imm;

use crate::geometry::suppress_nested;
use crate::{DetectError, DetectOptions, Face, NamedImage};

/// Options for one run of a detector's model on the whole image or on a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SearchOptions {
    /// Longest side in pixels to which the detector shrinks the image first.
    pub longest_side: u32,
    /// Smallest shorter side of a wanted face, in pixels of the passed image; the detector may return smaller ones.
    pub min_face: f32,
    /// Smallest wanted score; the detector may return faces below it.
    pub threshold: f32,
}

/// Neighboring tiles overlap by at least this fraction of their side, so that a face of at most that size is completely
/// inside one of them.
const OVERLAP: f64 = 0.25;
/// Largest number of finer scales; each doubles the resolution, so three reach 8 times that of the whole image.
const MAX_FINER_SCALES: u32 = 3;
const MAX_IOU: f32 = 0.4;
const MAX_SHARE: f32 = 0.75;

/// Runs `find` on an image and, if [`DetectOptions::tiles`] is set, on its tiles; then filters the results by
/// `options`.
///
/// Faces are returned in pixels of the image, sorted by falling score.
pub(crate) fn search(
    named: &NamedImage<'_>,
    options: &DetectOptions,
    search_options: SearchOptions,
    mut find: impl FnMut(&RgbImage, SearchOptions) -> Result<Vec<Face>, DetectError>,
) -> Result<Vec<Face>, DetectError> {
    let (width, height) = named.image.dimensions();
    if width == 0 || height == 0 {
        return Ok(Vec::new());
    }
    let mut faces = find(named.image, search_options)?;
    if options.tiles {
        let longest = width.max(height);
        let mut cap = search_options.longest_side.max(1);
        for _ in 0..MAX_FINER_SCALES {
            if cap >= longest {
                break;
            }
            cap = cap.saturating_mul(2).min(longest);
            // A tile of this side is shrunk to `cap / longest` of the full resolution.
            let side = (f64::from(search_options.longest_side) * f64::from(longest)
                / f64::from(cap))
            .round() as u32;
            for (x, y, w, h) in tiles(width, height, side.max(1)) {
                let tile = crop_imm(named.image, x, y, w, h).to_image();
                let found = find(&tile, search_options)?;
                faces.extend(
                    found
                        .into_iter()
                        .filter_map(|face| from_tile(face, (x, y, w, h), (width, height))),
                );
            }
        }
        suppress_nested(&mut faces, MAX_IOU, MAX_SHARE);
    }
    Ok(finish(
        faces,
        (width, height),
        options,
        search_options.threshold,
    ))
}

/// Clamps boxes to the image of this size (width, height), drops faces below the threshold or below
/// [`DetectOptions::min_face`], sorts by falling score and keeps [`DetectOptions::max_faces`].
pub(crate) fn finish(
    mut faces: Vec<Face>,
    size: (u32, u32),
    options: &DetectOptions,
    threshold: f32,
) -> Vec<Face> {
    let (width, height) = (size.0 as f32, size.1 as f32);
    for face in &mut faces {
        let [x0, y0, x1, y1] = face.rect;
        face.rect = [
            x0.clamp(0.0, width),
            y0.clamp(0.0, height),
            x1.clamp(0.0, width),
            y1.clamp(0.0, height),
        ];
    }
    // NaN fails each comparison.
    faces.retain(|face| {
        let shorter = face.width().min(face.height());
        face.score >= threshold && shorter > 0.0 && shorter >= options.min_face
    });
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    if options.max_faces > 0 {
        faces.truncate(options.max_faces);
    }
    faces
}

/// Overlapping tiles `(x, y, w, h)` of at most `side` x `side` pixels that cover an image of `width` x `height`.
fn tiles(width: u32, height: u32, side: u32) -> Vec<(u32, u32, u32, u32)> {
    let starts = |length: u32| -> Vec<u32> {
        if length <= side {
            return vec![0];
        }
        let step = f64::from(side) * (1.0 - OVERLAP);
        let count = (f64::from(length - side) / step).ceil().max(1.0) as u32;
        (0..=count)
            .map(|i| (u64::from(length - side) * u64::from(i) / u64::from(count)) as u32)
            .collect()
    };
    let xs = starts(width);
    let place = |(x, y)| (x, y, side.min(width), side.min(height));
    starts(height)
        .into_iter()
        .flat_map(|y| xs.iter().map(move |&x| (x, y)))
        .map(place)
        .collect()
}

/// Converts a face from pixels of a tile `(x, y, w, h)` to pixels of the image of this size; `None` when it touches an
/// edge of the tile that is not an edge of the image, and is probably cut off there.
fn from_tile(mut face: Face, tile: (u32, u32, u32, u32), size: (u32, u32)) -> Option<Face> {
    let (x, y, w, h) = tile;
    let margin = 0.02 * w.max(h) as f32;
    let cut = (x > 0 && face.rect[0] < margin)
        || (y > 0 && face.rect[1] < margin)
        || (x + w < size.0 && face.rect[2] > w as f32 - margin)
        || (y + h < size.1 && face.rect[3] > h as f32 - margin);
    for (value, origin) in face.rect.iter_mut().zip([x, y, x, y]) {
        *value += origin as f32;
    }
    (!cut).then_some(face)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_pixel_and_stay_inside() {
        for (width, height, side) in [
            (1000, 700, 256),
            (256, 256, 256),
            (257, 100, 256),
            (30, 900, 64),
        ] {
            let mut seen = vec![false; (width * height) as usize];
            for (x, y, w, h) in tiles(width, height, side) {
                assert!(x + w <= width && y + h <= height && w <= side && h <= side);
                for row in y..y + h {
                    for column in x..x + w {
                        seen[(row * width + column) as usize] = true;
                    }
                }
            }
            assert!(
                seen.iter().all(|&pixel| pixel),
                "{width} x {height} in tiles of {side}"
            );
        }
    }

    #[test]
    fn a_small_face_of_a_large_image_is_found_in_a_tile() {
        let image = RgbImage::from_fn(1000, 600, |x, y| {
            image::Rgb(
                [if (700..740).contains(&x) && (300..340).contains(&y) {
                    255
                } else {
                    0
                }; 3],
            )
        });
        let named = NamedImage {
            image: &image,
            name: "drawn",
        };
        // This detector finds the white square only in an image that is not shrunk to less than half.
        let engine =
            |image: &RgbImage, search_options: SearchOptions| -> Result<Vec<Face>, DetectError> {
                let white = |&(x, y): &(u32, u32)| image.get_pixel(x, y).0[0] == 255;
                let all = || {
                    (0..image.height())
                        .flat_map(|y| (0..image.width()).map(move |x| (x, y)))
                        .filter(white)
                };
                if image.width().max(image.height()) > 2 * search_options.longest_side
                    || all().next().is_none()
                {
                    return Ok(Vec::new());
                }
                let (x0, y0) = (all().map(|p| p.0).min(), all().map(|p| p.1).min());
                let (x1, y1) = (all().map(|p| p.0 + 1).max(), all().map(|p| p.1 + 1).max());
                let rect = [x0, y0, x1, y1].map(|v| v.unwrap_or(0) as f32);
                Ok(vec![Face { rect, score: 0.9 }])
            };
        let search_options = SearchOptions {
            longest_side: 250,
            min_face: 0.0,
            threshold: 0.5,
        };
        let mut options = DetectOptions::default();
        assert_eq!(
            search(&named, &options, search_options, engine).unwrap(),
            []
        );
        options.tiles = true;
        let faces = search(&named, &options, search_options, engine).unwrap();
        assert_eq!(
            faces,
            [Face {
                rect: [700.0, 300.0, 740.0, 340.0],
                score: 0.9
            }]
        );
    }

    #[test]
    fn threshold_size_and_number_are_applied() {
        let face = |x: f32, side: f32, score: f32| Face {
            rect: [x, 0.0, x + side, side],
            score,
        };
        let faces = vec![
            face(0.0, 30.0, 0.6),
            face(40.0, 30.0, 0.9),
            face(80.0, 10.0, 0.9),
            face(90.0, 30.0, 0.2),
        ];
        let options = DetectOptions {
            max_faces: 1,
            ..DetectOptions::default()
        };
        assert_eq!(
            finish(faces.clone(), (200, 200), &options, 0.5),
            [face(40.0, 30.0, 0.9)]
        );
        let all = DetectOptions {
            min_face: 0.0,
            ..DetectOptions::default()
        };
        assert_eq!(finish(faces, (200, 200), &all, 0.5).len(), 3);
        let outside = vec![Face {
            rect: [-10.0, -5.0, 30.0, 300.0],
            score: 1.0,
        }];
        assert_eq!(
            finish(outside, (200, 100), &all, 0.5)[0].rect,
            [0.0, 0.0, 30.0, 100.0]
        );
        assert!(
            finish(
                vec![Face {
                    rect: [f32::NAN; 4],
                    score: 1.0
                }],
                (9, 9),
                &all,
                0.5
            )
            .is_empty()
        );
    }
}
