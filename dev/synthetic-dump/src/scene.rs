//! The scene of an image: characters and a background. Planning it only draws random numbers; painting it makes pixels.

use image::RgbImage;
use tiny_skia::Transform;

use crate::canvas::Canvas;
use crate::character::{Character, EXPRESSIONS, Expression};
use crate::color::OpaqueColor;
use crate::curve::{rounded, sin_cos};
use crate::draw::Draw;
use crate::face::{FACE_BOX, Look};
use crate::style::Style;
use crate::{background, body, extras, face, hair, lettering};

/// The plan of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub width: u32,
    pub height: u32,
    pub kind: SceneKind,
    pub people: Vec<Figure>,
    pub background: &'static str,
    /// Seed of everything except the characters.
    pub decor: u32,
    pub has_bubble: bool,
    pub style: Style,
}

/// The composition of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SceneKind {
    /// One character.
    Solo,
    /// Two or three characters.
    Group,
    /// One character seen from behind, without a visible face.
    Behind,
    /// A page of panels with speech bubbles, in color.
    Comic,
    /// A cover: one character under large writing.
    Cover,
    /// A background without characters.
    Scenery,
}

/// A character in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub who: Character,
    pub expression: Expression,
    pub look: Look,
    /// Position of the middle of the head in pixels.
    pub x: f32,
    pub y: f32,
    /// Half the width of the face in pixels, which is 100 head units.
    pub half_face: f32,
    /// Tilt of the head in turns, clockwise.
    pub tilt: f32,
    /// The panel (x, y, width, height in pixels) that the figure is painted in; `None` for the whole image.
    pub panel: Option<[f32; 4]>,
}

const SIZES: [(u32, u32); 8] = [
    (640, 800),
    (720, 960),
    (600, 600),
    (768, 768),
    (900, 675),
    (960, 640),
    (800, 1000),
    (560, 840),
];

impl Scene {
    /// Decides at random everything about a scene of the given kind.
    pub fn plan(kind: SceneKind, draw: &mut Draw) -> Self {
        let (width, height) = match kind {
            SceneKind::Comic | SceneKind::Cover => draw.pick(&[(700, 990), (640, 900)]),
            SceneKind::Group => draw.pick(&[(960, 640), (900, 675), (1000, 750), (1100, 720)]),
            _ => draw.pick(&SIZES),
        };
        let (w, h) = (width as f32, height as f32);
        let mut people = Vec::new();
        match kind {
            SceneKind::Solo | SceneKind::Behind => {
                let half = w.min(h) * draw.range(0.14, 0.235);
                let mut figure = Figure::new(w * 0.5 + half * 0.5 * draw.signed(), half, draw);
                figure.y = (h * draw.range(0.36, 0.5)).clamp(half * 1.9, h - half * 1.4);
                figure.look.is_behind = kind == SceneKind::Behind;
                people.push(figure);
            }
            SceneKind::Cover => {
                let half = w * draw.range(0.17, 0.22);
                let mut figure = Figure::new(w * draw.range(0.42, 0.58), half, draw);
                figure.y = h * 0.5;
                people.push(figure);
            }
            SceneKind::Group => {
                let n = 2 + draw.below(2);
                let half = (h * draw.range(0.13, 0.17)).min(w / n as f32 / 3.2);
                for i in 0..n {
                    let x = w * (i as f32 + 0.5) / n as f32 + half * 0.15 * draw.signed();
                    let mut figure = Figure::new(x, half * draw.range(0.88, 1.05), draw);
                    figure.y = h * draw.range(0.38, 0.52);
                    figure.look.is_behind = n == 3 && draw.chance(0.12);
                    people.push(figure);
                }
            }
            SceneKind::Comic => {
                for panel in panels(w, h, draw.below(3)) {
                    let half = panel[2].min(panel[3]) * draw.range(0.2, 0.25);
                    let side = if draw.chance(0.5) { 0.3 } else { 0.7 };
                    let mut figure = Figure::new(panel[0] + panel[2] * side, half, draw);
                    figure.y = panel[1] + panel[3] * 0.58;
                    figure.panel = Some(panel);
                    people.push(figure);
                }
            }
            SceneKind::Scenery => {}
        }
        let backgrounds: &[&'static str] = match kind {
            SceneKind::Scenery => &background::KINDS[7..],
            _ => &background::KINDS,
        };
        Self {
            width,
            height,
            kind,
            people,
            background: draw.pick(backgrounds),
            decor: draw.below(1 << 30) as u32,
            has_bubble: matches!(kind, SceneKind::Solo | SceneKind::Group) && draw.chance(0.12),
            style: Style::default(),
        }
    }

