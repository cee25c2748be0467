//! Encodes images as files.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, ImageResult, RgbImage, Rgba,
    RgbaImage,
};

/// File format in which an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Png,
    /// 16 bits per channel.
    Png16,
    /// With rounded corners that are transparent.
    PngAlpha,
    /// The quality, 1 to 100.
    Jpeg(u8),
    WebP,
    Bmp,
    Gif,
}

impl Encoding {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png | Self::Png16 | Self::PngAlpha => "png",
            Self::Jpeg(_) => "jpg",
            Self::WebP => "webp",
            Self::Bmp => "bmp",
            Self::Gif => "gif",
        }
    }

    /// The image as the bytes of a file.
    pub fn encode(self, image: &RgbImage) -> ImageResult<Vec<u8>> {
        let (width, height) = image.dimensions();
        let mut bytes = Vec::new();
        match self {
            Self::Png => png(&mut bytes, image, (width, height), ExtendedColorType::Rgb8)?,
            Self::Png16 => {
                // Native endian, as the encoder expects.
                let wide: Vec<u8> = image
                    .iter()
                    .flat_map(|&v| (u16::from(v) * 257).to_ne_bytes())
                    .collect();
                png(&mut bytes, &wide, (width, height), ExtendedColorType::Rgb16)?;
            }
            Self::PngAlpha => {
                let rgba = rounded_corners(image);
                png(&mut bytes, &rgba, (width, height), ExtendedColorType::Rgba8)?;
            }
            Self::Jpeg(quality) => {
                JpegEncoder::new_with_quality(&mut bytes, quality).write_image(
                    image,
                    width,
                    height,
                    ExtendedColorType::Rgb8,
                )?;
            }
            Self::WebP | Self::Bmp | Self::Gif => {
                let format = match self {
                    Self::WebP => ImageFormat::WebP,
                    Self::Bmp => ImageFormat::Bmp,
                    _ => ImageFormat::Gif,
                };
                DynamicImage::ImageRgb8(image.clone())
                    .write_to(&mut Cursor::new(&mut bytes), format)?;
            }
        }
        Ok(bytes)
    }
}

fn png(
    bytes: &mut Vec<u8>,
    pixels: &[u8],
    (width, height): (u32, u32),
    color: ExtendedColorType,
) -> ImageResult<()> {
    PngEncoder::new_with_quality(bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels, width, height, color)
}

fn rounded_corners(image: &RgbImage) -> RgbaImage {
    let (width, height) = image.dimensions();
    let radius = f64::from(width.min(height)) * 0.12;
    RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = image.get_pixel(x, y).0;
        let beyond = |v: u32, side: u32| {
            let v = f64::from(v) + 0.5;
            (radius - v).max(v - f64::from(side) + radius).max(0.0)
        };
        let (dx, dy) = (beyond(x, width), beyond(y, height));
        let outside = (dx * dx + dy * dy).sqrt() - radius + 0.5;
        Rgba([r, g, b, 255 - (outside.clamp(0.0, 1.0) * 255.0) as u8])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_reads_back() {
        let image = crate::face(4, 64);
        for encoding in [
            Encoding::Png,
            Encoding::Png16,
            Encoding::PngAlpha,
            Encoding::Jpeg(90),
            Encoding::WebP,
            Encoding::Bmp,
            Encoding::Gif,
        ] {
            let bytes = encoding.encode(&image).unwrap();
            let back = image::load_from_memory(&bytes).unwrap().into_rgb8();
            let error: u64 = back
                .iter()
                .zip(image.iter())
                .map(|(&a, &b)| u64::from(a.abs_diff(b)))
                .sum();
            let most = if matches!(encoding, Encoding::Jpeg(_) | Encoding::Gif) {
                6
            } else {
                0
            };
            assert!(error / back.len() as u64 <= most, "{encoding:?}: {error}");
        }
    }
}
