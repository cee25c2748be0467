//! Converts colors from the color space of an ICC profile to sRGB, and composites alpha on a background color.

use crate::gray::GrayProfile;
use crate::icc::has_plausible_length;
use image::{DynamicImage, Rgb, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts the colors of an image by its ICC profile to 8-bit sRGB and keeps alpha. An image without a profile is
/// returned unchanged, even one of 16 bits.
///
/// Call this before [`flatten`]: the background color that alpha is composited on is sRGB already.
pub fn convert(image: DynamicImage, icc: Option<&[u8]>) -> DynamicImage {
    let Some(profile) = icc else {
        return image;
    };
    if !image.color().has_color()
        && let Some(profile) = GrayProfile::read(profile)
    {
        return profile.convert(image);
    }
    if !image.color().has_alpha() {
        return DynamicImage::ImageRgb8(to_srgb(image.into_rgb8(), icc));
    }
    let mut rgba = image.into_rgba8();
    let colors = rgba
        .pixels()
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    if let Some(colors) = RgbImage::from_raw(rgba.width(), rgba.height(), colors) {
        let colors = to_srgb(colors, icc);
        for (pixel, &Rgb([r, g, b])) in rgba.pixels_mut().zip(colors.pixels()) {
            pixel.0 = [r, g, b, pixel[3]];
        }
    }
    DynamicImage::ImageRgba8(rgba)
}

/// Converts an image from the color space of its ICC profile to sRGB.
///
/// A profile that changes no color by more than 2 of 255 levels (the many variants of sRGB) is ignored, so that such
/// images stay exact. A profile is also ignored if it cannot be read, is not one of RGB (but of gray or CMYK), or has
/// fewer than 128 bytes or more than 4 MiB.
pub fn to_srgb(mut image: RgbImage, icc: Option<&[u8]>) -> RgbImage {
    let Some(icc) = icc.filter(|icc| has_plausible_length(icc)) else {
        return image;
    };
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        return image;
    };
    if profile.color_space != DataColorSpace::Rgb {
        return image;
    }
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) =
        profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default())
    else {
        return image;
    };
    let grid: Vec<u8> = (0..9u32 * 81)
        .flat_map(|i| [i % 9, i / 9 % 9, i / 81].map(|v| (v * 255 / 8) as u8))
        .collect();
    let mut moved = vec![0; grid.len()];
    if transform.transform(&grid, &mut moved).is_err()
        || grid.iter().zip(&moved).all(|(a, b)| a.abs_diff(*b) <= 2)
    {
        return image;
    }
    let width = image.width() as usize * 3;
    let mut converted = vec![0; image.as_raw().len()];
    for (from, to) in image
        .chunks_exact(width)
        .zip(converted.chunks_exact_mut(width))
    {
        if transform.transform(from, to).is_err() {
            return image;
        }
    }
    image.copy_from_slice(&converted);
    image
}

/// Converts an image with three equal channels by its gray ICC profile to sRGB; a profile that is not gray is treated
/// as in [`to_srgb`].
pub fn gray_to_srgb(mut image: RgbImage, icc: Option<&[u8]>) -> RgbImage {
    match icc.and_then(GrayProfile::read) {
        Some(profile) => {
            profile.convert_rgb(&mut image);
            image
        }
        None => to_srgb(image, icc),
    }
}

/// Converts any image to 8-bit RGB, with alpha composited on the background color `matte`.
pub fn flatten(image: DynamicImage, matte: [u8; 3]) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (from, to) in rgba.pixels().zip(rgb.pixels_mut()) {
        let alpha = u32::from(from[3]);
        for c in 0..3 {
            to[c] = ((u32::from(from[c]) * alpha + u32::from(matte[c]) * (255 - alpha) + 127) / 255)
                as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn alpha_is_laid_on_the_matte() {
        let mut image = RgbaImage::from_pixel(3, 1, Rgba([200, 0, 100, 255]));
        image.put_pixel(1, 0, Rgba([200, 0, 100, 0]));
        image.put_pixel(2, 0, Rgba([200, 0, 100, 128]));
        let flat = flatten(DynamicImage::ImageRgba8(image), [255, 255, 0]);
        assert_eq!(flat.get_pixel(0, 0).0, [200, 0, 100]);
        assert_eq!(flat.get_pixel(1, 0).0, [255, 255, 0]);
        assert_eq!(flat.get_pixel(2, 0).0, [227, 127, 50]);
    }

    #[test]
    fn wide_gamut_becomes_srgb_and_srgb_stays() {
        let image = RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16) as u8, (y * 16) as u8, 90]));
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert_eq!(to_srgb(image.clone(), Some(&srgb)), image);
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        let converted = to_srgb(image.clone(), Some(&p3));
        // Display P3 red is outside of sRGB: it gets stronger and clips.
        assert!(converted.get_pixel(10, 2)[0] > image.get_pixel(10, 2)[0]);
        assert_eq!(to_srgb(image.clone(), Some(b"no profile at all")), image);
    }
}
