//! Backgrounds behind the characters.

use crate::canvas::{Canvas, Ink};
use crate::color::OpaqueColor;
use crate::curve::{Knot, closed, cubics, ellipse, heart, lines, rounded, sin_cos, star};
use crate::draw::Draw;

/// Every kind of background, by its tag.
pub const KINDS: [&str; 14] = [
    "white_background",
    "gradient_background",
    "sunburst",
    "polka_dot_background",
    "checkered_background",
    "heart_background",
    "starry_background",
    "sky",
    "night_sky",
    "sunset",
    "cherry_blossoms",
    "hills",
    "city",
    "window",
];

/// Paints the background with the tag `kind` over the whole canvas.
pub fn paint(canvas: &mut Canvas, kind: &str, draw: &mut Draw) {
    let (w, h) = canvas.size();
    let all = rounded(0.0, 0.0, w, h, 0.0);
    let unit = w.min(h) / 10.0;
    let hue = draw.range(0.0, 1.0);
    let pale = OpaqueColor::hsv(hue, draw.range(0.12, 0.3), 0.97);
    let strong = OpaqueColor::hsv(
        (hue + draw.range(-0.06, 0.12) + 1.0) % 1.0,
        draw.range(0.3, 0.55),
        0.9,
    );
    match kind {
        "white_background" => {}
        "gradient_background" => {
            let (from, to) = ([0.0, 0.0], [w * draw.range(0.0, 1.0), h]);
            canvas.fill(&all, Ink::Linear(from, pale.opaque(), to, strong.opaque()));
        }
        "sunburst" => {
            canvas.fill(&all, pale);
            let (cx, cy) = (w * draw.range(0.35, 0.65), h * draw.range(0.3, 0.6));
            let n = 8 + draw.below(9);
            let turn = draw.range(0.0, 1.0);
            for i in 0..n {
                let ray = |share: f32| {
                    let (sin, cos) = sin_cos(turn + (i as f32 + share) / n as f32);
                    (cx + sin * (w + h), cy + cos * (w + h))
                };
                canvas.fill(
                    &lines(&[(cx, cy), ray(0.0), ray(0.5)], true),
                    strong.mix(pale, 0.4),
                );
            }
        }
        "polka_dot_background" | "heart_background" | "starry_background" => {
            canvas.fill(&all, Ink::down(0.0, pale, h, pale.mix(strong, 0.35)));
            let step = unit * draw.range(1.1, 1.9);
            let r = step * draw.range(0.18, 0.28);
            let color = strong.mix(
                OpaqueColor::WHITE,
                if draw.chance(0.5) { 0.75 } else { 0.15 },
            );
            for row in 0..(h / step) as usize + 2 {
                for column in 0..(w / step) as usize + 2 {
                    let x = (column as f32 + if row.is_multiple_of(2) { 0.0 } else { 0.5 }) * step;
                    let y = row as f32 * step;
                    let path = match kind {
                        "polka_dot_background" => ellipse(x, y, r, r),
                        "heart_background" => heart(x, y, r * 1.1),
                        _ => star(x, y, 5, r * 1.4, r * 0.6, 0.03 * row as f32),
                    };
                    canvas.fill(&path, color);
                }
            }
        }
        "checkered_background" => {
            canvas.fill(&all, pale);
            let step = unit * draw.range(0.8, 1.6);
            for row in 0..(h / step) as usize + 1 {
                for column in (row % 2..(w / step) as usize + 1).step_by(2) {
                    let square = rounded(column as f32 * step, row as f32 * step, step, step, 0.0);
                    canvas.fill(&square, strong.mix(pale, 0.55));
                }
            }
        }
        "sky" => {
            canvas.fill(
                &all,
                Ink::down(
                    0.0,
                    OpaqueColor::hex(0x5aa8ea),
                    h,
                    OpaqueColor::hex(0xd8f0ff),
                ),
            );
            for _ in 0..4 + draw.below(4) {
                let (x, y) = (w * draw.range(-0.1, 1.0), h * draw.range(0.05, 0.8));
                cloud(
                    canvas,
                    x,
                    y,
                    unit * draw.range(0.7, 1.5),
                    OpaqueColor::WHITE.alpha(0.88),
                );
            }
        }
        "night_sky" => {
            canvas.fill(
                &all,
                Ink::down(
                    0.0,
                    OpaqueColor::hex(0x151a48),
                    h,
                    OpaqueColor::hex(0x5a4a98),
                ),
            );
            for _ in 0..90 {
                let r = unit * draw.range(0.012, 0.05);
                let (x, y) = (w * draw.range(0.0, 1.0), h * draw.range(0.0, 1.0));
                canvas.fill(
                    &ellipse(x, y, r, r),
                    OpaqueColor::hex(0xfff8d8).alpha(draw.range(0.4, 1.0)),
                );
            }
            let (x, y, r) = (w * draw.range(0.1, 0.9), h * draw.range(0.08, 0.25), unit);
            canvas.fill(
                &ellipse(x, y, r * 2.4, r * 2.4),
                Ink::Radial(
                    [x, y],
                    r * 2.4,
                    OpaqueColor::hex(0xfff0b0).alpha(0.5),
                    OpaqueColor::hex(0xfff0b0).alpha(0.0),
                ),
            );
            canvas.fill(&ellipse(x, y, r, r), OpaqueColor::hex(0xfff4c8));
        }
        "sunset" => {
            let sea = h * draw.range(0.55, 0.75);
            canvas.fill(
                &all,
                Ink::down(
                    0.0,
                    OpaqueColor::hex(0x7a5aa8),
                    sea,
                    OpaqueColor::hex(0xffb070),
                ),
            );
            let x = w * draw.range(0.15, 0.85);
            canvas.fill(
                &ellipse(x, sea, unit * 1.3, unit * 1.3),
                OpaqueColor::hex(0xfff0b8),
            );
            canvas.fill(
                &rounded(0.0, sea, w, h - sea, 0.0),
                Ink::down(
                    sea,
                    OpaqueColor::hex(0xc87088),
                    h,
                    OpaqueColor::hex(0x3a3a70),
                ),
            );
            for i in 0..22 {
                let y = sea + (h - sea) * (i as f32 + 0.5) / 22.0;
                let half = unit * draw.range(0.3, 1.4);
                let x = x + unit * draw.signed();
                canvas.stroke(
                    &lines(&[(x - half, y), (x + half, y)], false),
                    unit * 0.05,
                    OpaqueColor::hex(0xffe0a0).alpha(0.6),
                );
            }
        }
        "cherry_blossoms" => {
            canvas.fill(
                &all,
                Ink::down(
                    0.0,
                    OpaqueColor::hex(0xbfe4fa),
                    h,
                    OpaqueColor::hex(0xfff0f4),
                ),
            );
            for _ in 0..60 {
                let (x, y) = (w * draw.range(0.0, 1.0), h * draw.range(0.0, 1.0));
                petal(
                    canvas,
                    x,
                    y,
                    unit * draw.range(0.14, 0.34),
                    draw.range(0.0, 1.0),
                );
            }
            for _ in 0..16 {
                let (x, y) = (w * draw.range(-0.1, 1.1), h * draw.range(-0.08, 0.1));
                let r = unit * draw.range(0.5, 1.3);
                canvas.fill(
                    &ellipse(x, y, r, r * 0.8),
                    OpaqueColor::hex(0xf8b8cc)
                        .mix(OpaqueColor::WHITE, draw.range(0.0, 0.5))
                        .alpha(0.9),
                );
            }
        }
        "hills" => {
            canvas.fill(
                &all,
                Ink::down(
                    0.0,
                    OpaqueColor::hex(0x8ccaf2),
                    h * 0.7,
                    OpaqueColor::hex(0xf4fbe8),
                ),
            );
            cloud(
                canvas,
                w * draw.range(0.0, 0.7),
                h * 0.12,
                unit,
                OpaqueColor::WHITE.alpha(0.9),
            );
            for layer in 0..3 {
                let y = h * (0.5 + 0.16 * layer as f32);
                let green =
                    OpaqueColor::hsv(0.27 + 0.03 * layer as f32, 0.42, 0.84 - 0.12 * layer as f32);
                let (a, b) = (unit * draw.range(0.5, 2.0), unit * draw.range(0.5, 2.0));
                let hill = cubics(
                    (0.0, y),
                    &[
                        [w * 0.3, y - a, w * 0.6, y + b, w, y - b],
                        [w, h * 0.8, w, h, w, h],
                        [w * 0.5, h, w * 0.2, h, 0.0, h],
                        [0.0, h * 0.9, 0.0, y, 0.0, y],
                    ],
                    true,
                );
                canvas.fill(&hill, green);
            }
            for _ in 0..9 {
                let (x, y, r) = (
                    w * draw.range(0.0, 1.0),
                    h * draw.range(0.62, 0.85),
                    unit * draw.range(0.25, 0.5),
                );
                canvas.fill(
                    &rounded(x - r * 0.15, y, r * 0.3, r * 1.3, 0.0),
                    OpaqueColor::hex(0x7a5a40),
                );
                canvas.fill(&ellipse(x, y, r, r * 1.1), OpaqueColor::hex(0x5a9a58));
            }
        }
        "city" => {
            let dusk = draw.chance(0.5);
            let (top, low) = if dusk {
                (0x3a3f78, 0xf0a08a)
            } else {
                (0x9ad0f0, 0xf4f8ff)
            };
            canvas.fill(
                &all,
                Ink::down(0.0, OpaqueColor::hex(top), h, OpaqueColor::hex(low)),
            );
            for layer in 0..2 {
                let color = OpaqueColor::hex(if dusk { 0x4a4878 } else { 0x9ab0cc })
                    .shade(0.25 * layer as f32);
                let mut x = -unit * draw.range(0.0, 1.0);
                while x < w {
                    let (width, height) = (
                        unit * draw.range(0.9, 2.0),
                        h * draw.range(0.25, 0.6 - 0.12 * layer as f32),
                    );
                    canvas.fill(&rounded(x, h - height, width, height, 0.0), color);
                    let step = unit * 0.34;
                    for row in 0..(height / step) as usize {
                        for column in 0..(width / step) as usize {
                            if draw.chance(0.45) {
                                let (wx, wy) = (
                                    x + (column as f32 + 0.25) * step,
                                    h - height + (row as f32 + 0.3) * step,
                                );
                                canvas.fill(
                                    &rounded(wx, wy, step * 0.5, step * 0.5, 0.0),
                                    OpaqueColor::hex(0xffe9a8).alpha(if dusk { 0.9 } else { 0.4 }),
                                );
                            }
                        }
                    }
                    x += width * draw.range(0.95, 1.2);
                }
            }
        }
        _ => {
            // A room with a window.
            canvas.fill(
                &all,
                Ink::down(0.0, pale, h, pale.mix(OpaqueColor::hex(0xd8b898), 0.5)),
            );
            let (x, y, ww, wh) = (w * draw.range(0.02, 0.4), h * 0.08, w * 0.55, h * 0.5);
            canvas.fill(
                &rounded(x, y, ww, wh, 0.0),
                Ink::down(
                    y,
                    OpaqueColor::hex(0x78bcf0),
                    y + wh,
                    OpaqueColor::hex(0xe8f6ff),
                ),
            );
            cloud(
                canvas,
                x + ww * 0.2,
                y + wh * 0.4,
                unit * 0.6,
                OpaqueColor::WHITE.alpha(0.9),
            );
            let frame = OpaqueColor::hex(0xa87850);
            for path in [
                rounded(x, y, ww, wh, 0.0),
                lines(&[(x + ww / 2.0, y), (x + ww / 2.0, y + wh)], false),
                lines(&[(x, y + wh / 2.0), (x + ww, y + wh / 2.0)], false),
            ] {
                canvas.stroke(&path, unit * 0.18, frame);
            }
            for side in [0.0, 1.0] {
                let x = x - unit * 0.6 + side * (ww + unit * 0.1);
                let curtain = closed(&[
                    Knot::Sharp(x, y - unit * 0.4),
                    Knot::Sharp(x + unit * 1.1, y - unit * 0.4),
                    Knot::Round(x + unit * 0.9, y + wh * 0.6),
                    Knot::Sharp(x + unit * 1.2, y + wh + unit * 0.5),
                    Knot::Sharp(x - unit * 0.1, y + wh + unit * 0.5),
                    Knot::Round(x + unit * 0.1, y + wh * 0.6),
                ]);
                canvas.fill(&curtain, strong.mix(OpaqueColor::WHITE, 0.3));
            }
        }
    }
}

