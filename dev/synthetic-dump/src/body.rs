//! Neck, shoulders and clothes.

use tiny_skia::Path;

use crate::canvas::{Canvas, Ink};
use crate::character::{Character, Outfit};
use crate::color::OpaqueColor;
use crate::curve::{cubics, ellipse, lines, rounded};
use crate::extras::bow;

/// The y of the lower end of a body in head units: below the edge of any image.
const DOWN: f32 = 1400.0;

/// Draws neck, body and clothes in head units; with `is_behind`, as seen from behind.
pub fn draw(canvas: &mut Canvas, who: &Character, is_behind: bool) {
    let line = who.skin.shade(0.58).mix(OpaqueColor::hex(0x8a4030), 0.3);
    let neck = cubics(
        (-29.0, 60.0),
        &[
            [-29.0, 110.0, -30.0, 140.0, -36.0, 158.0],
            [-60.0, 176.0, -90.0, 180.0, -110.0, 190.0],
            [-60.0, 260.0, 60.0, 260.0, 110.0, 190.0],
            [90.0, 180.0, 60.0, 176.0, 36.0, 158.0],
            [30.0, 140.0, 29.0, 110.0, 29.0, 60.0],
        ],
        true,
    );
    canvas.shape(&neck, who.skin, line);
    canvas.clipped(&neck, |canvas| {
        let shadow = cubics(
            (-60.0, 60.0),
            &[
                [-40.0, 150.0, 10.0, 168.0, 34.0, 150.0],
                [40.0, 130.0, 50.0, 100.0, 60.0, 60.0],
            ],
            true,
        );
        canvas.fill(
            &shadow,
            who.skin
                .shade(0.22)
                .mix(OpaqueColor::hex(0xd87a6a), 0.3)
                .alpha(0.8),
        );
        if !is_behind {
            for side in [-1.0_f32, 1.0] {
                let bone = cubics(
                    (side * 14.0, 196.0),
                    &[[side * 30.0, 190.0, side * 50.0, 188.0, side * 70.0, 190.0]],
                    false,
                );
                canvas.stroke(&bone, 2.0, line.alpha(0.5));
            }
        }
    });
    clothes(canvas, who, is_behind);
}

/// Outline of the trunk with the arms beside it; a larger `collar` (y in head units) is a lower neckline.
fn trunk(collar: f32) -> Path {
    cubics(
        (-46.0, 164.0),
        &[
            [-84.0, 176.0, -132.0, 178.0, -154.0, 214.0],
            [-172.0, 250.0, -184.0, 330.0, -196.0, 430.0],
            [-210.0, 600.0, -220.0, 900.0, -220.0, DOWN],
            [-100.0, DOWN, 100.0, DOWN, 220.0, DOWN],
            [220.0, 900.0, 210.0, 600.0, 196.0, 430.0],
            [184.0, 330.0, 172.0, 250.0, 154.0, 214.0],
            [132.0, 178.0, 84.0, 176.0, 46.0, 164.0],
            [34.0, collar, -34.0, collar, -46.0, 164.0],
        ],
        true,
    )
}

