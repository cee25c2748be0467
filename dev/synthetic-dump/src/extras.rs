//! Things worn on the head.

use crate::canvas::{Canvas, Ink};
use crate::character::{Back, Character, Extra};
use crate::color::OpaqueColor;
use crate::curve::{Knot, closed, cubics, ellipse, lines, rounded};

/// Draws what is worn behind the head: the ears of a cat.
pub fn under(canvas: &mut Canvas, who: &Character) {
    if who.extra != Extra::CatEars {
        return;
    }
    let (base, line) = (who.hair.1, Character::line(who.hair.1));
    for side in [-1.0_f32, 1.0] {
        let x = |v: f32| side * v;
        let ear = closed(&[
            Knot::Sharp(x(112.0), -222.0),
            Knot::Round(x(118.0), -160.0),
            Knot::Sharp(x(112.0), -90.0),
            Knot::Sharp(x(30.0), -140.0),
            Knot::Round(x(64.0), -190.0),
        ]);
        canvas.shape(&ear, base, line);
        let inner = closed(&[
            Knot::Sharp(x(104.0), -200.0),
            Knot::Round(x(108.0), -160.0),
            Knot::Sharp(x(102.0), -120.0),
            Knot::Sharp(x(52.0), -146.0),
            Knot::Round(x(74.0), -182.0),
        ]);
        canvas.fill(&inner, OpaqueColor::hex(0xffb8b8).mix(base, 0.2));
    }
}

/// Draws what is worn on the head, as seen from the front.
pub fn draw(canvas: &mut Canvas, who: &Character) {
    let (color, line) = (who.trim, Character::line(who.trim));
    match who.extra {
        Extra::Nothing | Extra::CatEars => {}
        Extra::Bow => bow(canvas, who.locks[0].signum() * 76.0, -136.0, 1.0, color),
        Extra::Clips => {
            for k in 0..2 {
                let y = -40.0 + 15.0 * k as f32;
                let clip = lines(
                    &[
                        (66.0, y - 5.0),
                        (104.0, y - 14.0),
                        (106.0, y - 7.0),
                        (68.0, y + 3.0),
                    ],
                    true,
                );
                canvas.shape(&clip, color, line);
            }
        }
        Extra::Flower => {
            let (x, y) = (-90.0, -74.0);
            for k in 0..5 {
                let (sin, cos) = crate::curve::sin_cos(k as f32 / 5.0);
                canvas.shape(
                    &ellipse(x + 19.0 * sin, y - 19.0 * cos, 15.0, 15.0),
                    color.tint(0.15),
                    line,
                );
            }
            canvas.shape(&ellipse(x, y, 10.0, 10.0), OpaqueColor::hex(0xffd860), line);
        }
        Extra::Headphones => {
            let band = cubics(
                (-124.0, 10.0),
                &[[-150.0, -230.0, 150.0, -230.0, 124.0, 10.0]],
                false,
            );
            canvas.stroke(&band, 15.0, line);
            canvas.stroke(&band, 10.0, color);
            for side in [-1.0_f32, 1.0] {
                canvas.shape(
                    &rounded(side * 126.0 - 19.0, -22.0, 38.0, 68.0, 17.0),
                    color,
                    line,
                );
                canvas.shape(
                    &rounded(side * 137.0 - 11.0, -12.0, 22.0, 48.0, 10.0),
                    color.shade(0.3),
                    line,
                );
            }
        }
        Extra::Hairband => {
            let band = cubics(
                (-121.0, -66.0),
                &[
                    [-92.0, -186.0, 92.0, -186.0, 121.0, -66.0],
                    [118.0, -62.0, 114.0, -58.0, 111.0, -54.0],
                    [84.0, -160.0, -84.0, -160.0, -111.0, -54.0],
                    [-114.0, -58.0, -118.0, -62.0, -121.0, -66.0],
                ],
                true,
            );
            canvas.shape(
                &band,
                Ink::down(-160.0, color.tint(0.15), -50.0, color),
                line,
            );
        }
        Extra::Hat => hat(canvas, color, line),
    }
    ties(canvas, who);
}

/// Draws a straw hat: a dome, and a brim that hides the hair above the brows.
fn hat(canvas: &mut Canvas, color: OpaqueColor, line: OpaqueColor) {
    let dome = cubics(
        (-118.0, -84.0),
        &[
            [-124.0, -232.0, 124.0, -232.0, 118.0, -84.0],
            [60.0, -66.0, -60.0, -66.0, -118.0, -84.0],
        ],
        true,
    );
    canvas.shape(
        &dome,
        Ink::down(-200.0, color.tint(0.2), -80.0, color),
        line,
    );
    let brim = ellipse(0.0, -82.0, 172.0, 30.0);
    canvas.shape(
        &brim,
        Ink::down(-112.0, color.tint(0.1), -52.0, color.shade(0.12)),
        line,
    );
}

/// Draws what is worn on the head, as seen from behind.
pub fn behind(canvas: &mut Canvas, who: &Character) {
    if who.extra == Extra::Bow {
        bow(canvas, 0.0, -60.0, 1.3, who.trim);
    }
    ties(canvas, who);
}

fn ties(canvas: &mut Canvas, who: &Character) {
    match who.back {
        Back::TwinTails => {
            for side in [-1.0_f32, 1.0] {
                bow(canvas, side * 116.0, -92.0, 0.62, who.trim);
            }
        }
        Back::Ponytail => {
            let side = if who.locks[4] < 0.0 { -1.0 } else { 1.0 };
            bow(canvas, side * 66.0, -156.0, 0.7, who.trim);
        }
        _ => {}
    }
}

/// Draws a ribbon tied to a bow, with its middle at (`x`, `y`).
pub fn bow(canvas: &mut Canvas, x: f32, y: f32, scale: f32, color: OpaqueColor) {
    let line = Character::line(color);
    canvas.within(
        tiny_skia::Transform::from_row(scale, 0.0, 0.0, scale, x, y),
        |canvas| {
            for side in [-1.0_f32, 1.0] {
                let x = |v: f32| side * v;
                let tail = cubics(
                    (x(2.0), 4.0),
                    &[
                        [x(10.0), 20.0, x(18.0), 34.0, x(30.0), 48.0],
                        [x(22.0), 46.0, x(16.0), 46.0, x(8.0), 52.0],
                        [x(6.0), 36.0, x(0.0), 20.0, x(2.0), 4.0],
                    ],
                    true,
                );
                canvas.shape(&tail, color.shade(0.12), line);
                let wing = cubics(
                    (x(4.0), 0.0),
                    &[
                        [x(20.0), -30.0, x(50.0), -36.0, x(56.0), -22.0],
                        [x(60.0), -8.0, x(58.0), 14.0, x(52.0), 20.0],
                        [x(40.0), 26.0, x(18.0), 16.0, x(4.0), 0.0],
                    ],
                    true,
                );
                canvas.shape(&wing, color, line);
                let fold = lines(&[(x(14.0), -3.0), (x(36.0), -8.0)], false);
                canvas.stroke(&fold, 2.0, line.alpha(0.5));
            }
            canvas.shape(
                &rounded(-11.0, -11.0, 22.0, 22.0, 8.0),
                color.tint(0.1),
                line,
            );
        },
    );
}
