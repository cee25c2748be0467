//! Color transforms, combined into one affine map of RGB values for each image.

use crate::{AugmentParams, Transform};

/// A 4 x 4 matrix in homogeneous RGB coordinates, row-major.
type Matrix4 = [[f32; 4]; 4];

/// The color map of an image, `rgb -> matrix rgb + offset`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColorMap {
    /// The first `channels` rows and columns are used.
    pub matrix: [[f32; 3]; 3],
    pub offset: [f32; 3],
}

const IDENTITY: Matrix4 = [
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
];

fn product(a: &Matrix4, b: &Matrix4) -> Matrix4 {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..4).map(|k| a[i][k] * b[k][j]).sum()))
}

/// Returns the matrix that scales the component of a color along the luma axis by `along`, and the component
/// perpendicular to this axis by `across`.
fn about_luma(along: f32, across: f32) -> Matrix4 {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| match (i, j) {
            (3, 3) => 1.0,
            (3, _) | (_, 3) => 0.0,
            _ => along / 3.0 + across * (f32::from(u8::from(i == j)) - 1.0 / 3.0),
        })
    })
}

/// A rotation by `theta` radians around the luma axis (Rodrigues' formula).
fn turn_hue(theta: f32) -> Matrix4 {
    let (sin, cos) = theta.sin_cos();
    let v = 1.0 / 3.0_f32.sqrt();
    // The matrix of the cross product with the unit vector (v, v, v).
    let cross = [[0.0, -v, v], [v, 0.0, -v], [-v, v, 0.0]];
    let mut m = about_luma(1.0, cos);
    for (row, cross) in m.iter_mut().zip(cross) {
        for (value, cross) in row.iter_mut().zip(cross) {
            *value += cross * sin;
        }
    }
    m
}

/// The color map of each image; `None` for the identity.
pub(crate) fn color_maps(params: &AugmentParams) -> Vec<Option<ColorMap>> {
    let image = |image: usize| {
        let mut m = IDENTITY;
        for draw in &params.draws {
            let v = draw.of(image)[0];
            let next = match draw.transform {
                Transform::Brightness => {
                    let mut next = IDENTITY;
                    next[..3].iter_mut().for_each(|row| row[3] = v);
                    next
                }
                Transform::Contrast => {
                    let mut next = IDENTITY;
                    (0..3).for_each(|i| next[i][i] = v);
                    next
                }
                // `v` is 1 for a flip, which negates the component along the luma axis.
                Transform::LumaFlip if v == 0.0 => continue,
                Transform::LumaFlip => about_luma(1.0 - 2.0 * v, 1.0),
                Transform::Hue if v == 0.0 => continue,
                Transform::Hue => turn_hue(v),
                Transform::Saturation if v == 1.0 => continue,
                Transform::Saturation => about_luma(1.0, v),
                _ => continue,
            };
            m = product(&next, &m);
        }
        (m != IDENTITY).then(|| {
            if params.shape.channels == 1 {
                // A gray value counts as a color with three equal components; the result is the mean of the three
                // mapped components.
                let mean = |column: usize| (m[0][column] + m[1][column] + m[2][column]) / 3.0;
                let mut map = ColorMap {
                    matrix: [[0.0; 3]; 3],
                    offset: [mean(3), 0.0, 0.0],
                };
                map.matrix[0][0] = mean(0) + mean(1) + mean(2);
                return map;
            }
            ColorMap {
                matrix: std::array::from_fn(|i| std::array::from_fn(|j| m[i][j])),
                offset: std::array::from_fn(|i| m[i][3]),
            }
        })
    };
    (0..params.shape.batch).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(m: &Matrix4, rgb: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|i| (0..3).map(|j| m[i][j] * rgb[j]).sum::<f32>() + m[i][3])
    }

    fn assert_close(a: [f32; 3], b: [f32; 3]) {
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6),
            "{a:?} {b:?}"
        );
    }

    #[test]
    fn gray_keeps_its_hue_and_a_third_turn_permutes_the_colors() {
        let third = turn_hue(2.0 * std::f32::consts::PI / 3.0);
        assert_close(apply(&third, [0.3, 0.3, 0.3]), [0.3, 0.3, 0.3]);
        assert_close(apply(&third, [1.0, 0.0, 0.5]), [0.5, 1.0, 0.0]);
    }

    #[test]
    fn luma_and_chroma_are_separate() {
        assert_close(
            apply(&about_luma(-1.0, 1.0), [0.2, 0.2, 0.2]),
            [-0.2, -0.2, -0.2],
        );
        assert_close(
            apply(&about_luma(1.0, 0.0), [0.9, 0.0, 0.0]),
            [0.3, 0.3, 0.3],
        );
        assert_close(
            apply(&about_luma(1.0, 2.0), [0.5, -0.5, 0.0]),
            [1.0, -1.0, 0.0],
        );
    }
}
