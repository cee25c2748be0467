//! Hair: the part behind the head, the cap with its bangs and side locks, its shadow on the face and its shine.

use tiny_skia::{Path, PathBuilder};

use crate::canvas::{Canvas, Ink};
use crate::character::{Back, Bangs, Character};
use crate::color::OpaqueColor;
use crate::curve::{Knot, Point, closed, cubics, ellipse, lines, taper};

/// The lower edge of the bangs, from right to left: the tips of locks, and the valleys between them.
struct Fringe {
    valleys: Vec<Point>,
    tips: Vec<Point>,
    /// Point on the top of the head where strands meet.
    crown: Point,
}

fn fringe(who: &Character) -> Fringe {
    let jitter = |i: usize, scale: f32| who.locks[i % 8] * scale;
    // Tips (x, y) from right to left, then the y of the valleys between them, then the crown.
    let (tips, valleys, crown): (Vec<Point>, Vec<f32>, Point) = match who.bangs {
        Bangs::Straight => {
            let xs = [78.0, 46.0, 15.0, -16.0, -47.0, -79.0];
            let tips = xs
                .iter()
                .enumerate()
                .map(|(i, &x)| (x + jitter(i, 3.0), -13.0 + jitter(i + 1, 3.5)))
                .collect();
            (tips, vec![-26.0; 5], (0.0, -158.0))
        }
        Bangs::Parted => {
            let part = jitter(0, 22.0);
            let tips = vec![
                (88.0, 34.0 + jitter(1, 8.0)),
                (62.0, -8.0 + jitter(2, 5.0)),
                (34.0 + part * 0.4, -34.0),
                (-34.0 + part * 0.4, -34.0),
                (-62.0, -8.0 + jitter(3, 5.0)),
                (-88.0, 34.0 + jitter(4, 8.0)),
            ];
            (
                tips,
                vec![-26.0, -48.0, -96.0, -48.0, -26.0],
                (part, -158.0),
            )
        }
        Bangs::Swept => {
            let tips = vec![
                (90.0, 22.0 + jitter(1, 6.0)),
                (66.0, 4.0 + jitter(2, 5.0)),
                (36.0, -8.0 + jitter(3, 4.0)),
                (2.0, -16.0 + jitter(4, 4.0)),
                (-78.0, -4.0 + jitter(5, 6.0)),
            ];
            (
                tips,
                vec![-30.0, -38.0, -46.0, -78.0],
                (-44.0 + jitter(0, 6.0), -156.0),
            )
        }
        Bangs::Spiky => {
            let tips = vec![
                (84.0, 10.0 + jitter(1, 7.0)),
                (52.0, -14.0 + jitter(2, 6.0)),
                (28.0, 8.0 + jitter(3, 6.0)),
                (-4.0, -18.0 + jitter(4, 6.0)),
                (-30.0, 12.0 + jitter(5, 6.0)),
                (-60.0, -12.0 + jitter(6, 6.0)),
                (-88.0, 12.0 + jitter(7, 6.0)),
            ];
            (
                tips,
                vec![-48.0, -54.0, -60.0, -62.0, -58.0, -48.0],
                (6.0, -160.0),
            )
        }
        Bangs::Strand => {
            let x = jitter(0, 7.0);
            let tips = vec![
                (86.0, 20.0 + jitter(1, 8.0)),
                (58.0, -10.0 + jitter(2, 5.0)),
                (x, 36.0 + jitter(3, 8.0)),
                (-58.0, -10.0 + jitter(4, 5.0)),
                (-86.0, 20.0 + jitter(5, 8.0)),
            ];
            (tips, vec![-36.0, -58.0, -58.0, -36.0], (x, -158.0))
        }
    };
    let between = valleys
        .iter()
        .zip(tips.windows(2))
        .map(|(&y, pair)| ((pair[0].0 + pair[1].0) / 2.0 + crown.0 * 0.12, y))
        .collect();
    Fringe {
        valleys: between,
        tips,
        crown,
    }
}

