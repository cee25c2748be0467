//! JPEG: one parser, one check of the completeness of the data, two decoders.
//!
//! Files of the common kinds are decoded by `zune-jpeg`, which is fast and agrees with libjpeg up to rounding. Kinds
//! for which it does not agree (scans of single components, unusual sampling factors and color models) are decoded
//! here, with the arithmetic of libjpeg. In both cases the entropy-coded data are read here first, so that cut and
//! damaged files are recognized by the same rule.

mod coefficients;
mod color;
mod entropy;
mod facts;
mod frame;
mod huffman;
mod idct;
mod markers;
mod planes;
mod progressive;
mod runs;
mod sequential;
mod significance;
mod upsample;

pub use facts::JpegFacts;

use super::color::{gray_to_srgb, to_srgb};
use super::exif::orientation_of;
use super::{DecodeError, DecodeOptions, Decoded, Format, check_size};
use color::Space;
use image::{DynamicImage, RgbImage};
use markers::{Structure, Until};
use planes::Plane;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

fn broken(message: impl std::fmt::Display) -> DecodeError {
    DecodeError::Broken(format!("JPEG: {message}"))
}

/// Decodes a JPEG to upright sRGB.
pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let structure = markers::parse(bytes, Until::End)?;
    let (width, height) = (structure.frame.width as u32, structure.frame.height as u32);
    check_size(u64::from(width), u64::from(height), options)?;
    let pixels = pixels(bytes, &structure, Channels::Rgb)?;
    let image = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| broken("an unsupported color space"))?;
    let icc = structure.icc_profile();
    let image = match structure.frame.components.len() {
        1 => gray_to_srgb(image, icc.as_deref()),
        _ => to_srgb(image, icc.as_deref()),
    };
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation_of(structure.exif, structure.xmp));
    let image = image.into_rgb8();
    Ok(Decoded {
        image,
        format: Format::Jpeg,
        jpeg: Some(facts::facts(&structure)),
        is_lossless: false,
    })
}

/// Width, height and number of channels (1 for gray, else 3) from the first bytes of a file.
pub(super) fn read_size(bytes: &[u8]) -> Result<(usize, usize, usize), DecodeError> {
    let frame = markers::parse(bytes, Until::Frame)?.frame;
    let channels = if frame.components.len() == 1 { 1 } else { 3 };
    Ok((frame.width, frame.height, channels))
}

/// The pixels of a JPEG as stored: neither orientation nor ICC profile is applied.
pub(super) struct Stored {
    pub width: usize,
    pub height: usize,
    /// 1 for gray, 3 for RGB.
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

/// Decodes a JPEG without applying orientation or ICC profile; gray stays gray.
pub(super) fn decode_stored(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let structure = markers::parse(bytes, Until::End)?;
    let (width, height) = (structure.frame.width, structure.frame.height);
    let channels = if structure.frame.components.len() == 1 {
        1
    } else {
        3
    };
    check_size(width as u64, height as u64, options)?;
    let pixels = pixels(bytes, &structure, Channels::Stored)?;
    Ok(Stored {
        width,
        height,
        channels,
        pixels,
    })
}

/// Number of channels that a gray file is decoded to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channels {
    /// Three equal channels.
    Rgb,
    /// One channel.
    Stored,
}

/// The pixels of a file that must be complete: `height * width * channels` values, not yet converted to sRGB.
fn pixels(
    bytes: &[u8],
    structure: &Structure<'_>,
    channels: Channels,
) -> Result<Vec<u8>, DecodeError> {
    let space = structure.space()?;
    whole_pixels(bytes, structure, space, channels)
        .map_err(|error| markers::truncated_if_filled(error, bytes))
}

fn whole_pixels(
    bytes: &[u8],
    structure: &Structure<'_>,
    space: Space,
    channels: Channels,
) -> Result<Vec<u8>, DecodeError> {
    if is_common(structure, space) {
        if structure.frame.is_progressive {
            significance::verify(structure)?;
        } else {
            sequential::verify(structure)?;
        }
        check_end(bytes, structure)?;
        let is_gray = space == Space::Gray && channels == Channels::Stored;
        if let Some(pixels) = fast(bytes, structure, is_gray) {
            return Ok(pixels);
        }
    }
    let coefficients = if structure.frame.is_progressive {
        progressive::decode(structure)?
    } else {
        sequential::decode(structure)?
    };
    check_end(bytes, structure)?;
    let mut planes = Vec::with_capacity(coefficients.len());
    for (i, coefficients) in coefficients.iter().enumerate() {
        let quantizers = structure.frame.components[i].quantizers.as_ref();
        let quantizers = quantizers.ok_or_else(|| broken("a quantization table is missing"))?;
        planes.push(Plane::new(
            coefficients,
            quantizers,
            structure.frame.samples(i),
        ));
    }
    let pixels = color::convert(&structure.frame, space, &planes);
    Ok(if space == Space::Gray && channels == Channels::Rgb {
        pixels.into_iter().flat_map(|v| [v; 3]).collect()
    } else {
        pixels
    })
}

