//! Composes training images of three kinds: collages (face crops pasted on a background among things that are no
//! faces), close-ups of a single face, and windows of whole images.

use detector_evaluation::Truth;
use rng::RandomState;

use crate::canvas::{Canvas, Edge, Placement, Pyramid};
use crate::material::{Material, Sample, covered};
use crate::random::{any_color, chance, log_uniform, uniform};
use crate::sources::Item;
use crate::{color, cover, prints, shapes};

/// Smallest and largest side of faces in collages, in pixels; the side is the root of the box's area.
const PASTED_SIDES: (f32, f32) = (11.0, 130.0);
/// Smallest and largest side of faces in close-ups, in pixels.
const CLOSE_SIDES: (f32, f32) = (90.0, 235.0);
/// Smallest and largest side, in pixels, to which the face or false detection in a window of a whole image is scaled.
const WINDOW_SIDES: (f32, f32) = (11.0, 200.0);
/// The same for the windows that show a part of a large face, because an eye or a mouth alone is no face; then the
/// share of such windows.
const LARGE_SIDES: (f32, f32) = (200.0, 700.0);
const LARGE: f64 = 0.12;
/// Share of windows that are placed around a face or a false detection, where labels are most reliable; the others are
/// anywhere in the image.
const AROUND: f64 = 0.9;
/// For windows anywhere in the image: smallest and largest scale of an image whose longest side is 1024.
const ANYWHERE_SCALES: (f32, f32) = (0.12, 1.0);
/// Share of windows around a false detection instead of a face, in images that have some.
const MISTAKES: f64 = 0.4;
/// Share of close-ups among the training images that are not windows.
const CLOSE_UPS: f64 = 0.3;
/// Share of training images that are shrunk and enlarged again.
const ENLARGED: f64 = 0.15;
/// Largest factor of that.
const ENLARGEMENT: f32 = 5.0;
/// Faces whose shorter side is below this many pixels are ignored in training.
const MIN_SIDE: f32 = 9.0;
/// A face is ignored when a smaller share of its area than this is on the canvas.
const MIN_VISIBLE: f32 = 0.6;

/// Composes a random training image of `side` x `side` pixels.
pub fn sample(material: &Material, side: usize, random: &mut RandomState) -> Sample {
    let mut sample = if chance(random, material.windows) {
        window(material, side, random)
    } else if chance(random, CLOSE_UPS) {
        let mut sample = background(material, side, random);
        paste_face(material, &mut sample, CLOSE_SIDES, random);
        sample
    } else {
        collage(material, side, random)
    };
    prints::draw(material, &mut sample, random);
    cover::some_faces(material, &mut sample, random);
    if chance(random, ENLARGED) {
        enlarge(&mut sample, random);
    }
    color::change(&mut sample.canvas, random);
    settle(&mut sample);
    sample
}

fn background(material: &Material, side: usize, random: &mut RandomState) -> Sample {
    let mut canvas = Canvas::new(side, any_color(random));
    if chance(random, 0.4) {
        mosaic(material, &mut canvas, random);
    } else if chance(random, 0.6)
        && let Some(item) = material.backgrounds.draw(random)
    {
        let image = &item.image;
        let cover = side as f32 / image.width().min(image.height()) as f32;
        let scale = cover * uniform(random, 1.0, 1.8);
        place_anywhere(&mut canvas, image, scale, Edge::Hard, true, random);
    }
    if chance(random, 0.3) {
        tint(&mut canvas, random);
    }
    Sample {
        canvas,
        faces: Vec::new(),
        ignore: Vec::new(),
    }
}

