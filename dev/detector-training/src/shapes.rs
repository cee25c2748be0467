//! Draws plain shapes that are no faces: ellipses, panels, speech bubbles, letters.

use rng::RandomState;

use crate::canvas::Canvas;
use crate::random::{any_color, chance, log_uniform, uniform};

/// Share of collages with speech bubbles.
const TALKING: f64 = 0.3;

/// Draws up to four ellipses and panels and, in some cases, up to three speech bubbles at random places.
pub fn draw(canvas: &mut Canvas, random: &mut RandomState) {
    for _ in 0..random.index(5) {
        let shape = Shape::any(canvas, (3.0, 70.0), random);
        let colors = [any_color(random), any_color(random)];
        if chance(random, 0.5) {
            shape.ellipse(canvas, colors);
        } else {
            shape.panel(canvas, colors);
        }
    }
    if chance(random, TALKING) {
        for _ in 0..1 + random.index(3) {
            bubble(canvas, random);
        }
    }
}

/// Center, half width and height, and outline width of a shape, in pixels.
struct Shape {
    middle: [f32; 2],
    half: [f32; 2],
    outline: f32,
}

impl Shape {
    fn any(canvas: &Canvas, halves: (f32, f32), random: &mut RandomState) -> Self {
        let side = canvas.side as f32;
        Self {
            middle: std::array::from_fn(|_| uniform(random, 0.0, side)),
            half: std::array::from_fn(|_| log_uniform(random, halves)),
            outline: uniform(random, 1.0, 3.0),
        }
    }

    fn rect(&self, outline: f32) -> [f32; 4] {
        let ([x, y], [a, b]) = (self.middle, self.half);
        let (a, b) = (a - outline, b - outline);
        [x - a, y - b, x + a, y + b]
    }

    /// Draws the shape as a filled ellipse with an outline.
    fn ellipse(&self, canvas: &mut Canvas, [fill, line]: [[f32; 3]; 2]) {
        let [x, y] = self.middle;
        for (outline, color) in [(0.0, line), (self.outline, fill)] {
            let [a, b] = self.half.map(|half| (half - outline).max(1.0));
            canvas.fill(self.rect(0.0), color, |px, py| {
                ((px - x) / a).hypot((py - y) / b) < 1.0
            });
        }
    }

    /// Draws the shape as a filled rectangle with an outline.
    fn panel(&self, canvas: &mut Canvas, [fill, line]: [[f32; 3]; 2]) {
        canvas.fill(self.rect(0.0), line, |_, _| true);
        canvas.fill(self.rect(self.outline), fill, |_, _| true);
    }
}

/// Draws a bright speech bubble with dark letters, of which two or three can look like eyes and a mouth.
fn bubble(canvas: &mut Canvas, random: &mut RandomState) {
    let shape = Shape::any(canvas, (8.0, 60.0), random);
    let bright = [uniform(random, 225.0, 255.0); 3];
    let dark = [uniform(random, 0.0, 60.0); 3];
    if chance(random, 0.8) {
        shape.ellipse(canvas, [bright, dark]);
    } else {
        shape.panel(canvas, [bright, dark]);
    }
    let ([x, y], [a, b]) = (shape.middle, shape.half);
    let height = log_uniform(random, (2.5, 0.7 * b));
    let width = height * uniform(random, 0.5, 1.0);
    let stroke = (height * uniform(random, 0.1, 0.3)).max(1.0);
    let lines = (1.2 * b / (1.5 * height)) as usize;
    for line in 0..lines.max(1) {
        let top = y - 0.6 * b + line as f32 * 1.5 * height;
        // Half the width of the ellipse at the height of this line.
        let reach = 0.8
            * a
            * (1.0 - ((top + 0.5 * height - y) / b).powi(2))
                .max(0.0)
                .sqrt();
        for letter in 0..(2.0 * reach / (1.3 * width)) as usize {
            if chance(random, 0.85) {
                let left = x - reach + letter as f32 * 1.3 * width;
                glyph(
                    canvas,
                    [left, top, left + width, top + height],
                    stroke,
                    dark,
                    random,
                );
            }
        }
    }
}

/// Draws a random letter in the box `rect`: a ring that may be open at one side, or strokes along the sides, through
/// the middle or along the diagonals. `stroke` is the width of the strokes in pixels.
pub fn glyph(
    canvas: &mut Canvas,
    rect: [f32; 4],
    stroke: f32,
    color: [f32; 3],
    random: &mut RandomState,
) {
    let [x0, y0, x1, y1] = rect;
    let (x, y) = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
    if chance(random, 0.25) {
        let (a, b) = ((x1 - x0) / 2.0, (y1 - y0) / 2.0);
        let inner = (1.0 - stroke / a.min(b)).max(0.0);
        let open_to = match random.index(3) {
            0 => [1.0, 0.0],
            1 => [uniform(random, -1.0, 1.0), uniform(random, -1.0, 1.0)],
            _ => [0.0; 2],
        };
        canvas.fill(rect, color, |px, py| {
            let (u, v) = ((px - x) / a, (py - y) / b);
            (inner..1.0).contains(&u.hypot(v)) && open_to[0] * u + open_to[1] * v < 0.6
        });
        return;
    }
    let half = stroke / 2.0;
    if chance(random, 0.25) {
        // Diagonal strokes, as in A, V, X and Z.
        let slant = (x1 - x0) / (y1 - y0);
        for sign in [-1.0, 1.0] {
            if chance(random, 0.7) {
                canvas.fill(rect, color, |px, py| {
                    (px - x - sign * slant * (py - y)).abs() < stroke * 0.6
                });
            }
        }
    }
    for bar in [
        [x0, y0, x0 + stroke, y1],
        [x1 - stroke, y0, x1, y1],
        [x - half, y0, x + half, y1],
        [x0, y0, x1, y0 + stroke],
        [x0, y - half, x1, y + half],
        [x0, y1 - stroke, x1, y1],
    ] {
        if chance(random, 0.45) {
            canvas.fill(bar, color, |_, _| true);
        }
    }
}