fn clothes(canvas: &mut Canvas, who: &Character, is_behind: bool) {
    let (cloth, trim) = (who.cloth, who.trim);
    let line = Character::line(cloth);
    let collar = match who.outfit {
        _ if is_behind => 172.0,
        Outfit::Sailor | Outfit::Kimono => 250.0,
        Outfit::Shirt | Outfit::Hoodie => 200.0,
        Outfit::Dress => 246.0,
        Outfit::Turtleneck => 170.0,
        Outfit::Tee => 206.0,
    };
    let trunk = trunk(collar);
    canvas.shape(
        &trunk,
        Ink::down(170.0, cloth, 620.0, cloth.shade(0.22)),
        line,
    );
    canvas.clipped(&trunk, |canvas| {
        // Lines and shadows where the arms lie against the trunk, and a fold on each side.
        for side in [-1.0_f32, 1.0] {
            let x = |v: f32| side * v;
            let arm = cubics(
                (x(112.0), 268.0),
                &[[x(120.0), 320.0, x(124.0), 420.0, x(126.0), DOWN]],
                false,
            );
            canvas.stroke(&arm, 2.4, line);
            canvas.fill(
                &cubics(
                    (x(112.0), 268.0),
                    &[
                        [x(100.0), 330.0, x(96.0), 460.0, x(100.0), DOWN],
                        [x(120.0), DOWN, x(124.0), 420.0, x(112.0), 268.0],
                    ],
                    true,
                ),
                cloth.shade(0.35).alpha(0.4),
            );
            let fold = cubics(
                (x(150.0), 300.0),
                &[[x(140.0), 312.0, x(134.0), 330.0, x(132.0), 350.0]],
                false,
            );
            canvas.stroke(&fold, 2.0, line.alpha(0.5));
        }
    });
    if is_behind {
        if who.outfit == Outfit::Sailor {
            let flap = cubics(
                (-50.0, 162.0),
                &[
                    [-110.0, 174.0, -126.0, 230.0, -122.0, 318.0],
                    [-40.0, 330.0, 40.0, 330.0, 122.0, 318.0],
                    [126.0, 230.0, 110.0, 174.0, 50.0, 162.0],
                    [30.0, 182.0, -30.0, 182.0, -50.0, 162.0],
                ],
                true,
            );
            canvas.shape(&flap, trim, Character::line(trim));
        }
        return;
    }
    match who.outfit {
        Outfit::Sailor => {
            let dark = if trim == OpaqueColor::hex(0xf7f5f2) {
                OpaqueColor::hex(0x3d4a78)
            } else {
                trim
            };
            for side in [-1.0_f32, 1.0] {
                let x = |v: f32| side * v;
                let flap = cubics(
                    (x(46.0), 160.0),
                    &[
                        [x(80.0), 172.0, x(112.0), 182.0, x(122.0), 204.0],
                        [x(112.0), 250.0, x(60.0), 290.0, x(4.0), 322.0],
                        [x(2.0), 300.0, x(2.0), 280.0, x(2.0), 262.0],
                        [x(18.0), 240.0, x(38.0), 190.0, x(46.0), 160.0],
                    ],
                    true,
                );
                canvas.shape(&flap, dark, Character::line(dark));
                let stripe = cubics(
                    (x(108.0), 204.0),
                    &[[x(98.0), 246.0, x(56.0), 276.0, x(10.0), 304.0]],
                    false,
                );
                canvas.stroke(&stripe, 3.4, OpaqueColor::WHITE);
            }
            bow(
                canvas,
                0.0,
                318.0,
                1.25,
                who.eyes.1.mix(OpaqueColor::hex(0xd8404e), 0.5),
            );
        }
        Outfit::Shirt => {
            for side in [-1.0_f32, 1.0] {
                let x = |v: f32| side * v;
                let wing = lines(
                    &[
                        (x(48.0), 154.0),
                        (x(62.0), 196.0),
                        (x(34.0), 232.0),
                        (x(0.0), 198.0),
                    ],
                    true,
                );
                canvas.shape(&wing, cloth.tint(0.3), line);
            }
            let tie = lines(
                &[
                    (-12.0, 200.0),
                    (12.0, 200.0),
                    (9.0, 220.0),
                    (20.0, 400.0),
                    (0.0, 424.0),
                    (-20.0, 400.0),
                    (-9.0, 220.0),
                ],
                true,
            );
            canvas.shape(&tie, trim, Character::line(trim));
        }
        Outfit::Hoodie => {
            let hood = cubics(
                (-52.0, 152.0),
                &[
                    [-110.0, 150.0, -130.0, 200.0, -96.0, 232.0],
                    [-60.0, 262.0, -20.0, 256.0, 0.0, 244.0],
                    [20.0, 256.0, 60.0, 262.0, 96.0, 232.0],
                    [130.0, 200.0, 110.0, 150.0, 52.0, 152.0],
                    [40.0, 196.0, 20.0, 212.0, 0.0, 216.0],
                    [-20.0, 212.0, -40.0, 196.0, -52.0, 152.0],
                ],
                true,
            );
            canvas.shape(
                &hood,
                Ink::down(150.0, cloth.tint(0.12), 260.0, cloth.shade(0.1)),
                line,
            );
            for side in [-1.0_f32, 1.0] {
                let cord = cubics(
                    (side * 26.0, 246.0),
                    &[[side * 28.0, 280.0, side * 24.0, 300.0, side * 28.0, 330.0]],
                    false,
                );
                canvas.stroke(&cord, 6.0, Character::line(trim));
                canvas.stroke(&cord, 3.6, trim.tint(0.2));
            }
        }
        Outfit::Kimono => {
            for (side, color) in [(1.0_f32, trim.tint(0.2)), (-1.0, trim)] {
                let x = |v: f32| side * v;
                let lapel = cubics(
                    (x(40.0), 152.0),
                    &[
                        [x(60.0), 162.0, x(66.0), 168.0, x(70.0), 176.0],
                        [x(50.0), 250.0, x(0.0), 320.0, x(-60.0), 400.0],
                        [x(-76.0), 400.0, x(-86.0), 396.0, x(-94.0), 392.0],
                        [x(-30.0), 310.0, x(20.0), 240.0, x(40.0), 152.0],
                    ],
                    true,
                );
                canvas.shape(&lapel, color, Character::line(trim));
            }
            canvas.shape(
                &rounded(-128.0, 396.0, 256.0, 90.0, 6.0),
                trim.shade(0.15),
                Character::line(trim),
            );
        }
        Outfit::Dress => {
            for i in -4..=4 {
                canvas.shape(
                    &frill(i as f32 * 19.0),
                    trim.tint(0.3),
                    Character::line(trim),
                );
            }
            bow(canvas, 0.0, 262.0, 0.8, trim);
            canvas.stroke(
                &lines(&[(0.0, 300.0), (0.0, DOWN)], false),
                2.2,
                line.alpha(0.4),
            );
        }
        Outfit::Turtleneck => {
            canvas.shape(
                &rounded(-44.0, 128.0, 88.0, 54.0, 16.0),
                cloth.tint(0.08),
                line,
            );
            for k in -3..=3 {
                let x = k as f32 * 12.0;
                canvas.stroke(
                    &lines(&[(x, 138.0), (x, 174.0)], false),
                    1.8,
                    line.alpha(0.35),
                );
            }
        }
        Outfit::Tee => {
            let neckline = cubics(
                (-48.0, 164.0),
                &[[-34.0, 212.0, 34.0, 212.0, 48.0, 164.0]],
                false,
            );
            canvas.stroke(&neckline, 10.0, trim);
            let badge = ellipse(0.0, 330.0, 46.0, 46.0);
            canvas.shape(&badge, trim, Character::line(trim));
            canvas.fill(
                &crate::curve::star(0.0, 330.0, 5, 32.0, 14.0, 0.0),
                cloth.tint(0.3),
            );
        }
    }
}

/// One scallop of a frilled neckline, at `x`; those in the middle hang lowest.
fn frill(x: f32) -> Path {
    let y = 226.0 - x * x * 0.0085;
    ellipse(x, y, 13.0, 13.0)
}