/// Fills the canvas with a grid of patches of drawings.
fn mosaic(material: &Material, canvas: &mut Canvas, random: &mut RandomState) {
    let tile = log_uniform(random, (50.0, 260.0));
    let n = (canvas.side as f32 / tile).ceil() as usize;
    for i in 0..n * n {
        let Some(Item { image, .. }) = material.patches.draw(random) else {
            return;
        };
        let scale = tile / image.width().min(image.height()) as f32;
        let flip = if chance(random, 0.5) { -1.0 } else { 1.0 };
        let placement = Placement {
            from: [image.width() as f32 / 2.0, image.height() as f32 / 2.0],
            to: [((i % n) as f32 + 0.5) * tile, ((i / n) as f32 + 0.5) * tile],
            scale: [flip * scale, scale],
            turn: [0.0, 1.0],
        };
        canvas.draw(image, &placement, Edge::Hard);
    }
}

/// Blends the canvas with a gradient of two random colors by brightness.
fn tint(canvas: &mut Canvas, random: &mut RandomState) {
    let (dark, bright) = (any_color(random), any_color(random));
    for pixel in &mut canvas.pixels {
        let gray = pixel.iter().sum::<f32>() / 765.0;
        *pixel = std::array::from_fn(|c| {
            0.4 * pixel[c] + 0.6 * (dark[c] + gray * (bright[c] - dark[c]))
        });
    }
}

/// Draws an image at a random position; if `covering`, such that an image that is large enough fills the canvas.
fn place_anywhere(
    canvas: &mut Canvas,
    image: &Pyramid,
    scale: f32,
    edge: Edge,
    covering: bool,
    random: &mut RandomState,
) {
    let side = canvas.side as f32;
    let (width, height) = (image.width() as f32, image.height() as f32);
    let mut to = |length: f32| {
        if covering {
            let free = (length * scale - side).max(0.0) / 2.0;
            side / 2.0 + uniform(random, -free, free)
        } else {
            uniform(random, 0.0, side)
        }
    };
    let to = [to(width), to(height)];
    let flip = if chance(random, 0.5) { -1.0 } else { 1.0 };
    let angle = if covering {
        0.0
    } else {
        uniform(random, -0.5, 0.5)
    };
    let placement = Placement {
        from: [width / 2.0, height / 2.0],
        to,
        scale: [flip * scale, scale],
        turn: [angle.sin(), angle.cos()],
    };
    canvas.draw(image, &placement, edge);
}

fn collage(material: &Material, side: usize, random: &mut RandomState) -> Sample {
    let mut sample = background(material, side, random);
    // First pieces without faces, with the same kinds of edges, so that an edge is no sign of a face.
    for _ in 0..random.index(7) {
        let part;
        let piece = match random.index(3) {
            0 => {
                part = part_of_face(material, random);
                part.as_ref()
            }
            1 => material.backgrounds.draw(random).map(|item| &item.image),
            _ => material.patches.draw(random).map(|item| &item.image),
        };
        let Some(image) = piece else { continue };
        let edge = any_edge(image, None, random);
        let longest = image.width().max(image.height()) as f32;
        let scale = log_uniform(random, (20.0, 200.0)) / longest;
        place_anywhere(&mut sample.canvas, image, scale, edge, false, random);
    }
    shapes::draw(&mut sample.canvas, random);
    for _ in 0..1 + random.index(6) {
        paste_face(material, &mut sample, PASTED_SIDES, random);
    }
    sample
}

/// A part of a random face crop that is not a face itself, such as hair, an eye or a corner; `None` without crops.
fn part_of_face(material: &Material, random: &mut RandomState) -> Option<Pyramid> {
    if material.crops.is_empty() {
        return None;
    }
    let crops = &material.crops[random.index(material.crops.len())];
    let Item { image, truth, .. } = crops.draw(random)?;
    let (width, height) = (image.width() as f32, image.height() as f32);
    let [x0, y0, x1, y1] = truth.faces.first().copied()?;
    // Everything above the face, or a window of at most a fifth of the face's area.
    let [x, y, w, h] = if chance(random, 0.5) {
        [0.0, 0.0, width, y0]
    } else {
        let (w, h) = ((x1 - x0) * 0.45, (y1 - y0) * 0.45);
        [
            uniform(random, 0.0, width - w),
            uniform(random, 0.0, height - h),
            w,
            h,
        ]
    };
    let part = image::imageops::crop_imm(
        image.source(),
        x as u32,
        y as u32,
        w.max(2.0) as u32,
        h.max(2.0) as u32,
    );
    Some(Pyramid::new(part.to_image()))
}

