//! Converts a color image to the gray, histogram-equalized image that cascades are trained on.

use image::{GrayImage, RgbImage};

/// Rec. 601 luma, 0 to 255, rounded from 15-bit fixed point; the same values as OpenCV's `COLOR_RGB2GRAY`.
pub fn luma(image: &RgbImage) -> GrayImage {
    let weigh = |rgb: &[u8]| {
        let sum = 9798 * u32::from(rgb[0]) + 19235 * u32::from(rgb[1]) + 3735 * u32::from(rgb[2]);
        ((sum + (1 << 14)) >> 15) as u8
    };
    let pixels = image.as_raw().chunks_exact(3).map(weigh).collect();
    GrayImage::from_raw(image.width(), image.height(), pixels).expect("one value for each pixel")
}

/// Histogram equalization in place, with the same result as OpenCV's `equalizeHist`; a flat image is left as it is.
pub fn equalize(image: &mut GrayImage) {
    let mut histogram = [0u32; 256];
    for &value in image.as_raw() {
        histogram[usize::from(value)] += 1;
    }
    let total: u32 = histogram.iter().sum();
    let Some(darkest) = histogram.iter().position(|&count| count > 0) else {
        return;
    };
    if histogram[darkest] == total {
        return;
    }
    let scale = 255.0 / (total - histogram[darkest]) as f32;
    let mut table = [0u8; 256];
    let mut brighter = 0;
    for value in darkest + 1..256 {
        brighter += histogram[value];
        table[value] = (brighter as f32 * scale).round_ties_even() as u8;
    }
    for value in image.iter_mut() {
        *value = table[usize::from(*value)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_of_primaries() {
        let image =
            RgbImage::from_raw(4, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]).unwrap();
        assert_eq!(luma(&image).into_raw(), [76, 150, 29, 255]);
    }

    #[test]
    fn a_narrow_ramp_is_spread_and_a_flat_image_stays() {
        let mut ramp = GrayImage::from_raw(4, 1, vec![100, 101, 102, 103]).unwrap();
        equalize(&mut ramp);
        assert_eq!(ramp.into_raw(), [0, 85, 170, 255]);
        let mut flat = GrayImage::from_pixel(3, 3, image::Luma([9]));
        equalize(&mut flat);
        assert_eq!(flat.into_raw(), [9; 9]);
    }
}
