//! Geometric transforms, combined into one affine map for each image and one margin of reflected pixels for the whole
//! batch.
//!
//! Matrices are computed in f32 and in the order of NVIDIA's code, because other rounding errors could change the
//! margin, which is rounded up to whole pixels.

use std::f32::consts::FRAC_PI_2;

use crate::{AugmentParams, Transform};

/// The margin in pixels that the 12-tap resampling filter (`sym6`) needs on each side of an image.
pub(crate) const FILTER_MARGIN: usize = 3;

/// A 3 x 3 matrix in homogeneous coordinates, row-major.
pub(crate) type Matrix3 = [[f32; 3]; 3];

const IDENTITY: Matrix3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

fn product(a: &Matrix3, b: &Matrix3) -> Matrix3 {
    let mut c = [[0.0; 3]; 3];
    for (row, a) in c.iter_mut().zip(a) {
        for (j, value) in row.iter_mut().enumerate() {
            *value = a[0] * b[0][j] + a[1] * b[1][j] + a[2] * b[2][j];
        }
    }
    c
}

fn scale(x: f32, y: f32) -> Matrix3 {
    [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]]
}

fn translate(x: f32, y: f32) -> Matrix3 {
    [[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]]
}

fn rotate(theta: f32) -> Matrix3 {
    let (sin, cos) = theta.sin_cos();
    [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
}

/// The inverse map of each image, from output to input pixels, both relative to the center; `None` when no geometric
/// transform is on.
fn inverse_maps(params: &AugmentParams) -> Option<Vec<Matrix3>> {
    let (width, height) = (params.shape.width as f32, params.shape.height as f32);
    let mut maps = vec![IDENTITY; params.shape.batch];
    let mut is_on = false;
    for draw in &params.draws {
        for (image, map) in maps.iter_mut().enumerate() {
            let v = draw.of(image);
            let inverse = match draw.transform {
                Transform::XFlip => scale(1.0 / (1.0 - 2.0 * v[0]), 1.0),
                Transform::Rotate90 => rotate(FRAC_PI_2 * v[0]),
                // Ties round to even, as in numpy and torch.
                Transform::XInt => translate(
                    -(v[0] * width).round_ties_even(),
                    -(v[1] * height).round_ties_even(),
                ),
                Transform::Scale => scale(1.0 / v[0], 1.0 / v[0]),
                Transform::Rotate => rotate(v[0]),
                Transform::Aniso => scale(1.0 / v[0], 1.0 / (1.0 / v[0])),
                Transform::XFrac => translate(-v[0] * width, -v[1] * height),
                _ => continue,
            };
            *map = product(map, &inverse);
            is_on = true;
        }
    }
    is_on.then_some(maps)
}

/// The geometric stage of the pipe for a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Geometry {
    /// The number of reflected pixels around every image: left, right, top, bottom.
    pub margin: [usize; 4],
    /// The map of each image; `None` for the identity.
    pub maps: Vec<Option<Map>>,
}

/// The map from pixels of the warped image (twice the size, with a margin) to those of the padded, upsampled image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Map {
    /// The matrix for `affine_grid`: output to input coordinates, where -1 and 1 are the edges of the images.
    pub theta: [[f32; 3]; 2],
    /// The same map in pixel coordinates, one row each for x and y: `x_in = m[0][0] x_out + m[0][1] y_out + m[0][2]`.
    pub pixels: [[f64; 3]; 2],
}

/// The side of the warped image before it is downsampled by two; `size` is the side of the image.
pub(crate) fn warped_size(size: usize) -> usize {
    2 * (size + 2 * FILTER_MARGIN)
}

impl Geometry {
    /// Computes the geometric stage from the drawn parameters; `None` when no geometric transform is on.
    pub fn new(params: &AugmentParams) -> Option<Self> {
        let maps = inverse_maps(params)?;
        let (width, height) = (params.shape.width, params.shape.height);
        let margin = margin(&maps, width, height);
        let [left, right, top, bottom] = margin;
        let (padded_w, padded_h) = (width + left + right, height + top + bottom);
        let (out_w, out_h) = (warped_size(width), warped_size(height));

        let maps = maps.iter().map(|map| {
            // Upsampling and downsampling by an orthonormal wavelet cancel, so an identity needs no resampling.
            if *map == IDENTITY {
                return None;
            }
            // Unequal margins shift the center.
            let x = (left as f32 - right as f32) / 2.0;
            let y = (top as f32 - bottom as f32) / 2.0;
            let m = product(&translate(x, y), map);
            // To twice the resolution, where pixel centers are shifted by half a pixel.
            let m = product(&product(&scale(2.0, 2.0), &m), &scale(0.5, 0.5));
            let m = product(&product(&translate(-0.5, -0.5), &m), &translate(0.5, 0.5));
            // From pixels to coordinates in -1..1.
            let to = scale(1.0 / padded_w as f32, 1.0 / padded_h as f32);
            let from = scale(out_w as f32 / 2.0, out_h as f32 / 2.0);
            let m = product(&product(&to, &m), &from);
            let theta = [m[0], m[1]];
            Some(Map {
                theta,
                pixels: in_pixels(theta, (out_w, out_h), (2 * padded_w, 2 * padded_h)),
            })
        });
        Some(Geometry {
            margin,
            maps: maps.collect(),
        })
    }
}

