//! Eyes: lids, lashes, iris, pupil and highlights.

use tiny_skia::Transform;

use crate::canvas::{Canvas, Ink};
use crate::character::{Character, Lid};
use crate::color::OpaqueColor;
use crate::curve::{cubics, ellipse, lines, taper};

/// Draws one eye around the origin, in head units. `side` is 1 for the eye on the right of the image and -1 for the
/// other; `gaze` is as in [`Look`](crate::face::Look).
pub fn draw(canvas: &mut Canvas, who: &Character, lid: Lid, side: f32, gaze: (f32, f32)) {
    let lash = who.hair.1.mix(OpaqueColor::hex(0x2a1c28), 0.78);
    let iris = if side < 0.0 {
        who.eyes.1
    } else {
        who.other_eye
    };
    let (w, h) = who.eye_size;
    match lid {
        Lid::Open(share) => open(
            canvas,
            (w, h),
            share,
            who.eye_slant,
            side,
            [iris, lash],
            gaze,
        ),
        Lid::Happy => closed(canvas, w, -0.62 * h, side, lash),
        Lid::Calm => closed(canvas, w, 0.34 * h, side, lash),
    }
}

fn closed(canvas: &mut Canvas, w: f32, bulge: f32, side: f32, lash: OpaqueColor) {
    let base = if bulge < 0.0 { 8.0 } else { 2.0 };
    canvas.within(Transform::from_scale(side, 1.0), |canvas| {
        let (inner, outer) = ((-w, base), (w + 1.0, base - 1.0));
        let arc = |bulge: f32| [-0.6 * w, base + bulge * 1.2, 0.6 * w, base + bulge * 1.2];
        let upper = arc(bulge - 3.2);
        let lower = arc(bulge + 3.2);
        let path = cubics(
            inner,
            &[
                [upper[0], upper[1], upper[2], upper[3], outer.0, outer.1],
                [lower[2], lower[3], lower[0], lower[1], inner.0, inner.1],
            ],
            true,
        );
        canvas.fill(&path, lash);
        canvas.stroke(&path, 2.0, lash);
        // Lashes at the outer corner.
        for (dx, dy) in [(9.0, -4.0), (8.0, 3.0)] {
            let lash_stroke = taper(
                (outer.0 - 6.0, outer.1 - 1.0 + bulge * 0.12),
                (outer.0 + dx * 0.5, outer.1 + dy * 0.2),
                (outer.0 + dx, outer.1 + dy),
                2.2,
            );
            canvas.fill(&lash_stroke, lash);
        }
    });
}

