//! Draws things that detectors take for faces: covers with letters and signs, single letters, flowers.

use rng::RandomState;

use crate::canvas::{Canvas, Edge, Placement, Pyramid};
use crate::material::{Material, Sample, covered};
use crate::random::{any_color, chance, log_uniform, uniform};
use crate::shapes::glyph;

/// Share of training images that get prints.
const PRINTED: f64 = 0.3;
/// Side in pixels of the canvas on which a print is drawn before it is pasted.
const SIDE: usize = 160;
/// Smallest and largest longest side of a print in a training image, in pixels.
const SIDES: (f32, f32) = (10.0, 150.0);
/// Largest share of a face's area that a print may hide.
const MAX_HIDDEN: f32 = 0.1;

/// Pastes up to three prints on some samples, at places where they hide no face.
pub fn draw(material: &Material, sample: &mut Sample, random: &mut RandomState) {
    if !chance(random, PRINTED) {
        return;
    }
    for _ in 0..1 + random.index(3) {
        let (print, edge) = match random.index(4) {
            0 => (flower(random), Edge::Ellipse([80.0, 80.0, 80.0, 80.0])),
            1 => (letter(random), Edge::Hard),
            _ => (cover(material, random), Edge::Hard),
        };
        let image = Pyramid::new(print);
        let (width, height) = (image.width() as f32, image.height() as f32);
        let scale = log_uniform(random, SIDES) / width.max(height);
        let angle = (random.standard_normal() as f32 * 0.3).clamp(-0.8, 0.8);
        let side = sample.canvas.side as f32;
        let placement = Placement {
            from: [width / 2.0, height / 2.0],
            to: std::array::from_fn(|_| uniform(random, 0.0, side)),
            // A print seen from the side is narrower.
            scale: [scale * uniform(random, 0.5, 1.0), scale],
            turn: [angle.sin(), angle.cos()],
        };
        let whole = placement.rect([0.0, 0.0, width, height]);
        let hides = |face: &[f32; 4]| covered(face, &whole) > MAX_HIDDEN;
        if !sample.faces.iter().chain(&sample.ignore).any(hides) {
            sample.canvas.draw(&image, &placement, edge);
        }
    }
}

/// A book cover: an area of color, lines of letters, a large sign and a patch of a drawing, some of them left out.
fn cover(material: &Material, random: &mut RandomState) -> image::RgbImage {
    let mut canvas = Canvas::new(SIDE, any_color(random));
    let side = SIDE as f32;
    let (width, height) = (side * uniform(random, 0.55, 1.0), side);
    let ink = any_color(random);
    if chance(random, 0.5) {
        let color = any_color(random);
        let (top, bottom) = (uniform(random, 0.0, 0.6) * height, height);
        canvas.fill([0.0, top, width, bottom], color, |_, _| true);
    }
    if chance(random, 0.5)
        && let Some(item) = material.patches.draw(random)
    {
        let image = &item.image;
        let scale = uniform(random, 0.3, 0.7) * width / image.width() as f32;
        let placement = Placement {
            from: [image.width() as f32 / 2.0, image.height() as f32 / 2.0],
            to: [width / 2.0, uniform(random, 0.4, 0.75) * height],
            scale: [scale; 2],
            turn: [0.0, 1.0],
        };
        canvas.draw(image, &placement, Edge::Hard);
    }
    let mut top = uniform(random, 0.04, 0.2) * height;
    for _ in 0..1 + random.index(4) {
        let letter = log_uniform(random, (0.03, 0.25)) * height;
        line(
            &mut canvas,
            [0.06 * width, top, 0.94 * width],
            letter,
            ink,
            random,
        );
        top += letter * uniform(random, 1.2, 2.5);
    }
    if chance(random, 0.5) {
        let letter = uniform(random, 0.25, 0.5) * height;
        let top = uniform(random, 0.3, 0.7) * height;
        let left = uniform(random, 0.05, 0.4) * width;
        let color = any_color(random);
        line(
            &mut canvas,
            [left, top, 0.95 * width],
            letter,
            color,
            random,
        );
    }
    image::imageops::crop_imm(&canvas.image(), 0, 0, width as u32, height as u32).to_image()
}