/// Returns the number of reflected pixels (left, right, top, bottom) that put the corners of all warped images inside
/// the padded image. Each number is limited to the image size minus 1, even where more pixels are needed.
fn margin(maps: &[Matrix3], width: usize, height: usize) -> [usize; 4] {
    let (cx, cy) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
    let mut farthest = [f32::NEG_INFINITY; 4];
    for map in maps {
        for (x, y) in [(-cx, -cy), (cx, -cy), (cx, cy), (-cx, cy)] {
            let px = map[0][0] * x + map[0][1] * y + map[0][2];
            let py = map[1][0] * x + map[1][1] * y + map[1][2];
            for (far, reached) in farthest.iter_mut().zip([-px, px, -py, py]) {
                *far = far.max(reached);
            }
        }
    }
    let filter = 2.0 * FILTER_MARGIN as f32;
    let limits = [(cx, width), (cx, width), (cy, height), (cy, height)];
    std::array::from_fn(|side| {
        let (center, size) = limits[side];
        let needed = farthest[side] + (filter - center);
        needed.max(0.0).min(size as f32 - 1.0).ceil() as usize
    })
}

/// Converts `theta` of an affine grid to pixel coordinates. `out` and `padded` are the width and height of the output
/// and of the padded, upsampled input. Pixel `i` of `n` is at the coordinate `(2 i + 1) / n - 1`.
fn in_pixels(theta: [[f32; 3]; 2], out: (usize, usize), padded: (usize, usize)) -> [[f64; 3]; 2] {
    let (out_w, out_h) = (out.0 as f64, out.1 as f64);
    let sizes = [padded.0 as f64, padded.1 as f64];
    std::array::from_fn(|axis| {
        let [a, b, c] = theta[axis].map(f64::from);
        let half = sizes[axis] / 2.0;
        let constant = a * (1.0 / out_w - 1.0) + b * (1.0 / out_h - 1.0) + c + 1.0;
        [
            a * 2.0 / out_w * half,
            b * 2.0 / out_h * half,
            constant * half - 0.5,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AugPipe, AugmentParams, BatchShape, Ranges};

    fn geometry(pipe: &str, percentile: f64) -> Option<Geometry> {
        let shape = BatchShape {
            batch: 2,
            channels: 3,
            height: 32,
            width: 32,
        };
        let pipe: AugPipe = pipe.parse().unwrap();
        let mut random = rng::RandomState::new(0);
        let ranges = Ranges::default();
        let params = AugmentParams::percentile(&pipe, &ranges, &mut random, percentile, shape);
        Geometry::new(&params.unwrap())
    }

    #[test]
    fn margins_and_maps_of_the_reference() {
        // Origin: golden data from NVIDIA's code, presets at fixed percentiles.
        let g = geometry("geom", 0.05).unwrap();
        assert_eq!(g.margin, [21, 11, 19, 6]);
        let g = geometry("bg", 0.05).unwrap();
        assert_eq!(g.margin, [17, 15, 15, 10]);
        let expected = [
            [-0.779_578, 0.183_478_86, -0.005_367],
            [-0.284_407_35, -0.634_037_6, -0.017_677_415],
        ];
        let theta = g.maps[0].as_ref().unwrap().theta;
        for (row, expected) in theta.iter().zip(expected) {
            for (a, b) in row.iter().zip(expected) {
                assert!((a - b).abs() < 1e-6, "{theta:?}");
            }
        }
    }

    #[test]
    fn the_identity_is_left_out() {
        let g = geometry("xflip", 0.25).unwrap();
        assert_eq!((g.margin, &g.maps), ([6; 4], &vec![None, None]));
        assert_eq!(geometry("color", 0.75), None);
    }
}
