//! Augmentation that hides parts of faces, as books, hands or other people do.

use rng::RandomState;

use crate::canvas::{Canvas, Edge, Placement};
use crate::material::{Material, Sample, covered};
use crate::random::{any_color, chance, uniform};
use crate::sources::Item;

/// Share of faces that are partly covered.
const COVERED: f64 = 0.2;

/// Covers parts of some faces; their boxes remain those of the whole faces.
pub fn some_faces(material: &Material, sample: &mut Sample, random: &mut RandomState) {
    for i in 0..sample.faces.len() {
        if !chance(random, COVERED) {
            continue;
        }
        let [x0, y0, x1, y1] = sample.faces[i];
        let (width, height) = (x1 - x0, y1 - y0);
        let share = uniform(random, 0.1, 0.35);
        let rect = match random.index(4) {
            0 => [
                x0 - 0.3 * width,
                y0 - height,
                x0 + share * width,
                y1 + 0.2 * height,
            ],
            1 => [
                x1 - share * width,
                y0 - height,
                x1 + 0.3 * width,
                y1 + 0.2 * height,
            ],
            _ => [
                x0 - 0.2 * width,
                y1 - 1.4 * share * height,
                x1 + 0.2 * width,
                y1 + height,
            ],
        };
        // Do not cover another face.
        let hides = |(j, other): (usize, &[f32; 4])| j != i && covered(other, &rect) > 0.1;
        if !sample.faces.iter().enumerate().any(hides) {
            fill(material, &mut sample.canvas, rect, random);
        }
    }
}

/// Covers a rectangle with a color or with a slightly rotated patch of a drawing.
fn fill(material: &Material, canvas: &mut Canvas, rect: [f32; 4], random: &mut RandomState) {
    let piece = if chance(random, 0.6) {
        material.patches.draw(random)
    } else {
        None
    };
    let Some(Item { image, .. }) = piece else {
        canvas.fill(rect, any_color(random), |_, _| true);
        return;
    };
    let [x0, y0, x1, y1] = rect;
    let (width, height) = (image.width() as f32, image.height() as f32);
    let angle = uniform(random, -0.2, 0.2);
    let placement = Placement {
        from: [width / 2.0, height / 2.0],
        to: [(x0 + x1) / 2.0, (y0 + y1) / 2.0],
        scale: [(x1 - x0) / width, (y1 - y0) / height],
        turn: [angle.sin(), angle.cos()],
    };
    canvas.draw(image, &placement, Edge::Hard);
}
