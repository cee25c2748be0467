//! Makes smaller faces from labeled images: shrinks the images, and pads them to squares.

use detector_evaluation::Truth;
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

/// Shrinks each image so that its median face (by area) has this side in pixels; images are never enlarged.
pub fn shrink_faces(images: &mut [(String, Truth, RgbImage)], side: f32) {
    let area = |[x0, y0, x1, y1]: [f32; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    for (_, truth, image) in images {
        let mut areas: Vec<f32> = truth.faces.iter().map(|&rect| area(rect)).collect();
        areas.sort_by(f32::total_cmp);
        let Some(&median) = areas.get(areas.len() / 2) else {
            continue;
        };
        scale(truth, image, side / median.sqrt());
    }
}

/// Shrinks an image and its boxes by `factor`; a factor of 1 or more changes nothing.
fn scale(truth: &mut Truth, image: &mut RgbImage, factor: f32) {
    if !(factor > 0.0 && factor < 1.0) {
        return;
    }
    let length = |side: u32| ((side as f32 * factor).round() as u32).max(1);
    let (width, height) = (length(truth.width), length(truth.height));
    *image = resize(image, width, height, FilterType::Triangle);
    for rect in truth.faces.iter_mut().chain(&mut truth.ignore) {
        *rect = rect.map(|v| v * factor);
    }
    (truth.width, truth.height) = (width, height);
}

/// Centers an image on a gray square of `side` pixels; an image that is too large is shrunk first.
pub fn put_on_canvas(truth: &mut Truth, image: &mut RgbImage, side: u32) {
    let longest = truth.width.max(truth.height);
    scale(truth, image, side as f32 / longest as f32);
    let (width, height) = image.dimensions();
    let (x, y) = (
        side.saturating_sub(width) / 2,
        side.saturating_sub(height) / 2,
    );
    let mut canvas = RgbImage::from_pixel(side, side, Rgb([127; 3]));
    replace(&mut canvas, image, i64::from(x), i64::from(y));
    for rect in truth.faces.iter_mut().chain(&mut truth.ignore) {
        for (value, offset) in rect.iter_mut().zip([x, y, x, y]) {
            *value += offset as f32;
        }
    }
    (truth.width, truth.height) = (side, side);
    *image = canvas;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_shrink_with_their_images_and_move_with_the_canvas() {
        let truth = Truth {
            width: 200,
            height: 100,
            faces: vec![[0.0, 0.0, 48.0, 48.0], [100.0, 0.0, 148.0, 48.0]],
            ignore: vec![[20.0, 20.0, 40.0, 40.0]],
        };
        let image = RgbImage::from_pixel(200, 100, Rgb([9; 3]));
        let mut images = vec![("a".to_owned(), truth, image)];
        shrink_faces(&mut images, 24.0);
        let (_, truth, image) = &mut images[0];
        assert_eq!((truth.width, truth.height), (100, 50));
        assert_eq!(image.dimensions(), (100, 50));
        assert_eq!(truth.faces[1], [50.0, 0.0, 74.0, 24.0]);
        put_on_canvas(truth, image, 120);
        assert_eq!(truth.faces[1], [60.0, 35.0, 84.0, 59.0]);
        assert_eq!(truth.ignore[0], [20.0, 45.0, 30.0, 55.0]);
        assert_eq!((image.dimensions(), truth.width), ((120, 120), 120));
        assert_eq!(
            (image[(9, 60)], image[(10, 60)]),
            (Rgb([127; 3]), Rgb([9; 3]))
        );
        // An image larger than the square is shrunk; a smaller one is not enlarged.
        put_on_canvas(truth, image, 60);
        assert_eq!(truth.faces[1], [30.0, 17.5, 42.0, 29.5]);
    }
}