/// Outline of the cap of hair above the face, down to the tips of the bangs.
fn cap(who: &Character) -> Path {
    let fringe = fringe(who);
    let mut path = PathBuilder::new();
    path.move_to(-117.0, 38.0);
    path.cubic_to(-134.0, -50.0, -118.0, -166.0, 0.0, -168.0);
    path.cubic_to(118.0, -166.0, 134.0, -50.0, 117.0, 38.0);
    // The temple, then lock by lock.
    let mut from = (101.0, -6.0);
    path.quad_to(108.0, 18.0, from.0, from.1);
    for (i, &tip) in fringe.tips.iter().enumerate() {
        let next = fringe.valleys.get(i).copied().unwrap_or((-101.0, -6.0));
        // Locks bulge away from the crown.
        let lean = |p: Point| (p.0 + (tip.0 - p.0) * 0.35, p.1 + (tip.1 - p.1) * 0.72);
        let bulge = (tip.0 - fringe.crown.0).signum() * 5.0;
        let (a, b) = (lean(from), lean(next));
        path.quad_to(a.0 + bulge, a.1, tip.0, tip.1);
        path.quad_to(b.0 + bulge, b.1, next.0, next.1);
        from = next;
    }
    path.quad_to(-108.0, 18.0, -117.0, 38.0);
    path.close();
    path.finish()
        .unwrap_or_else(|| ellipse(0.0, -60.0, 110.0, 100.0))
}

/// Draws the shadow of the bangs, which has to be clipped to the face.
pub fn shadow(canvas: &mut Canvas, who: &Character) {
    let cap = cap(who);
    let shade = who.skin.shade(0.2).mix(OpaqueColor::hex(0xe08a7a), 0.3);
    canvas.within(tiny_skia::Transform::from_translate(3.0, 11.0), |canvas| {
        canvas.fill(&cap, shade.alpha(0.75));
    });
}

/// Draws cap, bangs, side locks and shine.
pub fn front(canvas: &mut Canvas, who: &Character) {
    let base = who.hair.1;
    let line = Character::line(base);
    if who.has_side_locks {
        side_locks(canvas, who, line);
    }
    let cap = cap(who);
    let lit = Ink::down(
        -168.0,
        base.tint(0.06),
        20.0,
        base.mix(base.shade(0.25), 0.25),
    );
    canvas.shape(&cap, lit, line);
    let fringe = fringe(who);
    canvas.clipped(&cap, |canvas| {
        shine(canvas, who, &fringe);
        // Lines from the valleys toward the crown, then finer ones from the tips.
        for (i, &(x, y)) in fringe.valleys.iter().enumerate() {
            let reach = 0.62 + 0.1 * who.locks[i % 8];
            let (cx, cy) = fringe.crown;
            let to = (x + (cx - x) * reach, y + (cy - y) * reach);
            let bend = (x + (cx - x) * reach * 0.3, y + (cy - y) * reach * 0.62);
            canvas.fill(&taper((x, y), bend, to, 1.9), line.alpha(0.75));
        }
        for (i, &(x, y)) in fringe.tips.iter().enumerate() {
            let (cx, cy) = fringe.crown;
            let from = (x + (cx - x) * 0.1, y + (cy - y) * 0.16);
            let to = (x + (cx - x) * 0.45, y + (cy - y) * 0.5);
            let bend = (from.0 * 0.6 + to.0 * 0.4, (from.1 + to.1) / 2.0);
            canvas.fill(
                &taper(from, bend, to, 1.4 + 0.4 * who.locks[(i + 3) % 8]),
                line.alpha(0.4),
            );
        }
        if matches!(who.bangs, Bangs::Parted | Bangs::Swept) {
            let (cx, cy) = fringe.crown;
            canvas.fill(
                &taper(
                    (cx, cy - 8.0),
                    (cx + 2.0, cy + 20.0),
                    (cx * 0.8, cy + 52.0),
                    2.2,
                ),
                line.alpha(0.7),
            );
        }
    });
    if who.has_ahoge {
        let sway = who.locks[2] * 10.0;
        let path = cubics(
            (-8.0, -160.0),
            &[
                [-10.0, -190.0, 14.0 + sway, -214.0, 44.0 + sway, -192.0],
                [22.0 + sway, -200.0, 12.0, -184.0, 10.0, -160.0],
            ],
            true,
        );
        canvas.shape(&path, base, line);
        canvas.fill(&ellipse(1.0, -157.0, 14.0, 6.0), base.tint(0.06));
    }
}

