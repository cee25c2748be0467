//! Decodes all formats but JPEG to pixels as stored, with the ICC profile and orientation that are to be applied.
//!
//! [`read`] is the only decoder behind both [`decode`](crate::decode) and [`decode_stored`](crate::decode_stored), so
//! that a file which one of them refuses is refused by the other.

mod bmp;
mod bmp_rle;
mod gif;
mod png;
mod webp;

pub(crate) use gif::size as gif_size;

use crate::exif::orientation_of;
use crate::raster_image::{Raster, max_alloc};
use crate::{DecodeError, DecodeOptions, Format, Header, check_size, tiff};
use image::{DynamicImage, ImageDecoder, ImageError, ImageResult, Limits};

/// Decodes all pixels of a file that is not a JPEG.
pub(crate) fn read(
    bytes: &[u8],
    format: Format,
    options: &DecodeOptions,
) -> Result<Raster, DecodeError> {
    match format {
        Format::Png => png::read(bytes, options),
        Format::Webp => webp::read(bytes, options),
        Format::Gif => gif::read(bytes, options),
        Format::Bmp => bmp::read(bytes, options),
        Format::Tiff => tiff::read(bytes, options),
        #[cfg(feature = "avif")]
        Format::Avif => finish(
            "AVIF",
            image::codecs::avif::AvifDecoder::new(std::io::Cursor::new(bytes)),
            options,
        )
        .map(|raster| Raster {
            is_lossless: false,
            ..raster
        }),
        #[cfg(not(feature = "avif"))]
        Format::Avif => Err(DecodeError::NotAnImage(
            "an AVIF image: this build is without the feature `avif`; convert it to PNG".to_owned(),
        )),
        Format::Jpeg => Err(DecodeError::Broken(
            "JPEG: has a decoder of its own".to_owned(),
        )),
    }
}

/// Size, channels and bit depth of a file that is not a JPEG. PNG, WebP and TIFF need only their headers for this;
/// files of other formats are decoded.
pub(crate) fn header(
    bytes: &[u8],
    format: Format,
    options: &DecodeOptions,
) -> Result<Header, DecodeError> {
    match format {
        Format::Png => png::header(bytes, options),
        Format::Webp => webp::header(bytes, options),
        Format::Tiff => tiff::header(bytes, options),
        // Whether a GIF or a bitmap has an alpha channel is known only from its pixels.
        _ => Ok(read(bytes, format, options)?.header()),
    }
}

/// Reads pixels and metadata with a decoder of the `image` crate. `name` is the format in error messages.
fn finish(
    name: &str,
    decoder: ImageResult<impl ImageDecoder>,
    options: &DecodeOptions,
) -> Result<Raster, DecodeError> {
    let failed = |e: ImageError| from_error(name, &e);
    let mut decoder = decoder.map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), options)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_alloc(options));
    decoder.set_limits(limits).map_err(failed)?;
    let icc = decoder.icc_profile().ok().flatten();
    // A broken EXIF block is no reason to refuse the image.
    let exif = decoder.exif_metadata().ok().flatten();
    let xmp = decoder.xmp_metadata().ok().flatten();
    let color = decoder.color_type();
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Raster {
        image,
        bit_depth: usize::from(color.bits_per_pixel() / u16::from(color.channel_count())),
        icc,
        orientation: orientation_of(exif.as_deref(), xmp.as_deref()),
        is_lossless: true,
    })
}

/// Converts an error of the `image` crate: [`DecodeError::Truncated`] if the file is too short, else
/// [`DecodeError::Broken`].
fn from_error(name: &str, error: &ImageError) -> DecodeError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = cause {
        // The source of `ImageError::IoError` is not the I/O error in it, but the source of that error.
        let io = match e.downcast_ref() {
            Some(ImageError::IoError(io)) => Some(io),
            _ => e.downcast_ref::<std::io::Error>(),
        };
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) {
            return cut(name);
        }
        cause = e.source();
    }
    DecodeError::Broken(format!("{name}: {error}"))
}

/// The error for a file that is too short.
fn cut(name: &str) -> DecodeError {
    DecodeError::Truncated(format!("{name}: the file ends before the image does"))
}

#[cfg(test)]
mod tests {
    use crate::{DecodeError, DecodeOptions, decode};
    use image::{DynamicImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
    use std::io::Cursor;

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn scene() -> RgbImage {
        RgbImage::from_fn(20, 12, |x, y| {
            Rgb([(x * 12) as u8, (y * 20) as u8, (x * y) as u8])
        })
    }

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        let image = DynamicImage::ImageRgb8(scene());
        for format in [
            ImageFormat::Png,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::WebP,
        ] {
            let decoded = decode(&encode(&image, format), &DecodeOptions::default()).unwrap();
            assert_eq!(decoded.image, scene(), "{format:?}");
            assert!(decoded.is_lossless, "{format:?}");
        }
    }