/// Refuses files without an end marker, except sequential files that are complete without it.
///
/// Bytes of an unknown kind may stand between the last scan and the marker. Without the marker, further scans may be
/// missing in a progressive file. A sequential file is complete if its last byte is the one in which the last block of
/// the last component ends, which [`entropy::read_scan`] has checked.
fn check_end(bytes: &[u8], structure: &Structure<'_>) -> Result<(), DecodeError> {
    let has_end = structure.end.is_some()
        || sequential::is_whole_without_end(structure)
        || structure.scans.last().is_some_and(|scan| {
            let rest = bytes.get(scan.end..).unwrap_or_default();
            memchr::memmem::find(rest, &[0xff, 0xd9]).is_some()
        });
    if has_end {
        Ok(())
    } else {
        Err(DecodeError::Truncated(
            "JPEG: the file ends before its end marker".to_owned(),
        ))
    }
}

/// Smallest width and height in pixels of images that `zune-jpeg` decodes; in smaller ones it upsamples the borders in
/// another way than libjpeg.
const MIN_COMMON_SIDE: usize = 16;

/// Whether `zune-jpeg` decodes files of this kind to the pixels of libjpeg, up to rounding.
fn is_common(structure: &Structure<'_>, space: Space) -> bool {
    let frame = &structure.frame;
    if frame.width.min(frame.height) < MIN_COMMON_SIDE {
        return false;
    }
    let sampling: Vec<(usize, usize)> = frame.components.iter().map(|c| c.sampling).collect();
    let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
    let is_known_space = match (space, structure.adobe) {
        (Space::Gray, None) => sampling == [(1, 1)],
        (Space::YCbCr, None | Some(1)) => {
            ids != *b"RGB"
                && matches!(sampling[0], (1 | 2, 1 | 2))
                && sampling[1..] == [(1, 1), (1, 1)]
        }
        (Space::Cmyk, None | Some(0)) | (Space::Ycck, Some(2)) => sampling == [(1, 1); 4],
        _ => false,
    };
    let has_one_scan = structure
        .scans
        .first()
        .is_some_and(|scan| scan.parts.len() == frame.components.len());
    is_known_space && (frame.is_progressive || has_one_scan)
}

/// Decodes with `zune-jpeg`, to gray or RGB; `None` where it fails.
fn fast(bytes: &[u8], structure: &Structure<'_>, is_gray: bool) -> Option<Vec<u8>> {
    let space = if is_gray {
        ColorSpace::Luma
    } else {
        ColorSpace::RGB
    };
    let settings = DecoderOptions::default()
        // Strict mode refuses stray bytes between the headers, which do not affect the pixels.
        .set_strict_mode(!structure.has_stray_bytes)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(space);
    let mut completed = Vec::new();
    let bytes = match structure.scans.last() {
        // `zune-jpeg` needs the end marker.
        Some(scan) if scan.terminator.is_none() => {
            completed.extend_from_slice(&bytes[..scan.end]);
            completed.extend_from_slice(&[0xff, 0xd9]);
            &completed
        }
        _ => bytes,
    };
    let pixels = JpegDecoder::new_with_options(ZCursor::new(bytes), settings)
        .decode()
        .ok()?;
    let n_values = structure.frame.width * structure.frame.height * if is_gray { 1 } else { 3 };
    (pixels.len() == n_values).then_some(pixels)
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
    fn quality_is_read_from_the_quantizers() {
        for quality in [10, 30, 50, 75, 90, 95, 100] {
            let bytes = jpeg(quality);
            let structure = markers::parse(&bytes, Until::End).unwrap();
            let found = facts::facts(&structure).quality;
            assert!(
                found.abs_diff(quality) <= 2,
                "wrote {quality}, read {found}"
            );
        }
    }

    /// Nine patches of 8 x 8 pixels, given as inks and stored as Adobe does: inverted, with cyan, magenta and yellow
    /// converted to YCbCr.
    #[test]
    fn ycck_becomes_the_colors_of_its_inks() {
        let bytes = include_bytes!("../../tests/data/ycck.jpg");
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
}
