//! Slides the window over all scales of an image pyramid, with OpenCV's scales and step sizes.

use image::GrayImage;

use super::model::Model;
use super::window::Evaluator;
use super::{CascadeOptions, Window, exact_linear};

/// Largest number of accepted windows in an image. A cascade for faces accepts a handful for each face; one that
/// accepts more is broken, and grouping would take too long.
const MAX_WINDOWS: usize = 50_000;

/// The windows that `evaluator` accepts at `scales` (not empty, finest first), in pixels of `image`.
///
/// The error says that there are too many windows.
pub(super) fn slide(
    model: &Model,
    image: &GrayImage,
    scales: &[f32],
    mut evaluator: impl Evaluator,
) -> Result<Vec<Window>, String> {
    let from = (image.width() as usize, image.height() as usize);
    let largest = scaled_size(image.dimensions(), scales[0]);
    let mut pixels = vec![0u8; largest.0 * largest.1];
    let (mut windows, mut found) = (Vec::new(), Vec::new());
    for &scale in scales {
        let size = scaled_size(image.dimensions(), scale);
        let step = if scale >= 2.0 { 1 } else { 2 };
        exact_linear::resize(image.as_raw(), from, size, &mut pixels);
        evaluator.set_image(&pixels[..size.0 * size.1], size, step);
        let side = |length: usize| (length as f32 * scale).round_ties_even() as i32;
        let (width, height) = (side(model.window.0), side(model.window.1));
        // Number of left columns, and of top rows, at which a window lies inside the image.
        let (last_x, last_y) = (
            (size.0 + 1).saturating_sub(model.window.0),
            (size.1 + 1).saturating_sub(model.window.1),
        );
        for y in (0..last_y).step_by(step) {
            evaluator.classify_row(model, y, last_x, &mut found);
            windows.extend(found.drain(..).map(|x| Window {
                x: side(x),
                y: side(y),
                width,
                height,
            }));
            if windows.len() > MAX_WINDOWS {
                return Err(format!(
                    "the cascade accepts more than {MAX_WINDOWS} windows: it cannot be one for faces"
                ));
            }
        }
    }
    Ok(windows)
}

/// Size of the image divided by `scale`, at least 1 x 1.
pub(super) fn scaled_size(size: (u32, u32), scale: f32) -> (usize, usize) {
    let side = |length: u32| (length as f32 / scale).round_ties_even() as usize;
    (side(size.0).max(1), side(size.1).max(1))
}

/// The scales to search, finest first: factors of the window size at which windows fit the image and the size limits.
///
/// When no scale is within the limits and `max_size` is set, the result is the scale whose window is nearest to
/// `min_size`.
pub(super) fn scales(
    window: (usize, usize),
    image: (u32, u32),
    options: &CascadeOptions,
) -> Vec<f32> {
    let scale_factor = if options.scale_factor >= 1.01 {
        options.scale_factor
    } else {
        1.01
    };
    let scaled = |factor: f64| {
        let side = |length: usize| (length as f64 * factor).round_ties_even() as u32;
        (side(window.0), side(window.1))
    };
    // In single precision, as in OpenCV.
    let scaled_single = |factor: f32| {
        let side = |length: usize| (length as f32 * factor).round_ties_even() as u32;
        (side(window.0), side(window.1))
    };
    let fits = |factor: &f64| scaled(*factor).0 <= image.0 && scaled(*factor).1 <= image.1;
    let all =
        std::iter::successors(Some(1.0), |factor| Some(factor * scale_factor)).take_while(fits);
    let all: Vec<f32> = all.map(|factor| factor as f32).collect();
    let (min, max) = (
        options.min_size,
        if options.max_size == 0 {
            u32::MAX
        } else {
            options.max_size
        },
    );
    let allowed = |&&scale: &&f32| {
        let (width, height) = scaled_single(scale);
        width.min(height) >= min && width.max(height) <= max
    };
    let chosen: Vec<f32> = all.iter().filter(allowed).copied().collect();
    if !chosen.is_empty() || options.max_size == 0 {
        return chosen;
    }
    // No scale is within the limits: take the one nearest to `min_size`.
    let distance = |scale: &f32| {
        let (width, height) = scaled_single(*scale);
        let apart = |side: u32| (f64::from(min) - f64::from(side)).powi(2);
        apart(width) + apart(height)
    };
    all.into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_stop_at_the_image_and_obey_the_limits() {
        let options = CascadeOptions {
            scale_factor: 2.0,
            min_size: 0,
            ..CascadeOptions::default()
        };
        assert_eq!(scales((24, 24), (200, 100), &options), [1.0, 2.0, 4.0]);
        assert_eq!(scales((24, 24), (23, 100), &options), [0.0; 0]);
        let options = CascadeOptions {
            min_size: 40,
            max_size: 50,
            ..options
        };
        assert_eq!(scales((24, 24), (200, 100), &options), [2.0]);
        let options = CascadeOptions {
            min_size: 60,
            max_size: 60,
            ..options
        };
        assert_eq!(scales((24, 24), (200, 100), &options), [2.0]);
    }
}
