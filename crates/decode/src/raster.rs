//! Everything but JPEG, by the `image` crate's decoders.

use super::color::{flatten, to_srgb};
use super::{DecodeError, DecodeOptions, Decoded, Format, check_size};
use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageResult, Limits};
use std::io::Cursor;

pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    options: &DecodeOptions,
) -> Result<Decoded, DecodeError> {
    let name = format!("{format:?}").to_uppercase();
    let broken = |e: &dyn std::fmt::Display| DecodeError::Broken(format!("{name}: {e}"));
    // The decoder would call it out of memory: the size of a PNG is told first.
    if let (Format::Png, Some([w0, w1, w2, w3, h0, h1, h2, h3])) = (format, bytes.get(16..24)) {
        let side = |bytes: [u8; 4]| u64::from(u32::from_be_bytes(bytes));
        check_size(
            side([*w0, *w1, *w2, *w3]),
            side([*h0, *h1, *h2, *h3]),
            options,
        )?;
    }
    // Limits guard what lies beside the pixels (metadata, intermediate frames); 16 bit RGBA is 8 bytes a pixel.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(
        options
            .max_pixels
            .saturating_mul(16)
            .saturating_add(64 << 20),
    );
    let reader = Cursor::new(bytes);
    let image = match format {
        Format::Png => finish(
            PngDecoder::with_limits(reader, limits.clone()),
            limits,
            options,
            &broken,
        )?,
        Format::Webp => finish(WebPDecoder::new(reader), limits, options, &broken)?,
        Format::Gif => finish(GifDecoder::new(reader), limits, options, &broken)?,
        Format::Bmp => finish(BmpDecoder::new(reader), limits, options, &broken)?,
        Format::Tiff => finish(TiffDecoder::new(reader), limits, options, &broken)?,
        #[cfg(feature = "avif")]
        Format::Avif => finish(
            image::codecs::avif::AvifDecoder::new(reader),
            limits,
            options,
            &broken,
        )?,
        #[cfg(not(feature = "avif"))]
        Format::Avif => {
            return Err(DecodeError::NotAPicture(
                "an AVIF picture: this build is without the feature `avif`; convert it to PNG"
                    .to_owned(),
            ));
        }
        Format::Jpeg => return Err(broken(&"has a decoder of its own")),
    };
    let is_lossless = match format {
        Format::Webp => bytes.windows(4).take(64).any(|w| w == b"VP8L"),
        Format::Avif | Format::Jpeg => false,
        _ => true,
    };
    Ok(Decoded {
        image,
        format,
        jpeg: None,
        is_lossless,
    })
}

fn finish(
    decoder: ImageResult<impl ImageDecoder>,
    limits: Limits,
    options: &DecodeOptions,
    broken: &dyn Fn(&dyn std::fmt::Display) -> DecodeError,
) -> Result<image::RgbImage, DecodeError> {
    let mut decoder = decoder.map_err(|e| broken(&e))?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), options)?;
    decoder.set_limits(limits).map_err(|e| broken(&e))?;
    let icc = decoder.icc_profile().ok().flatten();
    // A broken EXIF block is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|e| broken(&e))?;
    let mut image = DynamicImage::ImageRgb8(to_srgb(flatten(image, options.matte), icc.as_deref()));
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
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
    fn gray_and_deep_pictures_become_8_bit_rgb() {
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
        for colour in [[255, 0, 0, 255], [0, 0, 255, 255]] {
            encoder
                .encode_frame(image::Frame::new(image::RgbaImage::from_pixel(
                    8,
                    8,
                    Rgba(colour),
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
        assert!(error.to_string().contains("--max-pixels"));
    }

    /// Nine patches of 8 x 8 pixels.
    #[test]
    fn avif_is_decoded_or_the_way_out_is_told() {
        let bytes = include_bytes!("../tests/data/patches.avif");
        let decoded = decode(bytes, &DecodeOptions::default());
        if !cfg!(feature = "avif") {
            let message = decoded.unwrap_err().to_string();
            assert!(message.contains("feature `avif`"), "{message}");
            return;
        }
        let colours = [
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
        for (i, colour) in (0..).zip(colours) {
            let found = image.get_pixel(i % 3 * 8 + 4, i / 3 * 8 + 4).0;
            for (found, expected) in found.into_iter().zip(colour) {
                assert!(
                    found.abs_diff(expected) <= 6,
                    "patch {i}: {found}, drawn {expected}"
                );
            }
        }
        let cut = decode(&bytes[..bytes.len() - 40], &DecodeOptions::default());
        assert!(matches!(cut, Err(DecodeError::Broken(_))), "{cut:?}");
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
                    Err(DecodeError::Broken(_))
                ),
                "{format:?}"
            );
        }
    }
}
