//! JPEG: the pixels by `zune-jpeg`, the quality and the subsampling from the headers.

use super::color::to_srgb;
use super::exif::orientation_from_exif;
use super::{DecodeError, DecodeOptions, Decoded, Format, check_size};
use image::{DynamicImage, RgbImage};
use serde::{Deserialize, Serialize};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// What the headers of a JPEG tell about its loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JpegFacts {
    /// Estimated IJG quality, 1 to 100.
    pub quality: u8,
    /// Chroma samples per luma sample: 1 (4:4:4), 0.5 (4:2:2), 0.25 (4:2:0).
    pub chroma: f32,
}

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let broken = |e: &dyn std::fmt::Display| DecodeError::Broken(format!("JPEG: {e}"));
    let (image, icc, exif) = match decode_pixels(bytes, options, true) {
        // Stray bytes between the headers harm no pixel.
        Err(DecodeError::Broken(message)) if message.contains("Extra bytes between headers") => {
            decode_pixels(bytes, options, false)?
        }
        other => other?,
    };
    if !has_end_marker(bytes) {
        return Err(broken(&"the file ends before the picture does"));
    }
    let mut image = to_srgb(image, icc.as_deref());
    if let Some(exif) = exif {
        let mut turned = DynamicImage::ImageRgb8(image);
        turned.apply_orientation(orientation_from_exif(&exif));
        image = turned.into_rgb8();
    }
    Ok(Decoded {
        image,
        format: Format::Jpeg,
        jpeg: Some(facts(bytes)),
        is_lossless: false,
    })
}

type Pixels = (RgbImage, Option<Vec<u8>>, Option<Vec<u8>>);

fn decode_pixels(
    bytes: &[u8],
    options: &DecodeOptions,
    is_strict: bool,
) -> Result<Pixels, DecodeError> {
    let broken = |e: &dyn std::fmt::Display| DecodeError::Broken(format!("JPEG: {e}"));
    let settings = DecoderOptions::default()
        .set_strict_mode(is_strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), settings);
    decoder.decode_headers().map_err(|e| broken(&e))?;
    let info = decoder
        .info()
        .ok_or_else(|| broken(&"there is no frame header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(u64::from(width), u64::from(height), options)?;
    let (icc, exif) = (decoder.icc_profile(), decoder.exif().cloned());
    let pixels = decoder.decode().map_err(|e| broken(&e))?;
    let image = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| broken(&"an unsupported colour space"))?;
    Ok((image, icc, exif))
}

/// Whether an end-of-image marker stands in the last part of the file (some writers append data behind it).
fn has_end_marker(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9])
}

/// Reads quantisers and sampling factors; a header that cannot be read counts as middling.
fn facts(bytes: &[u8]) -> JpegFacts {
    let mut facts = JpegFacts {
        quality: 75,
        chroma: 0.25,
    };
    let mut at = 2;
    let mut has_quality = false;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(segment) = bytes.get(at + 4..at + 2 + length.max(2)) else {
            break;
        };
        match marker {
            0xff => {
                at += 1;
                continue;
            }
            0xdb if !has_quality => {
                if let Some(quality) = luma_quality(segment) {
                    facts.quality = quality;
                    has_quality = true;
                }
            }
            // Start of frame: precision, height, width, then id, factors, table of each component.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let factors: Vec<(u8, u8)> = segment
                    .get(6..)
                    .unwrap_or_default()
                    .chunks_exact(3)
                    .map(|c| (c[1] >> 4, c[1] & 15))
                    .collect();
                facts.chroma = match factors.as_slice() {
                    [luma, blue, ..] if luma.0 > 0 && luma.1 > 0 => {
                        f32::from(blue.0 * blue.1) / f32::from(luma.0 * luma.1)
                    }
                    _ => 1.0,
                };
            }
            0xda => break,
            _ => {}
        }
        at += 2 + length.max(2);
    }
    facts
}

