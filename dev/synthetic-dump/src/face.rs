//! The head: skin, features, and the hair around them.
//!
//! Heads are drawn around the origin in head units: half a face is 100 units wide, the eyes are at y = 24 and the chin
//! is near y = 122.

use tiny_skia::{Path, Transform};

use crate::canvas::{Canvas, Ink};
use crate::character::{Character, Expression, Lid, Mouth};
use crate::color::OpaqueColor;
use crate::curve::{cubics, ellipse, lines, rounded, taper};
use crate::{extras, eye, hair};

/// Direction of a head and of its eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// Direction of the head, -1 (to the left of the image) to 1; 2 is a half profile.
    pub turn: f32,
    /// Direction of the eyes, horizontal and vertical, -1 (left, up) to 1 each.
    pub gaze: (f32, f32),
    /// Whether the head is seen from behind.
    pub is_behind: bool,
}

/// Face box `[x0, y0, x1, y1]` in head units: from the hairline under the bangs to the chin, from ear to ear.
pub const FACE_BOX: [f32; 4] = [-108.0, -110.0, 108.0, 126.0];

/// Draws the head with its front hair; the hair behind it is drawn before, by [`hair::behind`].
pub fn draw(canvas: &mut Canvas, who: &Character, expression: &Expression, look: Look) {
    if look.is_behind {
        hair::from_behind(canvas, who);
        extras::behind(canvas, who);
        return;
    }
    let line = who.skin.shade(0.58).mix(OpaqueColor::hex(0x8a4030), 0.3);
    let outline = outline(who, look.turn);

    // Ears.
    for side in [-1.0_f32, 1.0] {
        let x = side * 97.0 + look.turn * 4.0;
        canvas.shape(&ellipse(x, 34.0, 15.0, 24.0), who.skin.shade(0.06), line);
        canvas.stroke(
            &cubics(
                (x + side * 5.0, 22.0),
                &[[
                    x - side * 6.0,
                    24.0,
                    x - side * 2.0,
                    36.0,
                    x + side * 2.0,
                    46.0,
                ]],
                false,
            ),
            1.8,
            line.alpha(0.6),
        );
    }
    canvas.shape(
        &outline,
        Ink::down(
            -60.0,
            who.skin,
            130.0,
            who.skin.mix(OpaqueColor::hex(0xffc8b0), 0.16),
        ),
        line,
    );
    canvas.clipped(&outline, |canvas| {
        hair::shadow(canvas, who);
        features(canvas, who, expression, look, line);
    });
    hair::front(canvas, who);
    brows(canvas, who, expression, look);
    extras::draw(canvas, who);
    if who.has_glasses {
        glasses(canvas, who, look);
    }
}

fn outline(who: &Character, turn: f32) -> Path {
    let (shift, chin) = (turn * 9.0, who.chin);
    let jaw = 50.0 + 16.0 * who.roundness;
    let tip = 10.0 + 9.0 * who.roundness;
    cubics(
        (-97.0, -50.0),
        &[
            [-102.0, -8.0, -101.0, 30.0, -90.0 + shift * 0.3, 62.0],
            [
                -84.0 + shift * 0.4,
                84.0,
                -jaw + shift,
                102.0,
                -tip - 8.0 + shift,
                chin - 4.0,
            ],
            [
                -tip + shift,
                chin + 1.5,
                tip + shift,
                chin + 1.5,
                tip + 8.0 + shift,
                chin - 4.0,
            ],
            [
                jaw + shift,
                102.0,
                84.0 + shift * 0.4,
                84.0,
                90.0 + shift * 0.3,
                62.0,
            ],
            [101.0, 30.0, 102.0, -8.0, 97.0, -50.0],
            [97.0, -125.0, 60.0, -150.0, 0.0, -150.0],
            [-60.0, -150.0, -97.0, -125.0, -97.0, -50.0],
        ],
        true,
    )
}