/// Draws the ring of light around the head.
fn shine(canvas: &mut Canvas, who: &Character, fringe: &Fringe) {
    let mut points = Vec::new();
    let n = 15;
    let arch = |x: f32| -104.0 + x * x * 0.0042;
    for i in 0..=n {
        let x = -96.0 + 192.0 * i as f32 / n as f32;
        let tooth = if i % 2 == 0 { -9.0 } else { 4.0 } + who.locks[i % 8] * 3.0;
        points.push((x + fringe.crown.0 * 0.1, arch(x) + tooth - 4.0));
    }
    for i in (0..=n).rev() {
        let x = -96.0 + 192.0 * i as f32 / n as f32;
        let tooth = if i % 2 == 0 { -3.0 } else { 12.0 } + who.locks[(i + 3) % 8] * 3.0;
        let thin = 1.0 - (x / 110.0) * (x / 110.0);
        points.push((x + fringe.crown.0 * 0.1, arch(x) + (tooth + 6.0) * thin));
    }
    let light = who.hair.1.tint(0.62);
    canvas.fill(&lines(&points, true), light.alpha(0.62));
}

fn side_locks(canvas: &mut Canvas, who: &Character, line: OpaqueColor) {
    let base = who.hair.1;
    let reach = match who.back {
        Back::Short | Back::Spiky => 62.0 + 30.0 * who.length,
        Back::Bob | Back::Buns => 96.0 + 30.0 * who.length,
        Back::Long | Back::Wavy | Back::TwinTails | Back::Ponytail => 130.0 + 90.0 * who.length,
    };
    for side in [-1.0_f32, 1.0] {
        let bend = who.locks[if side < 0.0 { 5 } else { 6 }] * 6.0;
        let x = |v: f32| side * v;
        let path = cubics(
            (x(122.0), -40.0),
            &[
                [
                    x(128.0),
                    20.0,
                    x(122.0 + bend),
                    reach * 0.6,
                    x(96.0 + bend),
                    reach,
                ],
                [x(98.0), reach * 0.75, x(88.0), reach * 0.4, x(88.0), -20.0],
            ],
            true,
        );
        canvas.shape(
            &path,
            Ink::down(-30.0, base, reach, base.mix(base.shade(0.3), 0.3)),
            line,
        );
        canvas.fill(
            &taper(
                (x(104.0), -10.0),
                (x(110.0 + bend * 0.5), reach * 0.45),
                (x(99.0 + bend * 0.7), reach * 0.8),
                1.6,
            ),
            line.alpha(0.55),
        );
    }
}

