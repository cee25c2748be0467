//! Converts the samples of all components to gray or RGB, with libjpeg's integer formulas.

use super::frame::Frame;
use super::planes::Plane;
use super::upsample::Upsampler;

/// Color model of the components of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// One component.
    Gray,
    /// Luma and two color differences (chroma).
    YCbCr,
    /// Red, green, blue.
    Rgb,
    /// Cyan, magenta, yellow and black.
    Cmyk,
    /// Cyan, magenta and yellow coded as YCbCr, and black.
    Ycck,
}

/// `a * b / 255`, rounded.
fn scale(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// Coefficients from YCbCr to RGB (ITU-T T.871) in fixed point with 16 fractional bits.
const CR_TO_R: i32 = 91_881;
const CB_TO_G: i32 = 22_554;
const CR_TO_G: i32 = 46_802;
const CB_TO_B: i32 = 116_130;
const HALF: i32 = 1 << 15;

fn ycc_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let clamp = |value: i32| value.clamp(0, 255) as u8;
    [
        clamp(y + ((CR_TO_R * cr + HALF) >> 16)),
        clamp(y + ((HALF - CB_TO_G * cb - CR_TO_G * cr) >> 16)),
        clamp(y + ((CB_TO_B * cb + HALF) >> 16)),
    ]
}

/// Converts planes to pixels in rows from the top: 1 value per pixel (gray) for a gray file, 3 values (RGB) for all
/// others.
pub fn convert(frame: &Frame, space: Space, planes: &[Plane]) -> Vec<u8> {
    let (width, height) = (frame.width, frame.height);
    let mut rows: Vec<(Upsampler<'_>, Vec<u8>)> = planes
        .iter()
        .zip(&frame.components)
        .map(|(plane, component)| {
            let (h, v) = component.sampling;
            let ratio = (frame.max_sampling.0 / h, frame.max_sampling.1 / v);
            // An upsampler writes `ratio.0` values per sample, so its row can be longer than a row of the image.
            let row = vec![0; plane.width * ratio.0];
            (Upsampler::new(plane, ratio), row)
        })
        .collect();
    let channels = if space == Space::Gray { 1 } else { 3 };
    let mut pixels = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for (upsampler, row) in &mut rows {
            upsampler.write_row(y, row);
        }
        let at = |i: usize, x: usize| rows[i].1[x];
        match space {
            Space::Gray => pixels.extend_from_slice(&rows[0].1[..width]),
            Space::Rgb => {
                pixels.extend((0..width).flat_map(|x| [at(0, x), at(1, x), at(2, x)]));
            }
            Space::YCbCr => {
                pixels.extend((0..width).flat_map(|x| ycc_to_rgb([at(0, x), at(1, x), at(2, x)])));
            }
            Space::Cmyk | Space::Ycck => pixels.extend((0..width).flat_map(|x| {
                let first = [at(0, x), at(1, x), at(2, x)];
                let inks = match space {
                    Space::Ycck => ycc_to_rgb(first).map(|v| 255 - v),
                    _ => first,
                };
                // Inks are stored inverted, as Adobe does; djpeg and Pillow assume this also for files without the
                // Adobe marker.
                let black = at(3, x);
                inks.map(|ink| scale(ink, black))
            })),
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of libjpeg-turbo.
    #[test]
    fn primaries_come_out_of_their_luma_and_differences() {
        assert_eq!(ycc_to_rgb([76, 85, 255]), [254, 0, 0]);
        assert_eq!(ycc_to_rgb([150, 44, 21]), [0, 255, 1]);
        assert_eq!(ycc_to_rgb([29, 255, 107]), [0, 0, 254]);
        assert_eq!(ycc_to_rgb([77, 128, 128]), [77; 3]);
    }
}