    /// A scene of one character, whose head and shoulders fill a square of `size` x `size` pixels.
    pub fn portrait(size: u32, draw: &mut Draw) -> Self {
        let side = size as f32;
        let mut figure = Figure::new(side * 0.5, side * 0.25, draw);
        figure.y = side * 0.53;
        Self {
            width: size,
            height: size,
            kind: SceneKind::Solo,
            people: vec![figure],
            background: draw.pick(&background::KINDS),
            decor: draw.below(1 << 30) as u32,
            has_bubble: false,
            style: Style::default(),
        }
    }

    /// The same scene with another expression on each face.
    pub fn with_expression(&self, draw: &mut Draw) -> Self {
        let mut scene = self.clone();
        for figure in &mut scene.people {
            let old = figure.expression;
            while figure.expression.mouth == old.mouth || figure.expression.left == old.left {
                figure.expression = draw.pick(&EXPRESSIONS);
            }
        }
        scene
    }

    /// The same scene with other colors of the first character's hair and eyes.
    pub fn with_colors(&self, draw: &mut Draw) -> Self {
        let mut scene = self.clone();
        if let Some(figure) = scene.people.first_mut() {
            let old = figure.who.hair.0;
            while figure.who.hair.0 == old {
                figure.who.hair = draw.pick(&crate::color::HAIR);
            }
            figure.who.eyes = draw.pick(&crate::color::EYES);
            figure.who.other_eye = figure.who.eyes.1;
        }
        scene
    }

    /// Paints the image.
    pub fn paint(&self) -> RgbImage {
        self.painted().into_image()
    }

    /// Paints the image and returns the canvas, on which more can be painted.
    pub fn painted(&self) -> Canvas {
        let mut canvas = Canvas::new(self.width, self.height, self.style);
        let (w, h) = canvas.size();
        let mut decor = Draw::new(self.decor, 1);
        if self.kind == SceneKind::Comic {
            self.paint_page(&mut canvas, &mut decor);
            return canvas;
        }
        background::paint(&mut canvas, self.background, &mut decor);
        for figure in &self.people {
            figure.paint(&mut canvas);
        }
        if self.has_bubble
            && let Some(figure) = self.people.first()
        {
            let left = figure.x > w / 2.0;
            let x = if left { w * 0.17 } else { w * 0.83 };
            let size = (w * 0.14, h * 0.1);
            lettering::bubble(
                &mut canvas,
                (x, h * 0.14),
                size,
                (figure.x, figure.y),
                &mut decor,
            );
        }
        if self.kind == SceneKind::Cover {
            let ink = OpaqueColor::hsv(decor.range(0.0, 1.0), 0.8, 0.55);
            lettering::writing(
                &mut canvas,
                [w * 0.06, h * 0.03, w * 0.9, w * 0.24],
                w * 0.16,
                ink.opaque(),
                &mut decor,
            );
            for y in [0.78, 0.84, 0.9] {
                let band = rounded(w * 0.05, h * y, w * 0.9, h * 0.05, 6.0);
                canvas.fill(&band, OpaqueColor::WHITE.alpha(0.8));
                lettering::writing(
                    &mut canvas,
                    [w * 0.07, h * (y + 0.008), w * 0.86, h * 0.046],
                    h * 0.034,
                    ink.opaque(),
                    &mut decor,
                );
            }
        }
        canvas
    }

    fn paint_page(&self, canvas: &mut Canvas, decor: &mut Draw) {
        let line = OpaqueColor::hex(0x2a2430);
        for figure in &self.people {
            let Some([x, y, width, height]) = figure.panel else {
                continue;
            };
            let frame = rounded(x, y, width, height, 0.0);
            let pale = OpaqueColor::hsv(decor.range(0.0, 1.0), 0.18, 0.97);
            canvas.clipped(&frame, |canvas| {
                canvas.fill(&frame, pale);
                figure.paint(canvas);
                let side = if figure.x > x + width / 2.0 {
                    0.24
                } else {
                    0.76
                };
                let middle = (x + width * side, y + height * 0.27);
                let size = (width * 0.21, height * 0.22);
                lettering::bubble(canvas, middle, size, (figure.x, figure.y), decor);
                if height > width * 0.5 {
                    let low = (x + width * side, y + height * 0.78);
                    lettering::bubble(
                        canvas,
                        low,
                        (size.0, size.1 * 0.8),
                        (figure.x, figure.y),
                        decor,
                    );
                }
            });
            canvas.stroke(&frame, 4.0, line);
        }
    }
}