/// The x of the middle of an eye, and the factor by which perspective narrows the eye.
fn eye_place(side: f32, turn: f32) -> (f32, f32) {
    let x = side * 46.0 + turn * 15.0;
    (x, 1.0 - 0.14 * (side * turn).max(0.0))
}

fn features(
    canvas: &mut Canvas,
    who: &Character,
    expression: &Expression,
    look: Look,
    line: OpaqueColor,
) {
    let turn = look.turn;
    // Cheeks.
    for side in [-1.0_f32, 1.0] {
        let (x, y) = (side * 62.0 + turn * 13.0, 68.0);
        let pink = OpaqueColor::hex(0xff6f76);
        canvas.fill(
            &ellipse(x, y, 27.0, 15.0),
            Ink::Radial(
                [x, y],
                25.0,
                pink.alpha(0.2 + 0.32 * expression.blush),
                pink.alpha(0.0),
            ),
        );
        if expression.blush > 0.75 {
            for k in -1..=1 {
                let x = x + k as f32 * 9.0;
                let stroke = lines(&[(x + 3.0, y - 6.0), (x - 3.0, y + 5.0)], false);
                canvas.stroke(&stroke, 2.0, OpaqueColor::hex(0xe0605c).alpha(0.75));
            }
        }
    }
    // The nose, a small shadow.
    let x = turn * 20.0;
    canvas.fill(
        &taper((x + 1.0, 58.0), (x + 5.5, 66.0), (x - 2.0, 67.0), 1.8),
        line.alpha(0.75),
    );
    canvas.fill(
        &ellipse(x - 3.0, 57.0, 2.6, 4.0),
        OpaqueColor::WHITE.alpha(0.55),
    );
    canvas.within(Transform::from_translate(turn * 17.0, 89.0), |canvas| {
        mouth(canvas, expression.mouth, line);
    });
    for (side, lid) in [(-1.0, expression.left), (1.0, expression.right)] {
        let (x, width) = eye_place(side, turn);
        let place = Transform::from_row(width, 0.0, 0.0, 1.0, x, 24.0);
        canvas.within(place, |canvas| eye::draw(canvas, who, lid, side, look.gaze));
    }
}

fn brows(canvas: &mut Canvas, who: &Character, expression: &Expression, look: Look) {
    let color = who.hair.1.shade(0.58);
    let (raise, inner) = expression.brow;
    for (side, lid) in [(-1.0, expression.left), (1.0, expression.right)] {
        let (x, width) = eye_place(side, look.turn);
        let open = match lid {
            Lid::Open(share) => share,
            Lid::Happy | Lid::Calm => 0.75,
        };
        let y = 24.0 - who.eye_size.1 * (0.72 + 0.5 * open) - 15.0 - raise;
        let place = Transform::from_row(width * side, 0.0, 0.0, 1.0, x, y);
        canvas.within(place, |canvas| {
            let stroke = taper(
                (-24.0, 3.0 - inner),
                (4.0, -7.0 - inner * 0.3),
                (29.0, 6.0 + inner * 0.25),
                4.2,
            );
            canvas.fill(&stroke, color.alpha(0.92));
        });
    }
}