/// The luma quantisers of ITU-T T.81, Annex K.1.
const ANNEX_K: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// IJG quality of the luma table (id 0) of a DQT segment: the setting whose scaled Annex K table is nearest in sum.
fn luma_quality(segment: &[u8]) -> Option<u8> {
    let (&head, values) = segment.split_first()?;
    if head & 15 != 0 {
        return None;
    }
    let sum: u32 = if head >> 4 == 0 {
        values.get(..64)?.iter().map(|&v| u32::from(v)).sum()
    } else {
        values
            .get(..128)?
            .chunks_exact(2)
            .map(|v| u32::from(u16::from_be_bytes([v[0], v[1]])))
            .sum()
    };
    let sum_at = |quality: u32| -> u32 {
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        ANNEX_K
            .iter()
            .map(|&v| ((u32::from(v) * percent + 50) / 100).clamp(1, 255))
            .sum()
    };
    // Of equally near settings (the lowest ones clip alike) the better.
    (1..=100u32)
        .rev()
        .min_by_key(|&quality| sum_at(quality).abs_diff(sum))
        .map(|quality| quality as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageEncoder;
    use image::codecs::jpeg::JpegEncoder;

    fn jpeg(quality: u8) -> Vec<u8> {
        let rgb: Vec<u8> = (0..64 * 48 * 3).map(|i| (i * 7 % 256) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .write_image(&rgb, 64, 48, image::ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    #[test]
    fn quality_is_read_from_the_quantisers() {
        for quality in [10, 30, 50, 75, 90, 95, 100] {
            let found = facts(&jpeg(quality)).quality;
            assert!(
                found.abs_diff(quality) <= 2,
                "wrote {quality}, read {found}"
            );
        }
    }

    /// Nine patches of 8 x 8 in inks, stored as Adobe does: inverted, and cyan, magenta, yellow turned into YCbCr.
    #[test]
    fn ycck_becomes_the_colours_of_its_inks() {
        let bytes = include_bytes!("../tests/data/ycck.jpg");
        let image = decode(bytes, &DecodeOptions::default()).unwrap().image;
        assert_eq!(image.dimensions(), (24, 24));
        let inks: [[u32; 4]; 9] = [
            [0, 255, 255, 0],
            [255, 0, 255, 0],
            [255, 255, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 255],
            [60, 120, 20, 80],
            [0, 0, 200, 40],
            [200, 30, 0, 0],
            [20, 90, 160, 120],
        ];
        for (i, [c, m, y, k]) in (0..).zip(inks) {
            let found = image.get_pixel(i % 3 * 8 + 4, i / 3 * 8 + 4).0;
            let expected = [c, m, y].map(|ink| (255 - ink) * (255 - k) / 255);
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    u32::from(found).abs_diff(expected) <= 4,
                    "patch {i}: {found}, inks give {expected}"
                );
            }
        }
    }

    #[test]
    fn cut_and_damaged_files_are_broken() {
        let bytes = jpeg(90);
        let options = DecodeOptions::default();
        assert!(decode(&bytes, &options).is_ok());
        for share in [2, 3, 5] {
            let cut = &bytes[..bytes.len() - bytes.len() / share];
            assert!(
                matches!(decode(cut, &options), Err(DecodeError::Broken(_))),
                "1/{share} cut off"
            );
        }
        assert!(matches!(
            decode(&bytes[..bytes.len() - 2], &options),
            Err(DecodeError::Broken(_))
        ));
    }

    #[test]
    fn garbage_never_panics() {
        let good = jpeg(80);
        let mut state = 1u32;
        for _ in 0..300 {
            let mut bytes = good.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % bytes.len();
                bytes[at] = state as u8;
            }
            let _ = decode(
                &bytes,
                &DecodeOptions {
                    max_pixels: 1 << 20,
                    ..DecodeOptions::default()
                },
            );
            let _ = facts(&bytes);
        }
    }
}