/// Draws the hair behind head and shoulders.
pub fn behind(canvas: &mut Canvas, who: &Character) {
    let base = who.hair.1.shade(0.2);
    let line = Character::line(who.hair.1);
    let ink = Ink::down(-100.0, base.shade(0.12), 330.0, base.tint(0.1));
    let jitter = |i: usize, scale: f32| who.locks[i % 8] * scale;
    match who.back {
        Back::Short | Back::Bob => {
            let y = if who.back == Back::Short {
                92.0
            } else {
                118.0 + 34.0 * who.length
            };
            let wide = if who.back == Back::Short {
                112.0
            } else {
                134.0
            };
            let mut knots = vec![
                Knot::Round(-118.0, -70.0),
                Knot::Round(0.0, -166.0),
                Knot::Round(118.0, -70.0),
                Knot::Round(wide, y * 0.5),
                Knot::Sharp(wide - 16.0, y + jitter(0, 6.0)),
            ];
            for i in 0..5 {
                let x = 76.0 - i as f32 * 38.0;
                knots.push(Knot::Round(x + 20.0, y - 14.0));
                knots.push(Knot::Sharp(x, y + 6.0 + jitter(i + 1, 7.0)));
            }
            knots.push(Knot::Sharp(16.0 - wide, y + jitter(6, 6.0)));
            knots.push(Knot::Round(-wide, y * 0.5));
            canvas.shape(&closed(&knots), ink, line);
        }
        Back::Long | Back::Wavy => long(canvas, who, ink, line),
        Back::TwinTails => {
            for side in [-1.0_f32, 1.0] {
                let end = 210.0 + 150.0 * who.length + jitter(1, 14.0);
                let x = |v: f32| side * v;
                let path = closed(&[
                    Knot::Sharp(x(96.0), -92.0),
                    Knot::Round(x(150.0), -108.0),
                    Knot::Round(x(206.0), 0.0),
                    Knot::Round(x(214.0 + jitter(2, 10.0)), 120.0),
                    Knot::Round(x(182.0), end * 0.86),
                    Knot::Sharp(x(150.0 + jitter(3, 12.0)), end),
                    Knot::Round(x(158.0), end * 0.8),
                    Knot::Sharp(x(132.0), end * 0.84),
                    Knot::Round(x(148.0), 90.0),
                    Knot::Round(x(138.0), 0.0),
                ]);
                canvas.shape(&path, ink, line);
                for (k, shift) in [(0.0, 0.0), (1.0, 22.0)] {
                    let strand = taper(
                        (x(134.0 + shift), -70.0),
                        (x(196.0 + shift * 0.4), 60.0),
                        (x(160.0 + shift * 0.8), end * 0.78 - k * 20.0),
                        2.0,
                    );
                    canvas.fill(&strand, line.alpha(0.5));
                }
            }
            cap_behind(canvas, ink, line);
        }
        Back::Ponytail => {
            let side = if who.locks[4] < 0.0 { -1.0 } else { 1.0 };
            let x = |v: f32| side * v;
            let end = 190.0 + 140.0 * who.length;
            let path = closed(&[
                Knot::Sharp(x(20.0), -150.0),
                Knot::Round(x(110.0), -186.0),
                Knot::Round(x(190.0), -90.0),
                Knot::Round(x(202.0), 60.0),
                Knot::Sharp(x(150.0 + jitter(1, 14.0)), end),
                Knot::Round(x(156.0), 60.0),
                Knot::Round(x(120.0), -40.0),
            ]);
            canvas.shape(&path, ink, line);
            canvas.fill(
                &taper(
                    (x(92.0), -150.0),
                    (x(196.0), -60.0),
                    (x(168.0), end * 0.75),
                    2.2,
                ),
                line.alpha(0.5),
            );
            cap_behind(canvas, ink, line);
        }
        Back::Buns => {
            for side in [-1.0_f32, 1.0] {
                let (x, y) = (side * 92.0, -142.0);
                canvas.shape(&ellipse(x, y, 46.0, 44.0), who.hair.1.shade(0.06), line);
                for k in 0..3 {
                    let r = 10.0 + 10.0 * k as f32;
                    let swirl = cubics(
                        (x - r, y + 6.0),
                        &[[x - r, y - r * 1.3, x + r, y - r * 1.3, x + r, y + 6.0]],
                        false,
                    );
                    canvas.stroke(&swirl, 1.8, line.alpha(0.5));
                }
                canvas.fill(
                    &ellipse(x - 14.0, y - 20.0, 11.0, 6.0),
                    who.hair.1.tint(0.6).alpha(0.7),
                );
            }
            cap_behind(canvas, ink, line);
        }
        Back::Spiky => {
            // Tips lean outward and down, with notches between them just outside the cap.
            let tips = [
                (-128.0, 122.0),
                (-168.0, 58.0),
                (-178.0, -36.0),
                (-164.0, -128.0),
                (-92.0, -204.0),
                (22.0, -222.0),
                (116.0, -196.0),
                (172.0, -118.0),
                (180.0, -30.0),
                (166.0, 62.0),
                (126.0, 124.0),
                (0.0, 130.0),
            ];
            let mut knots = Vec::new();
            for (i, &(x, y)) in tips.iter().enumerate() {
                let (nx, ny) = tips[(i + 1) % tips.len()];
                let (x, y) = (x + jitter(i, 7.0), y + jitter(i + 2, 7.0));
                let (mx, my) = ((x + nx) / 2.0, (y + ny) / 2.0);
                knots.push(Knot::Sharp(x, y));
                knots.push(Knot::Round(x * 0.6 + mx * 0.36, y * 0.6 + my * 0.36));
                knots.push(Knot::Sharp(mx * 0.83, my * 0.83));
            }
            canvas.shape(
                &closed(&knots),
                Ink::down(-200.0, who.hair.1, 100.0, base.shade(0.1)),
                line,
            );
        }
    }
}