fn mouth(canvas: &mut Canvas, mouth: Mouth, line: OpaqueColor) {
    let line = line.shade(0.25);
    let inside = OpaqueColor::hex(0xb8434a);
    let tongue = OpaqueColor::hex(0xf08a86);
    let stroke = |canvas: &mut Canvas, start, segments: &[[f32; 6]]| {
        canvas.stroke(&cubics(start, segments, false), 2.8, line);
    };
    let filled =
        |canvas: &mut Canvas, path: &Path, tongue_at: Option<[f32; 4]>, teeth: Option<Path>| {
            canvas.fill(path, inside);
            canvas.clipped(path, |canvas| {
                if let Some([x, y, rx, ry]) = tongue_at {
                    canvas.fill(&ellipse(x, y, rx, ry), tongue);
                }
                if let Some(teeth) = &teeth {
                    canvas.fill(teeth, OpaqueColor::hex(0xfffafa));
                }
            });
            canvas.stroke(path, 2.4, line);
        };
    match mouth {
        Mouth::Smile => stroke(canvas, (-16.0, -2.0), &[[-8.0, 6.0, 8.0, 6.0, 16.0, -2.0]]),
        Mouth::OpenSmile => {
            let path = cubics(
                (-20.0, -6.0),
                &[
                    [-8.0, -2.0, 8.0, -2.0, 20.0, -6.0],
                    [19.0, 12.0, 8.0, 21.0, 0.0, 21.0],
                    [-8.0, 21.0, -19.0, 12.0, -20.0, -6.0],
                ],
                true,
            );
            filled(
                canvas,
                &path,
                Some([0.0, 19.0, 13.0, 10.0]),
                Some(rounded(-14.0, -8.0, 28.0, 7.5, 2.0)),
            );
        }
        Mouth::Round => {
            let path = ellipse(0.0, 4.0, 8.5, 11.0);
            filled(canvas, &path, Some([0.0, 14.0, 7.0, 6.0]), None);
        }
        Mouth::Cat => stroke(
            canvas,
            (-18.0, -3.0),
            &[
                [-16.0, 8.0, -3.0, 7.0, 0.0, -1.0],
                [3.0, 7.0, 16.0, 8.0, 18.0, -3.0],
            ],
        ),
        Mouth::Flat => stroke(canvas, (-11.0, 2.0), &[[-4.0, 0.5, 4.0, 0.5, 11.0, 2.0]]),
        Mouth::Frown => stroke(canvas, (-14.0, 6.0), &[[-7.0, -2.5, 7.0, -2.5, 14.0, 6.0]]),
        Mouth::Grin => {
            let path = cubics(
                (-22.0, -6.0),
                &[
                    [-8.0, 1.0, 8.0, 1.0, 22.0, -6.0],
                    [18.0, 9.0, 8.0, 13.0, 0.0, 13.0],
                    [-8.0, 13.0, -18.0, 9.0, -22.0, -6.0],
                ],
                true,
            );
            filled(
                canvas,
                &path,
                None,
                Some(rounded(-24.0, -8.0, 48.0, 24.0, 2.0)),
            );
            stroke(canvas, (-18.0, 2.0), &[[-8.0, 6.5, 8.0, 6.5, 18.0, 2.0]]);
        }
        Mouth::Wavy => stroke(
            canvas,
            (-17.0, 3.0),
            &[
                [-13.0, -4.0, -9.0, -4.0, -6.0, 2.0],
                [-3.0, 7.0, 2.0, 6.0, 5.0, 1.0],
                [8.0, -4.0, 13.0, -3.0, 17.0, 3.0],
            ],
        ),
    }
}

fn glasses(canvas: &mut Canvas, who: &Character, look: Look) {
    let frame = who.trim.shade(0.55);
    let mut edges = Vec::new();
    for side in [-1.0_f32, 1.0] {
        let (x, width) = eye_place(side, look.turn);
        let (w, h) = (37.0 * width, 33.0);
        let lens = rounded(x - w, 26.0 - h, 2.0 * w, 2.0 * h, 18.0);
        canvas.fill(&lens, OpaqueColor::hex(0xd8ecff).alpha(0.16));
        canvas.stroke(&lens, 3.6, frame);
        canvas.fill(
            &lines(
                &[
                    (x - 18.0, 48.0),
                    (x + 2.0, 6.0),
                    (x + 9.0, 6.0),
                    (x - 11.0, 48.0),
                ],
                true,
            ),
            OpaqueColor::WHITE.alpha(0.22),
        );
        edges.push((x - side * w, 22.0));
        let temple = lines(&[(x + side * w, 20.0), (side * 100.0, 14.0)], false);
        canvas.stroke(&temple, 3.6, frame);
    }
    canvas.stroke(&lines(&edges, false), 3.6, frame);
}