fn any_edge(image: &Pyramid, face: Option<[f32; 4]>, random: &mut RandomState) -> Edge {
    let (width, height) = (image.width() as f32, image.height() as f32);
    match random.index(4) {
        0 => Edge::Hard,
        1 => Edge::Soft(uniform(random, 0.03, 0.2)),
        _ => {
            let [x0, y0, x1, y1] =
                face.unwrap_or([0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height]);
            // An ellipse around the face and its hair, shifted upward.
            let grow = uniform(random, 1.15, 2.0);
            let (a, b) = ((x1 - x0) / 2.0 * grow, (y1 - y0) / 2.0 * grow);
            Edge::Ellipse([(x0 + x1) / 2.0, (y0 + y1) / 2.0 - 0.15 * b, a, b])
        }
    }
}

/// Pastes a random face crop at a place where it covers no other face; after six attempts does nothing.
///
/// `sides` are the smallest and largest side of the pasted face in pixels.
fn paste_face(
    material: &Material,
    sample: &mut Sample,
    sides: (f32, f32),
    random: &mut RandomState,
) {
    if material.crops.is_empty() {
        return;
    }
    let source = &material.crops[random.index(material.crops.len())];
    let Some(Item { image, truth, .. }) = source.draw(random) else {
        return;
    };
    let Some(&face) = truth.faces.first() else {
        return;
    };
    let [x0, y0, x1, y1] = face;
    let size = ((x1 - x0) * (y1 - y0)).sqrt();
    let mut target = log_uniform(random, sides);
    // Do not enlarge a face so much that it is only a blur.
    target = target.min(size * 2.2);
    let side = sample.canvas.side as f32;
    let aspect = uniform(random, 0.93, 1.07);
    let scale = target / size;
    let flip = if chance(random, 0.5) { -1.0 } else { 1.0 };
    let angle = if chance(random, 0.6) {
        (random.standard_normal() as f32 * 0.22).clamp(-0.6, 0.6)
    } else {
        0.0
    };
    for _ in 0..6 {
        let margin = (target * 0.4).min(side * 0.45);
        let placement = Placement {
            from: [(x0 + x1) / 2.0, (y0 + y1) / 2.0],
            to: std::array::from_fn(|_| uniform(random, margin, side - margin)),
            scale: [flip * scale * aspect, scale / aspect],
            turn: [angle.sin(), angle.cos()],
        };
        let whole = placement.rect([0.0, 0.0, image.width() as f32, image.height() as f32]);
        if sample
            .faces
            .iter()
            .chain(&sample.ignore)
            .any(|other| covered(other, &whole) > 0.1)
        {
            continue;
        }
        let edge = any_edge(image, Some(face), random);
        sample.canvas.draw(image, &placement, edge);
        sample.faces.push(placement.rect(face));
        sample
            .ignore
            .extend(truth.ignore.iter().map(|&rect| placement.rect(rect)));
        return;
    }
}