    #[test]
    fn gray_and_deep_images_become_8_bit_rgb() {
        let gray = DynamicImage::ImageLumaA16(image::ImageBuffer::from_fn(6, 5, |x, _| {
            LumaA([40_000, if x < 3 { 65_535 } else { 0 }])
        }));
        let decoded = decode(&encode(&gray, ImageFormat::Png), &DecodeOptions::default())
            .unwrap()
            .image;
        assert_eq!(decoded.get_pixel(0, 0).0, [156; 3]);
        assert_eq!(decoded.get_pixel(5, 0).0, [255; 3]);
        let deep =
            DynamicImage::ImageLuma16(image::ImageBuffer::from_pixel(4, 4, Luma([65_535u16])));
        let decoded = decode(&encode(&deep, ImageFormat::Tiff), &DecodeOptions::default())
            .unwrap()
            .image;
        assert_eq!(decoded.get_pixel(3, 3).0, [255; 3]);
    }

    #[test]
    fn palettes_with_transparency_are_expanded() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 4, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Two);
        encoder.set_palette(vec![255, 0, 0, 0, 255, 0, 0, 0, 255]);
        encoder.set_trns(vec![255, 255, 0]);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&[0b00_01_10_00])
            .unwrap();
        let options = DecodeOptions {
            matte: [1, 2, 3],
            ..DecodeOptions::default()
        };
        let image = decode(&bytes, &options).unwrap().image;
        let row: Vec<[u8; 3]> = image.pixels().map(|p| p.0).collect();
        assert_eq!(row, [[255, 0, 0], [0, 255, 0], [1, 2, 3], [255, 0, 0]]);
    }

    #[test]
    fn the_first_frame_of_an_animation_counts() {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for color in [[255, 0, 0, 255], [0, 0, 255, 255]] {
            encoder
                .encode_frame(image::Frame::new(image::RgbaImage::from_pixel(
                    8,
                    8,
                    Rgba(color),
                )))
                .unwrap();
        }
        drop(encoder);
        let image = decode(&bytes, &DecodeOptions::default()).unwrap().image;
        assert_eq!(image.get_pixel(4, 4).0, [255, 0, 0]);
    }

    #[test]
    fn large_headers_are_refused_before_allocation() {
        let mut bytes = encode(&DynamicImage::ImageRgb8(scene()), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&100_000u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let crc = crc32fast::hash(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode(&bytes, &DecodeOptions::default()).unwrap_err();
        assert_eq!(
            error,
            DecodeError::TooLarge {
                width: 100_000,
                height: 60_000,
                max: 100_000_000
            }
        );
    }

    /// Nine patches of 8 x 8 pixels.
    #[test]
    fn avif_is_decoded_or_the_way_out_is_told() {
        let bytes = include_bytes!("../../tests/data/patches.avif");
        let decoded = decode(bytes, &DecodeOptions::default());
        if !cfg!(feature = "avif") {
            let message = decoded.unwrap_err().to_string();
            assert!(message.contains("feature `avif`"), "{message}");
            return;
        }
        let colors = [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [0, 0, 0],
            [133, 92, 161],
            [215, 215, 46],
            [55, 225, 255],
            [124, 87, 50],
        ];
        let image = decoded.unwrap().image;
        assert_eq!(image.dimensions(), (24, 24));
        for (i, color) in (0..).zip(colors) {
            let found = image.get_pixel(i % 3 * 8 + 4, i / 3 * 8 + 4).0;
            for (found, expected) in found.into_iter().zip(color) {
                assert!(
                    found.abs_diff(expected) <= 6,
                    "patch {i}: {found}, drawn {expected}"
                );
            }
        }
        let cut = decode(&bytes[..bytes.len() - 40], &DecodeOptions::default());
        let is_refused = matches!(cut, Err(DecodeError::Broken(_) | DecodeError::Truncated(_)));
        assert!(is_refused, "{cut:?}");
    }

    #[test]
    fn cut_files_are_broken_in_every_format() {
        let image = DynamicImage::ImageRgb8(scene());
        for format in [
            ImageFormat::Png,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::WebP,
            ImageFormat::Gif,
        ] {
            let bytes = encode(&image, format);
            let cut = &bytes[..bytes.len() * 6 / 10];
            assert!(
                matches!(
                    decode(cut, &DecodeOptions::default()),
                    Err(DecodeError::Truncated(_))
                ),
                "{format:?}"
            );
        }
    }
}