/// Draws a line of letters of this height from `left` to `right`, below `top`.
fn line(
    canvas: &mut Canvas,
    [left, top, right]: [f32; 3],
    height: f32,
    color: [f32; 3],
    random: &mut RandomState,
) {
    let width = height * uniform(random, 0.5, 0.9);
    let stroke = (height * uniform(random, 0.1, 0.3)).max(1.0);
    let n = ((right - left) / (1.3 * width)) as usize;
    for letter in 0..n.max(1) {
        if chance(random, 0.85) {
            let x = left + letter as f32 * 1.3 * width;
            glyph(
                canvas,
                [x, top, x + width, top + height],
                stroke,
                color,
                random,
            );
        }
    }
}

/// A few large letters on a plain background.
fn letter(random: &mut RandomState) -> image::RgbImage {
    let mut canvas = Canvas::new(SIDE, any_color(random));
    let (side, color) = (SIDE as f32, any_color(random));
    let height = side * uniform(random, 0.3, 0.8);
    let top = (side - height) / 2.0;
    line(
        &mut canvas,
        [0.1 * side, top, 0.9 * side],
        height,
        color,
        random,
    );
    canvas.image()
}

/// A flower: petals around a center, on a plain background.
fn flower(random: &mut RandomState) -> image::RgbImage {
    let ground = any_color(random);
    let mut canvas = Canvas::new(SIDE, ground);
    let middle = SIDE as f32 / 2.0;
    let (petal, line, heart) = (any_color(random), any_color(random), any_color(random));
    let n = 4 + random.index(4);
    let (long, wide) = (uniform(random, 0.5, 0.9), uniform(random, 0.25, 0.6));
    let whole = [0.0, 0.0, SIDE as f32, SIDE as f32];
    let start = uniform(random, 0.0, std::f32::consts::TAU);
    for i in 0..n {
        let (sin, cos) = (start + std::f32::consts::TAU * i as f32 / n as f32).sin_cos();
        for (grow, color) in [(1.0, line), (0.93, petal)] {
            let (a, b) = (long * middle / 2.0 * grow, wide * middle / 2.0 * grow);
            canvas.fill(whole, color, |x, y| {
                let (x, y) = (x - middle, y - middle);
                let (along, across) = (x * cos + y * sin, y * cos - x * sin);
                ((along - long * middle / 2.0) / a).hypot(across / b) < 1.0
            });
        }
    }
    let radius = middle * uniform(random, 0.08, 0.25);
    canvas.fill(whole, heart, |x, y| (x - middle).hypot(y - middle) < radius);
    canvas.image()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_leave_faces_alone() {
        let material = Material::default();
        let mut random = RandomState::new(8);
        let face = [40.0, 40.0, 120.0, 120.0];
        let mut n_printed = 0;
        for _ in 0..60 {
            let mut sample = Sample {
                canvas: Canvas::new(160, [7.0; 3]),
                faces: vec![face],
                ignore: Vec::new(),
            };
            draw(&material, &mut sample, &mut random);
            let changed = |(i, pixel): (usize, &[f32; 3])| {
                let (x, y) = ((i % 160) as f32, (i / 160) as f32);
                let in_face = (40.0..120.0).contains(&x) && (40.0..120.0).contains(&y);
                (*pixel != [7.0; 3]).then_some(in_face)
            };
            let pixels = sample.canvas.pixels.iter().enumerate();
            let changed: Vec<bool> = pixels.filter_map(changed).collect();
            n_printed += usize::from(!changed.is_empty());
            let hidden = changed.iter().filter(|in_face| **in_face).count() as f32;
            assert!(hidden <= 3.0 * MAX_HIDDEN * 80.0 * 80.0, "{hidden}");
        }
        assert!((6..40).contains(&n_printed), "{n_printed}");
    }
}