/// A random window of a random whole image; a collage when there are none.
fn window(material: &Material, side: usize, random: &mut RandomState) -> Sample {
    let Some(item) = material.images.draw(random) else {
        return collage(material, side, random);
    };
    let image = &item.image;
    let Truth { faces, ignore, .. } = &item.truth;
    let mut canvas = Canvas::new(side, any_color(random));
    let longest = image.width().max(image.height()) as f32;
    // Around a face or a false detection, or anywhere.
    let centers = if chance(random, MISTAKES) && !item.mistaken.is_empty() {
        &item.mistaken
    } else {
        faces
    };
    let (from, scale) = if !centers.is_empty() && chance(random, AROUND) {
        let [x0, y0, x1, y1] = centers[random.index(centers.len())];
        let size = ((x1 - x0) * (y1 - y0)).sqrt();
        let sides = if chance(random, LARGE) {
            LARGE_SIDES
        } else {
            WINDOW_SIDES
        };
        let scale = log_uniform(random, sides) / size;
        let shift = side as f32 * 0.4 / scale;
        let mut near = |v: f32| v + uniform(random, -shift, shift);
        ([near((x0 + x1) / 2.0), near((y0 + y1) / 2.0)], scale)
    } else {
        let (width, height) = (image.width() as f32, image.height() as f32);
        let from = [uniform(random, 0.0, width), uniform(random, 0.0, height)];
        (
            from,
            log_uniform(random, ANYWHERE_SCALES) * 1024.0 / longest,
        )
    };
    let scale = scale.clamp(side as f32 / longest * 0.4, 2.0);
    let flip = if chance(random, 0.5) { -1.0 } else { 1.0 };
    let angle = if chance(random, 0.3) {
        uniform(random, -0.3, 0.3)
    } else {
        0.0
    };
    let placement = Placement {
        from,
        to: [side as f32 / 2.0; 2],
        scale: [flip * scale, scale],
        turn: [angle.sin(), angle.cos()],
    };
    canvas.draw(image, &placement, Edge::Hard);
    let placed = |rects: &[[f32; 4]]| rects.iter().map(|&rect| placement.rect(rect)).collect();
    Sample {
        canvas,
        faces: placed(faces),
        ignore: placed(ignore),
    }
}

/// Makes the sample look like an enlarged small image, as in the refinement pass of the detector. The smallest face
/// keeps the detail of at least [`MIN_SIDE`] pixels.
fn enlarge(sample: &mut Sample, random: &mut RandomState) {
    let smallest = sample
        .faces
        .iter()
        .map(|[x0, y0, x1, y1]| (x1 - x0).min(y1 - y0))
        .fold(f32::INFINITY, f32::min);
    let most = (smallest / MIN_SIDE).min(ENLARGEMENT);
    if most > 1.0 {
        sample.canvas.coarsen(log_uniform(random, (1.0, most)));
    }
}

/// Removes faces outside the canvas, moves tiny and mostly invisible ones to `ignore`, and clamps the boxes of the
/// others.
fn settle(sample: &mut Sample) {
    let side = sample.canvas.side as f32;
    let whole = [0.0, 0.0, side, side];
    for face in std::mem::take(&mut sample.faces) {
        let clamped = face.map(|v| v.clamp(0.0, side));
        let visible = covered(&face, &whole);
        if visible <= 0.02 {
            continue;
        }
        let shorter = (face[2] - face[0]).min(face[3] - face[1]);
        if visible < MIN_VISIBLE || shorter < MIN_SIDE {
            sample.ignore.push(face);
        } else {
            sample.faces.push(clamped);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::sources::Source;

    fn material(folder: &std::path::Path) -> Material {
        let crop = RgbImage::from_pixel(64, 64, image::Rgb([250, 10, 10]));
        crop.save(folder.join("a.png")).unwrap();
        let mut source = Source::default();
        source
            .add_crops(folder, [0.25, 0.25, 0.75, 0.75], 64)
            .unwrap();
        Material {
            crops: vec![source],
            ..Material::default()
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_images() {
        let folder = tempfile::tempdir().unwrap();
        let material = material(folder.path());
        let make = || {
            let mut random = RandomState::new(5);
            (0..8)
                .map(|_| sample(&material, 128, &mut random))
                .collect::<Vec<_>>()
        };
        let (first, second) = (make(), make());
        let mut n_faces = 0;
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(a.canvas.pixels, b.canvas.pixels);
            assert_eq!(a.faces, b.faces);
            for face in &a.faces {
                n_faces += 1;
                assert!(face.iter().all(|v| (0.0..=128.0).contains(v)), "{face:?}");
            }
        }
        assert!(n_faces >= 8);
    }
}
