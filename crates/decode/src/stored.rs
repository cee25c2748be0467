//! Decoding without conversion: orientation, color space, gray and alpha stay as stored in the file.

use image::DynamicImage;

use crate::{
    DecodeError, DecodeOptions, Format, Header, Image, MAX_PIXELS, check_size, format_of, jpeg,
    raster, read_raster,
};

/// Options of decoding here: the default limit on pixels, 100 million. The matte is not used, as alpha is kept.
const OPTIONS: DecodeOptions = DecodeOptions {
    max_pixels: MAX_PIXELS,
    matte: [255; 3],
};

/// Decodes an image as stored in its file: orientation and ICC profile are not applied, gray and alpha are kept.
///
/// Palettes are expanded. Of 16-bit channels the upper 8 bits are kept. Of an animation the first frame is decoded.
///
/// # Errors
/// Those of [`decode`](crate::decode) with its default options, for the same files.
pub fn decode_stored(bytes: &[u8]) -> Result<Image, DecodeError> {
    let format = format_of(bytes)?;
    if format == Format::Jpeg {
        let stored = jpeg::decode_stored(bytes, &OPTIONS)?;
        return Ok(Image {
            width: stored.width,
            height: stored.height,
            channels: stored.channels,
            pixels: stored.pixels,
        });
    }
    let raster = read_raster(bytes, format, &OPTIONS)?.image;
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let cut = |deep: Vec<u16>| deep.into_iter().map(|v| (v >> 8) as u8).collect();
    let (channels, pixels) = match raster {
        DynamicImage::ImageLuma8(p) => (1, p.into_raw()),
        DynamicImage::ImageLumaA8(p) => (2, p.into_raw()),
        DynamicImage::ImageRgb8(p) => (3, p.into_raw()),
        DynamicImage::ImageRgba8(p) => (4, p.into_raw()),
        DynamicImage::ImageLuma16(p) => (1, cut(p.into_raw())),
        DynamicImage::ImageLumaA16(p) => (2, cut(p.into_raw())),
        DynamicImage::ImageRgb16(p) => (3, cut(p.into_raw())),
        DynamicImage::ImageRgba16(p) => (4, cut(p.into_raw())),
        other if other.color().has_alpha() => (4, other.into_rgba8().into_raw()),
        other => (3, other.into_rgb8().into_raw()),
    };
    Ok(Image {
        width,
        height,
        channels,
        pixels,
    })
}

/// Reads the size, channels and bit depth of an image. For JPEG, PNG, WebP and most TIFFs, `bytes` may be only the
/// start of the file, up to the end of its headers; for GIF, BMP and AVIF it must be the whole file.
///
/// # Errors
/// Those of [`decode`](crate::decode) that can be found in `bytes`.
pub fn read_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    match format_of(bytes)? {
        Format::Jpeg => {
            let (width, height, channels) = jpeg::read_size(bytes)?;
            check_size(width as u64, height as u64, &OPTIONS)?;
            Ok(Header {
                width,
                height,
                channels,
                bit_depth: 8,
            })
        }
        format => raster::header(bytes, format, &OPTIONS),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn image(channels: usize) -> Image {
        let pixels = (0..6 * channels).map(|i| (i * 37 % 251) as u8).collect();
        Image {
            width: 3,
            height: 2,
            channels,
            pixels,
        }
    }

    #[test]
    fn chw_and_flip_follow_the_definition() {
        for channels in 1..=4 {
            let original = image(channels);
            let mut flipped = original.clone();
            flipped.flip_horizontal();
            let (a, b) = (original.to_chw(), flipped.to_chw());
            for c in 0..channels {
                for y in 0..2 {
                    for x in 0..3 {
                        let value = original.pixels[(y * 3 + x) * channels + c];
                        assert_eq!(a[(c * 2 + y) * 3 + x], value);
                        assert_eq!(b[(c * 2 + y) * 3 + 2 - x], value);
                    }
                }
            }
        }
    }

    #[test]
    fn sixteen_bits_and_palettes_become_eight_bit_channels() {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&[0x34, 0x12, 0xff, 0xfe], 2, 1, ExtendedColorType::L16)
            .unwrap();
        assert_eq!(read_header(&bytes).unwrap().bit_depth, 16);
        let decoded = decode_stored(&bytes).unwrap();
        assert_eq!(
            (decoded.shape(), decoded.pixels),
            ([1, 1, 2], vec![0x12, 0xfe])
        );

        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::One);
        encoder.set_palette(vec![1, 2, 3, 250, 251, 252]);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&[0b0100_0000])
            .unwrap();
        assert_eq!(read_header(&bytes).unwrap().shape(), [3, 1, 2]);
        assert_eq!(
            decode_stored(&bytes).unwrap().pixels,
            [1, 2, 3, 250, 251, 252]
        );
    }

    #[test]
    fn formats_are_told_by_content() {
        let original = image(3);
        for format in [
            image::ImageFormat::Bmp,
            image::ImageFormat::WebP,
            image::ImageFormat::Tiff,
        ] {
            let mut bytes = Cursor::new(Vec::new());
            image::write_buffer_with_format(
                &mut bytes,
                &original.pixels,
                3,
                2,
                ExtendedColorType::Rgb8,
                format,
            )
            .unwrap();
            assert_eq!(
                decode_stored(bytes.get_ref()).unwrap(),
                original,
                "{format:?}"
            );
            let header = read_header(bytes.get_ref()).unwrap();
            assert_eq!((header.shape(), header.bit_depth), ([3, 2, 3], 8));
        }
    }

    fn png_of(image: &Image) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&image.pixels, 3, 2, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    #[test]
    fn damage_is_a_reason() {
        assert_eq!(decode_stored(b"").unwrap_err(), DecodeError::Empty);
        assert_eq!(
            decode_stored(b"<html>").unwrap_err().to_string(),
            "a web page, not an image (a download that failed?)"
        );
        let png = png_of(&image(3));
        assert!(matches!(
            decode_stored(&png[..png.len() / 2]),
            Err(DecodeError::Truncated(_))
        ));
        // A header that claims 60,000 x 60,000 pixels.
        let mut bomb = png;
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        assert!(decode_stored(&bomb).is_err());
    }

    #[test]
    fn alpha_is_composited_on_white() {
        let clear = Image {
            width: 2,
            height: 1,
            channels: 4,
            pixels: vec![10, 20, 30, 0, 10, 20, 30, 255],
        };
        assert_eq!(clear.into_rgb().pixels, [255, 255, 255, 10, 20, 30]);
        let gray = Image {
            width: 1,
            height: 1,
            channels: 2,
            pixels: vec![0, 128],
        };
        assert_eq!(gray.into_rgb().pixels, [127; 3]);
    }
}