/// The panels of a comic page: x, y, width and height in pixels.
fn panels(w: f32, h: f32, layout: usize) -> Vec<[f32; 4]> {
    let gap = w * 0.03;
    let rows: &[usize] = match layout {
        0 => &[1, 2, 1],
        1 => &[2, 1, 2],
        _ => &[1, 1, 2],
    };
    let height = (h - gap * (rows.len() + 1) as f32) / rows.len() as f32;
    let mut panels = Vec::new();
    for (row, &n) in rows.iter().enumerate() {
        let width = (w - gap * (n + 1) as f32) / n as f32;
        for column in 0..n {
            panels.push([
                gap + column as f32 * (width + gap),
                gap + row as f32 * (height + gap),
                width,
                height,
            ]);
        }
    }
    panels
}

impl Figure {
    fn new(x: f32, half_face: f32, draw: &mut Draw) -> Self {
        Self {
            who: Character::draw(draw),
            expression: draw.pick(&EXPRESSIONS),
            look: Look {
                turn: draw.signed(),
                gaze: (draw.signed(), draw.range(-0.6, 0.6)),
                is_behind: false,
            },
            x,
            y: 0.0,
            half_face,
            tilt: draw.signed() * draw.range(0.0, 0.035),
            panel: None,
        }
    }

    /// The transforms from head units to pixels: upright, and tilted about the neck.
    fn transforms(&self) -> (Transform, Transform) {
        let scale = self.half_face / 100.0;
        let upright = Transform::from_row(scale, 0.0, 0.0, scale, self.x, self.y);
        let (sin, cos) = sin_cos(self.tilt);
        let pivot = 110.0;
        let tilted = upright
            .pre_translate(0.0, pivot)
            .pre_concat(Transform::from_row(cos, sin, -sin, cos, 0.0, 0.0))
            .pre_translate(0.0, -pivot);
        (upright, tilted)
    }

    pub fn paint(&self, canvas: &mut Canvas) {
        let (upright, tilted) = self.transforms();
        let behind = self.look.is_behind;
        if !behind {
            canvas.within(tilted, |canvas| {
                extras::under(canvas, &self.who);
                hair::behind(canvas, &self.who);
            });
        }
        canvas.within(upright, |canvas| body::draw(canvas, &self.who, behind));
        canvas.within(tilted, |canvas| {
            if behind {
                extras::under(canvas, &self.who);
            }
            face::draw(canvas, &self.who, &self.expression, self.look);
        });
    }

    /// The face box in pixels, `[x0, y0, x1, y1]`; `None` from behind.
    pub fn face_box(&self) -> Option<[f32; 4]> {
        if self.look.is_behind {
            return None;
        }
        let (_, tilted) = self.transforms();
        let [x0, y0, x1, y1] = FACE_BOX;
        // A tilted face is an ellipse rather than a rectangle, so its box hardly grows.
        let (cx, cy) = ((x0 + x1) / 2.0 + self.look.turn * 6.0, (y0 + y1) / 2.0);
        let mut middle = [tiny_skia::Point::from_xy(cx, cy)];
        tilted.map_points(&mut middle);
        let scale = self.half_face / 100.0;
        let (rx, ry) = ((x1 - x0) / 2.0 * scale, (y1 - y0) / 2.0 * scale);
        Some([
            middle[0].x - rx,
            middle[0].y - ry,
            middle[0].x + rx,
            middle[0].y + ry,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_lie_inside_their_images() {
        for seed in 0..60 {
            let kind = [
                SceneKind::Solo,
                SceneKind::Group,
                SceneKind::Cover,
                SceneKind::Comic,
            ][seed as usize % 4];
            let scene = Scene::plan(kind, &mut Draw::new(seed, 0));
            for figure in &scene.people {
                let Some([x0, y0, x1, y1]) = figure.face_box() else {
                    continue;
                };
                let [px, py, pw, ph] =
                    figure
                        .panel
                        .unwrap_or([0.0, 0.0, scene.width as f32, scene.height as f32]);
                assert!(
                    x0 >= px && y0 >= py && x1 <= px + pw && y1 <= py + ph,
                    "{seed} {kind:?}"
                );
            }
        }
    }

    #[test]
    fn another_expression_changes_the_face_alone() {
        let mut draw = Draw::new(3, 0);
        let scene = Scene::plan(SceneKind::Solo, &mut draw);
        let other = scene.with_expression(&mut draw);
        assert_ne!(scene.people[0].expression, other.people[0].expression);
        let (a, b) = (scene.paint(), other.paint());
        let [x0, y0, x1, y1] = scene.people[0].face_box().unwrap();
        let mut inside = 0;
        for (x, y, pixel) in a.enumerate_pixels() {
            if pixel != b.get_pixel(x, y) {
                let (x, y) = (x as f32, y as f32);
                assert!(
                    x >= x0 - 8.0 && x <= x1 + 8.0 && y >= y0 - 8.0 && y <= y1 + 8.0,
                    "{x} {y}"
                );
                inside += 1;
            }
        }
        assert!(inside > 200);
    }
}
