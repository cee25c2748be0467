//! Writing in an invented alphabet: speech bubbles, titles, watermarks.

use crate::canvas::Canvas;
use crate::color::OpaqueColor;
use crate::curve::{Knot, closed, lines, rounded};
use crate::draw::Draw;

/// Draws one random letter with its upper left corner at a point.
fn glyph(
    canvas: &mut Canvas,
    (x, y): (f32, f32),
    size: f32,
    ink: tiny_skia::Color,
    draw: &mut Draw,
) {
    let at = |u: f32, v: f32| (x + u * size, y + v * size);
    let width = size * 0.11;
    for _ in 0..2 + draw.below(3) {
        let path = match draw.below(4) {
            0 => {
                let v = draw.range(0.1, 0.8);
                lines(&[at(0.08, v), at(0.84, v + draw.range(-0.05, 0.05))], false)
            }
            1 => {
                let u = draw.range(0.2, 0.7);
                lines(&[at(u, 0.06), at(u + draw.range(-0.12, 0.12), 0.88)], false)
            }
            2 => lines(
                &[at(0.14, 0.2), at(0.78, 0.2), at(draw.range(0.3, 0.8), 0.86)],
                false,
            ),
            _ => lines(
                &[
                    at(draw.range(0.3, 0.6), 0.1),
                    at(0.12, 0.8),
                    at(0.86, draw.range(0.6, 0.85)),
                ],
                false,
            ),
        };
        canvas.stroke(&path, width, ink);
    }
}

/// Fills a box (x, y, width, height) with as many lines of random letters as fit.
pub fn writing(
    canvas: &mut Canvas,
    [x, y, width, height]: [f32; 4],
    size: f32,
    ink: tiny_skia::Color,
    draw: &mut Draw,
) {
    let (columns, rows) = ((width / size) as usize, (height / (size * 1.3)) as usize);
    for row in 0..rows {
        let end = if row > 0 && row + 1 == rows {
            draw.below(columns.max(1)) + 1
        } else {
            columns
        };
        for column in 0..end {
            if draw.chance(0.95) {
                let place = (x + column as f32 * size, y + row as f32 * size * 1.3);
                glyph(canvas, place, size * 0.92, ink, draw);
            }
        }
    }
}

/// Draws a speech bubble around a point, with its tail pointing to another one.
pub fn bubble(
    canvas: &mut Canvas,
    (x, y): (f32, f32),
    (rx, ry): (f32, f32),
    toward: (f32, f32),
    draw: &mut Draw,
) {
    let line = OpaqueColor::hex(0x2a2430);
    let (dx, dy) = (toward.0 - x, toward.1 - y);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let width = rx.max(ry) * 0.035;
    let tail = lines(
        &[
            (x - uy * rx * 0.2, y + ux * ry * 0.2),
            (x + uy * rx * 0.2, y - ux * ry * 0.2),
            (x + ux * rx * 1.35, y + uy * ry * 1.45),
        ],
        true,
    );
    let body = closed(&[
        Knot::Round(x, y - ry),
        Knot::Round(x + rx * 0.76, y - ry * 0.7),
        Knot::Round(x + rx, y),
        Knot::Round(x + rx * 0.76, y + ry * 0.7),
        Knot::Round(x, y + ry),
        Knot::Round(x - rx * 0.76, y + ry * 0.7),
        Knot::Round(x - rx, y),
        Knot::Round(x - rx * 0.76, y - ry * 0.7),
    ]);
    canvas.stroke(&tail, width * 2.0, line);
    canvas.stroke(&body, width * 2.0, line);
    canvas.fill(&tail, OpaqueColor::WHITE);
    canvas.fill(&body, OpaqueColor::WHITE);
    let size = (ry * 0.34).min(rx * 0.28);
    writing(
        canvas,
        [x - rx * 0.66, y - ry * 0.6, rx * 1.36, ry * 1.24],
        size,
        line.opaque(),
        draw,
    );
}

/// Draws a site's name in the lower right corner, as reposting sites add it.
pub fn watermark(canvas: &mut Canvas, draw: &mut Draw) {
    let (w, h) = canvas.size();
    let size = w.min(h) * draw.range(0.05, 0.07);
    let n = 7.0;
    let (x, y) = (w - size * (n + 0.5), h - size * 1.6);
    canvas.fill(
        &rounded(
            x - size * 0.3,
            y - size * 0.25,
            size * (n + 0.5),
            size * 1.5,
            size * 0.3,
        ),
        OpaqueColor::hex(0x202030).alpha(0.35),
    );
    writing(
        canvas,
        [x, y, size * (n + 0.01), size * 1.31],
        size,
        OpaqueColor::WHITE.alpha(0.85),
        draw,
    );
}
