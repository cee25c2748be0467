//! Resizing an image before it is searched.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, RgbImage};

/// The size (width, height) of an image after it is shrunk so that its longest side is at most `longest_side`;
/// unchanged if it already is.
pub(crate) fn fitted_size(width: u32, height: u32, longest_side: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= longest_side || longest == 0 {
        return (width, height);
    }
    let ratio = f64::from(longest_side) / f64::from(longest);
    let side = |length: u32| ((f64::from(length) * ratio).round() as u32).max(1);
    (side(width), side(height))
}

/// Resizes a color image bilinearly, with antialiasing when it shrinks.
pub(crate) fn resize_rgb(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let pixels = resized::<U8x3>(image.as_raw(), image.dimensions(), (width, height));
    RgbImage::from_raw(width, height, pixels).expect("the resizer fills the size it was given")
}

/// Resizes a gray image bilinearly, with antialiasing when it shrinks.
pub(crate) fn resize_gray(image: &GrayImage, width: u32, height: u32) -> GrayImage {
    let pixels = resized::<U8>(image.as_raw(), image.dimensions(), (width, height));
    GrayImage::from_raw(width, height, pixels).expect("the resizer fills the size it was given")
}

fn resized<P: PixelTrait<Component = u8>>(
    pixels: &[u8],
    from: (u32, u32),
    to: (u32, u32),
) -> Vec<u8> {
    let source = TypedImageRef::<P>::from_buffer(from.0, from.1, pixels)
        .expect("an image fills its own size");
    let mut buffer = vec![0; to.0 as usize * to.1 as usize * size_of::<P>()];
    let mut target =
        TypedImage::<P>::from_buffer(to.0, to.1, &mut buffer).expect("the buffer has that size");
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false);
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .expect("sizes of at least one pixel");
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_side_is_capped_and_small_images_stay() {
        assert_eq!(fitted_size(4000, 3000, 1000), (1000, 750));
        assert_eq!(fitted_size(300, 200, 1000), (300, 200));
        assert_eq!(fitted_size(100_000, 10, 1000), (1000, 1));
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let image = RgbImage::from_pixel(40, 30, image::Rgb([10, 200, 30]));
        assert!(
            resize_rgb(&image, 7, 5)
                .pixels()
                .all(|pixel| pixel.0 == [10, 200, 30])
        );
        let gray = GrayImage::from_pixel(40, 30, image::Luma([77]));
        assert!(
            resize_gray(&gray, 7, 5)
                .pixels()
                .all(|pixel| pixel.0 == [77])
        );
    }
}