fn cap_behind(canvas: &mut Canvas, ink: Ink, line: OpaqueColor) {
    canvas.shape(&ellipse(0.0, -30.0, 116.0, 132.0), ink, line);
}

fn long(canvas: &mut Canvas, who: &Character, ink: Ink, line: OpaqueColor) {
    let end = 210.0 + 230.0 * who.length;
    let jitter = |i: usize, scale: f32| who.locks[i % 8] * scale;
    let wave = if who.back == Back::Wavy { 15.0 } else { 0.0 };
    let mut knots = vec![
        Knot::Round(-120.0, -60.0),
        Knot::Round(0.0, -167.0),
        Knot::Round(120.0, -60.0),
    ];
    let steps = 6;
    let edge = |i: usize| {
        let t = (i + 1) as f32 / (steps + 1) as f32;
        let swing = if i.is_multiple_of(2) { wave } else { -wave };
        (134.0 + 26.0 * t + swing, -20.0 + (end + 20.0) * t)
    };
    for i in 0..steps {
        let (x, y) = edge(i);
        knots.push(Knot::Round(x, y));
    }
    let n = 7;
    for i in 0..n {
        let x = 150.0 - 300.0 * i as f32 / (n - 1) as f32;
        knots.push(Knot::Sharp(x * 0.94, end + 16.0 + jitter(i, 16.0)));
        if i + 1 < n {
            knots.push(Knot::Round((x - 25.0) * 0.94, end - 20.0));
        }
    }
    for i in (0..steps).rev() {
        let (x, y) = edge(i);
        knots.push(Knot::Round(-x, y));
    }
    canvas.shape(&closed(&knots), ink, line);
    for i in 0..6 {
        let x = -125.0 + 50.0 * i as f32 + jitter(i, 6.0);
        let strand = taper(
            (x * 0.95, 60.0),
            (x * 1.1 + wave, end * 0.55),
            (x * 1.05, end * 0.92),
            2.0,
        );
        canvas.fill(&strand, line.alpha(0.4));
    }
}

/// Draws the back of a head.
pub fn from_behind(canvas: &mut Canvas, who: &Character) {
    let base = who.hair.1;
    let line = Character::line(base);
    let reach = match who.back {
        Back::Short | Back::Spiky | Back::Buns => 96.0,
        Back::Ponytail | Back::TwinTails => 84.0,
        Back::Bob => 124.0 + 30.0 * who.length,
        Back::Long | Back::Wavy => 220.0 + 200.0 * who.length,
    };
    let mut knots = vec![
        Knot::Round(-124.0, -50.0),
        Knot::Round(0.0, -168.0),
        Knot::Round(124.0, -50.0),
        Knot::Round(118.0, reach * 0.6),
    ];
    for i in 0..6 {
        let x = 100.0 - 40.0 * i as f32;
        knots.push(Knot::Sharp(x, reach + who.locks[i] * 8.0));
        if i < 5 {
            knots.push(Knot::Round(x - 20.0, reach - 18.0));
        }
    }
    knots.push(Knot::Round(-118.0, reach * 0.6));
    let path = closed(&knots);
    canvas.shape(
        &path,
        Ink::down(-168.0, base, reach, base.shade(0.22)),
        line,
    );
    canvas.clipped(&path, |canvas| {
        let fringe = Fringe {
            valleys: Vec::new(),
            tips: Vec::new(),
            crown: (0.0, -150.0),
        };
        shine(canvas, who, &fringe);
        for i in 0..7 {
            let x = -96.0 + 32.0 * i as f32 + who.locks[i] * 6.0;
            let strand = taper((x * 0.25, -130.0), (x * 1.1, -40.0), (x, reach - 10.0), 1.8);
            canvas.fill(&strand, line.alpha(0.55));
        }
    });
}