fn cloud(canvas: &mut Canvas, x: f32, y: f32, r: f32, color: tiny_skia::Color) {
    let cloud = closed(&[
        Knot::Sharp(x, y),
        Knot::Round(x + r * 0.3, y - r * 0.6),
        Knot::Sharp(x + r * 0.7, y - r * 0.55),
        Knot::Round(x + r * 1.3, y - r * 1.2),
        Knot::Sharp(x + r * 1.9, y - r * 0.7),
        Knot::Round(x + r * 2.5, y - r * 0.8),
        Knot::Sharp(x + r * 2.8, y),
    ]);
    canvas.fill(&cloud, color);
}

fn petal(canvas: &mut Canvas, x: f32, y: f32, r: f32, turns: f32) {
    let (sin, cos) = sin_cos(turns);
    canvas.within(
        tiny_skia::Transform::from_row(cos, sin, -sin, cos, x, y),
        |canvas| {
            let path = cubics(
                (0.0, r),
                &[
                    [-r * 1.1, 0.0, -r * 0.6, -r, -r * 0.1, -r],
                    [0.0, -r * 0.8, 0.0, -r * 0.8, r * 0.1, -r],
                    [r * 0.6, -r, r * 1.1, 0.0, 0.0, r],
                ],
                true,
            );
            canvas.fill(&path, OpaqueColor::hex(0xf8b0c8).alpha(0.85));
        },
    );
}
