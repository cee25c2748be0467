//! Runs a cascade over an image with the fastest evaluator that the machine supports.

use image::GrayImage;

use super::lanes::{Isa, LbpLanes};
use super::model::{Features, Model};
use super::pyramid::{scaled_size, scales, slide};
use super::window::{HaarEvaluator, LbpEvaluator};
use super::{CascadeOptions, Window};

/// All windows that the cascade accepts, at all scales, in pixels of `image` and before grouping.
///
/// The error says that the cascade accepts so many windows that it cannot be one for faces.
pub(super) fn windows(
    model: &Model,
    image: &GrayImage,
    options: &CascadeOptions,
) -> Result<Vec<Window>, String> {
    let scales = scales(model.window, image.dimensions(), options);
    let Some(&finest) = scales.first() else {
        return Ok(Vec::new());
    };
    // The integral images of all scales have the same row length, so that feature offsets are computed once.
    let size = scaled_size(image.dimensions(), finest);
    let (stride, rows) = (size.0 + 1, size.1 + 1);
    match &model.features {
        Features::Lbp(features) => {
            let isa = Isa::available().pop();
            match isa.and_then(|isa| LbpLanes::new(model, features, stride, rows, isa)) {
                Some(lanes) => slide(model, image, &scales, lanes),
                None => {
                    let one = LbpEvaluator::new(features, stride, rows);
                    slide(model, image, &scales, one)
                }
            }
        }
        Features::Haar(features) => {
            let one = HaarEvaluator::new(features, model.window, stride, rows);
            slide(model, image, &scales, one)
        }
    }
}
