//! Paths: closed curves through points, tapered strokes, stars; and a sine that is the same on every machine.

use tiny_skia::{Path, PathBuilder};

pub type Point = (f32, f32);

/// A point of an outline.
#[derive(Clone, Copy)]
pub enum Knot {
    /// The curve passes through the point smoothly.
    Round(f32, f32),
    /// The curve turns sharply at the point.
    Sharp(f32, f32),
}

impl Knot {
    fn at(self) -> Point {
        match self {
            Self::Round(x, y) | Self::Sharp(x, y) => (x, y),
        }
    }
}

/// A closed curve through knots: a Catmull-Rom spline, with zero tangents at sharp knots.
pub fn closed(knots: &[Knot]) -> Path {
    let n = knots.len();
    let at = |i: usize| knots[i % n].at();
    let tangent = |i: usize| match knots[i % n] {
        Knot::Sharp(..) => (0.0, 0.0),
        Knot::Round(..) => {
            let ((x0, y0), (x1, y1)) = (at(i + n - 1), at(i + 1));
            ((x1 - x0) / 6.0, (y1 - y0) / 6.0)
        }
    };
    let mut path = PathBuilder::new();
    path.move_to(at(0).0, at(0).1);
    for i in 0..n {
        let ((x0, y0), (x1, y1)) = (at(i), at(i + 1));
        let ((tx0, ty0), (tx1, ty1)) = (tangent(i), tangent(i + 1));
        path.cubic_to(x0 + tx0, y0 + ty0, x1 - tx1, y1 - ty1, x1, y1);
    }
    path.close();
    finish(path)
}

/// A path of cubic Bézier curves from `start`; each segment is two control points and the end, as x and y.
pub fn cubics(start: Point, segments: &[[f32; 6]], close: bool) -> Path {
    let mut path = PathBuilder::new();
    path.move_to(start.0, start.1);
    for &[ax, ay, bx, by, x, y] in segments {
        path.cubic_to(ax, ay, bx, by, x, y);
    }
    if close {
        path.close();
    }
    finish(path)
}

/// A polyline, open or closed.
pub fn lines(points: &[Point], close: bool) -> Path {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    if close {
        path.close();
    }
    finish(path)
}

/// A stroke from `from` to `to` with the control point `bend`, `width` wide in its middle and pointed at both ends.
pub fn taper(from: Point, bend: Point, to: Point, width: f32) -> Path {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt().max(1e-3);
    let (nx, ny) = (-dy / length * width, dx / length * width);
    let mut path = PathBuilder::new();
    path.move_to(from.0, from.1);
    path.quad_to(bend.0 + nx, bend.1 + ny, to.0, to.1);
    path.quad_to(bend.0 - nx, bend.1 - ny, from.0, from.1);
    path.close();
    finish(path)
}

/// An ellipse with its center at (`x`, `y`) and the radii `rx` and `ry`.
pub fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> Path {
    // Length of the handles, for radius 1, with which four cubics make an ellipse.
    const K: f32 = 0.552_284_8;
    let (kx, ky) = (rx * K, ry * K);
    cubics(
        (x, y - ry),
        &[
            [x + kx, y - ry, x + rx, y - ky, x + rx, y],
            [x + rx, y + ky, x + kx, y + ry, x, y + ry],
            [x - kx, y + ry, x - rx, y + ky, x - rx, y],
            [x - rx, y - ky, x - kx, y - ry, x, y - ry],
        ],
        true,
    )
}

/// A rectangle with rounded corners and its upper left corner at (`x`, `y`).
pub fn rounded(x: f32, y: f32, width: f32, height: f32, radius: f32) -> Path {
    let (r, b) = (x + width, y + height);
    let mut path = PathBuilder::new();
    path.move_to(x + radius, y);
    path.line_to(r - radius, y);
    path.quad_to(r, y, r, y + radius);
    path.line_to(r, b - radius);
    path.quad_to(r, b, r - radius, b);
    path.line_to(x + radius, b);
    path.quad_to(x, b, x, b - radius);
    path.line_to(x, y + radius);
    path.quad_to(x, y, x + radius, y);
    path.close();
    finish(path)
}

/// A star with `n` points at the radius `outer`, notches at the radius `inner`, rotated clockwise by `turns`.
pub fn star(x: f32, y: f32, n: usize, outer: f32, inner: f32, turns: f32) -> Path {
    let points: Vec<Point> = (0..2 * n)
        .map(|i| {
            let radius = if i % 2 == 0 { outer } else { inner };
            let (sin, cos) = sin_cos(turns + i as f32 / (2 * n) as f32);
            (x + radius * sin, y - radius * cos)
        })
        .collect();
    lines(&points, true)
}

/// A heart around (`x`, `y`) with its tip at the distance `r`.
pub fn heart(x: f32, y: f32, r: f32) -> Path {
    cubics(
        (x, y + r),
        &[
            [x - r * 1.7, y, x - r * 0.9, y - r * 1.2, x, y - r * 0.4],
            [x + r * 0.9, y - r * 1.2, x + r * 1.7, y, x, y + r],
        ],
        true,
    )
}

/// Sine and cosine of an angle in turns. Computed by basic arithmetic, since the system's functions differ in the last
/// bit between machines.
pub fn sin_cos(turns: f32) -> (f32, f32) {
    let sine = |turns: f64| {
        let turns = turns - turns.floor();
        // Fold to [-1/4, 1/4], where the series is short.
        let folded = if turns < 0.25 {
            turns
        } else if turns < 0.75 {
            0.5 - turns
        } else {
            turns - 1.0
        };
        let x = folded * std::f64::consts::TAU;
        let x2 = x * x;
        x * (1.0
            - x2 / 6.0
                * (1.0 - x2 / 20.0 * (1.0 - x2 / 42.0 * (1.0 - x2 / 72.0 * (1.0 - x2 / 110.0)))))
    };
    let turns = f64::from(turns);
    (sine(turns) as f32, sine(turns + 0.25) as f32)
}

/// Finishes a path. When its points make none (all equal, or no points), it is a dot far outside the image, so that
/// drawing needs no special case.
fn finish(path: PathBuilder) -> Path {
    path.finish().unwrap_or_else(|| {
        let mut dot = PathBuilder::new();
        dot.move_to(-1e6, -1e6);
        dot.line_to(-1e6 + 1.0, -1e6);
        dot.finish().expect("two points make a path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_a_sine() {
        for i in -40..40 {
            let turns = i as f32 / 16.0;
            let (sin, cos) = sin_cos(turns);
            let angle = f64::from(turns) * std::f64::consts::TAU;
            assert!((f64::from(sin) - angle.sin()).abs() < 1e-6, "{turns}");
            assert!((f64::from(cos) - angle.cos()).abs() < 1e-6, "{turns}");
        }
    }

    #[test]
    fn a_closed_curve_passes_its_knots() {
        let path = closed(&[
            Knot::Round(0.0, -10.0),
            Knot::Sharp(10.0, 0.0),
            Knot::Round(0.0, 10.0),
            Knot::Round(-10.0, 0.0),
        ]);
        let bounds = path.bounds();
        assert!(bounds.right() >= 9.9 && bounds.top() <= -9.9 && bounds.left() <= -9.9);
    }
}
