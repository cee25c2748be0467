//! Encodes PNGs for dataset zips: uncompressed by default, because such PNGs load several times faster.

use png::{BitDepth, ColorType, DeflateCompression, Filter};

use crate::error::Error;
use decode::Image;

/// A PNG file and the shape of its image; made by [`encode_png`], often in parallel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedImage {
    bytes: Vec<u8>,
    shape: [usize; 3],
}

impl EncodedImage {
    /// The bytes of the PNG file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Wraps a PNG file that [`encode_png`] made, without decoding its pixels.
    ///
    /// # Errors
    /// [`Error::Write`] when the header is not that of a PNG of 8 bits per channel.
    pub fn from_png(bytes: Vec<u8>) -> Result<Self, Error> {
        let header = decode::read_header(&bytes).map_err(|e| Error::Write(e.to_string()))?;
        if decode::Format::sniff(&bytes) != Some(decode::Format::Png) || header.bit_depth != 8 {
            return Err(Error::Write(
                "is not a PNG of 8 bits per channel".to_owned(),
            ));
        }
        Ok(Self {
            shape: header.shape(),
            bytes,
        })
    }

    /// The bytes of the PNG file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Shape of the image, `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }
}

/// Encodes an image as PNG. Level 0 does not compress, 1 compresses fast, 9 compresses best.
///
/// # Errors
/// When the image is empty, its pixels do not fit its size, or the level exceeds 9.
pub fn encode_png(image: &Image, level: u8) -> Result<EncodedImage, Error> {
    let refuse = |reason: String| Error::Write(reason);
    let [channels, height, width] = image.shape();
    let color = match channels {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        4 => ColorType::Rgba,
        _ => return Err(refuse(format!("an image with {channels} channels"))),
    };
    if image.pixels.len() != channels * height * width {
        return Err(refuse(format!(
            "{} values are no {width} x {height} image with {channels} channels",
            image.pixels.len()
        )));
    }
    let (compression, filter) = match level {
        0 => (DeflateCompression::NoCompression, Filter::NoFilter),
        1 => (DeflateCompression::FdeflateUltraFast, Filter::Up),
        2..=9 => (DeflateCompression::Level(level), Filter::Adaptive),
        _ => return Err(refuse(format!("PNG level {level} is not in 0 to 9"))),
    };
    let side = |n: usize| u32::try_from(n).map_err(|_| refuse(format!("{n} pixels are too many")));
    let mut bytes = Vec::with_capacity(image.pixels.len() + height + 1024);
    let mut encoder = png::Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_deflate_compression(compression);
    encoder.set_filter(filter);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(&image.pixels)?;
            writer.finish()
        })
        .map_err(|e| refuse(e.to_string()))?;
    Ok(EncodedImage {
        bytes,
        shape: image.shape(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_image_comes_back(
            (channels, height, width, level) in (1..=4_usize, 1..20_usize, 1..20_usize, 0..=9_u8),
            seed: u32,
        ) {
            let mut random = rng::RandomState::new(seed);
            let pixels = (0..channels * height * width).map(|_| random.randint(0, 256) as u8).collect();
            let image = Image { width, height, channels, pixels };
            let encoded = encode_png(&image, level).unwrap();
            prop_assert_eq!(decode::decode_stored(encoded.bytes()).unwrap(), image);
            prop_assert_eq!(&EncodedImage::from_png(encoded.bytes().to_vec()).unwrap(), &encoded);
        }
    }

    #[test]
    fn impossible_images_are_refused() {
        let image = |width, channels, n| Image {
            width,
            height: 1,
            channels,
            pixels: vec![0; n],
        };
        for (bad, level) in [
            (image(2, 3, 5), 0),
            (image(2, 5, 10), 0),
            (image(0, 3, 0), 0),
            (image(1, 1, 1), 10),
        ] {
            assert!(encode_png(&bad, level).is_err(), "{bad:?} {level}");
        }
    }
}