fn open(
    canvas: &mut Canvas,
    (w, h): (f32, f32),
    share: f32,
    slant: f32,
    side: f32,
    [iris, lash]: [OpaqueColor; 2],
    gaze: (f32, f32),
) {
    // The outer corner is to the right here, whatever the side; highlights are mirrored back.
    canvas.within(Transform::from_scale(side, 1.0), |canvas| {
        let lift = h * share;
        let inner = (-w, 7.0);
        let outer = (w, -0.12 * h * share - slant);
        let top = [-0.82 * w, -lift * 1.12, 0.5 * w, -lift * 1.36];
        let bottom = [0.94 * w, 0.82 * h, 0.1 * w, h * 1.1];
        let white = cubics(
            inner,
            &[
                [top[0], top[1], top[2], top[3], outer.0, outer.1],
                [
                    bottom[0],
                    bottom[1],
                    bottom[2],
                    bottom[3],
                    -0.45 * w,
                    0.93 * h,
                ],
                [-0.8 * w, 0.82 * h, -w, 0.4 * h, inner.0, inner.1],
            ],
            true,
        );
        canvas.fill(
            &white,
            Ink::down(
                -h,
                OpaqueColor::hex(0xe4dfee),
                0.1 * h,
                OpaqueColor::hex(0xfffdfc),
            ),
        );
        canvas.clipped(&white, |canvas| {
            let (x, y) = (
                -0.06 * w + gaze.0 * side * 0.2 * w,
                0.06 * h + gaze.1 * 0.14 * h,
            );
            iris_and_highlights(canvas, (x, y), (0.72 * w, 0.94 * h), iris, side);
            // The shadow of the upper lid.
            let shadow = cubics(
                (-w * 1.3, -h * 1.6),
                &[
                    [-w, -h * 1.6, w, -h * 1.6, w * 1.4, -h * 1.6],
                    [w * 1.4, -h, w * 1.2, outer.1, outer.0, outer.1 + 0.22 * h],
                    [
                        top[2],
                        top[3] + 0.5 * h,
                        top[0],
                        top[1] + 0.5 * h,
                        inner.0,
                        inner.1 + 3.0,
                    ],
                    [-w * 1.3, 0.0, -w * 1.3, -h, -w * 1.3, -h * 1.6],
                ],
                true,
            );
            canvas.fill(&shadow, iris.shade(0.7).alpha(0.22));
        });

        // Upper lashes: thin at the inner corner, heavy and winged at the outer one.
        let heavy = 0.28 * h;
        let wing = (w + 7.0, outer.1 - 0.2 * h);
        let upper = cubics(
            (inner.0 - 1.5, inner.1 + 1.5),
            &[
                [
                    top[0] - 2.0,
                    top[1] - 0.5 * heavy,
                    top[2],
                    top[3] - 1.25 * heavy,
                    wing.0,
                    wing.1,
                ],
                [
                    w + 4.0,
                    outer.1 - 2.0,
                    w + 2.0,
                    outer.1 + 3.0,
                    outer.0 + 0.5,
                    outer.1 + 0.22 * h,
                ],
                [
                    outer.0,
                    outer.1 - 2.0,
                    w * 0.9,
                    outer.1 - 3.0,
                    w * 0.84,
                    outer.1 - 0.13 * h,
                ],
                [
                    top[2] * 0.8,
                    top[3] + 0.16 * h,
                    top[0],
                    top[1] + 0.13 * h,
                    inner.0 - 1.5,
                    inner.1 + 1.5,
                ],
            ],
            true,
        );
        canvas.fill(&upper, lash);
        // Lower lashes and the fold of the lid.
        canvas.fill(
            &taper(
                (outer.0 + 0.5, outer.1 + 0.25 * h),
                (0.85 * w, 0.92 * h),
                (0.05 * w, 1.0 * h),
                2.0,
            ),
            lash.mix(iris, 0.15).alpha(0.9),
        );
        canvas.fill(
            &taper(
                (-0.78 * w, top[1] * 0.86 - 7.0),
                (0.1 * w, top[3] * 1.06 - 9.0),
                (0.98 * w, top[3] * 0.5 - 8.0),
                1.3,
            ),
            lash.alpha(0.55),
        );
    });
}

fn iris_and_highlights(
    canvas: &mut Canvas,
    (x, y): (f32, f32),
    (rx, ry): (f32, f32),
    iris: OpaqueColor,
    side: f32,
) {
    let disc = ellipse(x, y, rx, ry);
    let dark = iris.shade(0.52);
    canvas.fill(
        &disc,
        Ink::down(y - ry * 0.9, dark, y + ry * 0.85, iris.tint(0.3)),
    );
    canvas.clipped(&disc, |canvas| {
        // Light gathers at the bottom.
        canvas.fill(
            &ellipse(x, y + ry * 0.72, rx * 0.72, ry * 0.42),
            Ink::Radial(
                [x, y + ry * 0.74],
                rx * 0.85,
                iris.tint(0.72).alpha(0.95),
                iris.tint(0.5).alpha(0.0),
            ),
        );
        // Fibers of the iris.
        for i in 0..7 {
            let t = i as f32 / 3.0 - 1.0;
            let spoke = lines(
                &[
                    (x + t * rx * 0.35, y + ry * (0.46 - 0.1 * t * t)),
                    (x + t * rx * 0.86, y + ry * (0.86 - 0.3 * t * t)),
                ],
                false,
            );
            canvas.stroke(&spoke, 1.3, iris.shade(0.25).alpha(0.45));
        }
    });
    canvas.fill(
        &ellipse(x, y + 0.02 * ry, rx * 0.4, ry * 0.4),
        iris.shade(0.84),
    );
    canvas.stroke(
        &ellipse(x, y, rx - 1.0, ry - 1.0),
        2.6,
        iris.shade(0.82).alpha(0.9),
    );
    // Highlights of a light at the upper left of the image, in both eyes.
    canvas.fill(
        &ellipse(x - side * rx * 0.36, y - ry * 0.42, rx * 0.34, ry * 0.25),
        OpaqueColor::WHITE,
    );
    canvas.fill(
        &ellipse(x + side * rx * 0.42, y + ry * 0.36, rx * 0.17, ry * 0.13),
        OpaqueColor::WHITE.alpha(0.95),
    );
    canvas.fill(
        &ellipse(x - side * rx * 0.1, y + ry * 0.66, rx * 0.09, ry * 0.06),
        OpaqueColor::WHITE.alpha(0.75),
    );
}
