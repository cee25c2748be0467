//! Converts gray images with an ICC profile to the gray levels of sRGB.

use crate::icc::has_plausible_length;
use image::{DynamicImage, GrayAlphaImage, GrayImage, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, ToneCurveEvaluator};

/// A gray ICC profile: the tone curve from stored levels to luminance or lightness, both 0 to 1.
///
/// The conversion is relative colorimetric, as in LittleCMS: white stays white.
pub struct GrayProfile {
    curve: Box<dyn ToneCurveEvaluator + Send + Sync>,
    /// Whether the curve gives CIE L* and not luminance.
    is_lightness: bool,
    /// The sRGB level of each stored 8-bit level.
    table: [u8; 256],
}

impl GrayProfile {
    /// Reads an ICC profile; `None` if it is not a gray profile, cannot be read, or changes no level by more than 2 of
    /// 255.
    pub fn read(icc: &[u8]) -> Option<Self> {
        if !has_plausible_length(icc) {
            return None;
        }
        let profile = ColorProfile::new_from_slice(icc).ok()?;
        if profile.color_space != DataColorSpace::Gray {
            return None;
        }
        let mut read = Self {
            curve: profile.gray_trc.as_ref()?.make_linear_evaluator().ok()?,
            is_lightness: profile.pcs == DataColorSpace::Lab,
            table: [0; 256],
        };
        read.table = std::array::from_fn(|level| read.level(level as f32 / 255.0));
        let is_moved = (0..=255)
            .zip(read.table)
            .any(|(a, b): (u8, u8)| a.abs_diff(b) > 2);
        is_moved.then_some(read)
    }

    /// The sRGB level (0 to 255) of a stored level of 0 to 1.
    fn level(&self, stored: f32) -> u8 {
        let value = self.curve.evaluate_value(stored).clamp(0.0, 1.0);
        let luminance = match (self.is_lightness, 100.0 * value) {
            (false, _) => value,
            // CIE 15: L* to relative luminance.
            (true, lightness) if lightness > 8.0 => ((lightness + 16.0) / 116.0).powi(3),
            (true, lightness) => lightness * 27.0 / 24_389.0,
        };
        // IEC 61966-2-1: linear to sRGB.
        let encoded = if luminance <= 0.003_130_8 {
            12.92 * luminance
        } else {
            1.055 * luminance.powf(1.0 / 2.4) - 0.055
        };
        (255.0 * encoded).round() as u8
    }

    /// Converts a gray image of 8 or 16 bits to 8-bit sRGB levels; alpha is kept, rounded to 8 bits. Color images are
    /// returned unchanged.
    pub fn convert(&self, image: DynamicImage) -> DynamicImage {
        let deep_table = || -> Vec<u8> {
            (0..=u16::MAX)
                .map(|level| self.level(f32::from(level) / 65_535.0))
                .collect()
        };
        match image {
            DynamicImage::ImageLuma8(mut image) => {
                image
                    .iter_mut()
                    .for_each(|v| *v = self.table[usize::from(*v)]);
                DynamicImage::ImageLuma8(image)
            }
            DynamicImage::ImageLumaA8(mut image) => {
                let levels = image.iter_mut().step_by(2);
                levels.for_each(|v| *v = self.table[usize::from(*v)]);
                DynamicImage::ImageLumaA8(image)
            }
            DynamicImage::ImageLuma16(image) => {
                let table = deep_table();
                DynamicImage::ImageLuma8(GrayImage::from_fn(
                    image.width(),
                    image.height(),
                    |x, y| image::Luma([table[usize::from(image.get_pixel(x, y)[0])]]),
                ))
            }
            DynamicImage::ImageLumaA16(image) => {
                let table = deep_table();
                let eight_bits = |alpha: u16| ((u32::from(alpha) + 128) / 257) as u8;
                DynamicImage::ImageLumaA8(GrayAlphaImage::from_fn(
                    image.width(),
                    image.height(),
                    |x, y| {
                        let [level, alpha] = image.get_pixel(x, y).0;
                        image::LumaA([table[usize::from(level)], eight_bits(alpha)])
                    },
                ))
            }
            other => other,
        }
    }

    /// Converts a gray image with three equal channels to sRGB levels in place.
    pub fn convert_rgb(&self, image: &mut RgbImage) {
        image
            .iter_mut()
            .for_each(|v| *v = self.table[usize::from(*v)]);
    }
}
