//! Pictures in memory, and how they come out of files: by content, not by name.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::jpeg;

/// The largest decoded picture, against headers that claim 100,000 x 100,000 pixels.
const MAX_BYTES: u64 = 512 << 20;

/// A decoded picture: `u8`, rows from the top, `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Mirrors left and right.
    pub fn flip_horizontal(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.width * self.channels) {
            let (mut left, mut right) = (0, self.width - 1);
            while left < right {
                for c in 0..self.channels {
                    row.swap(left * self.channels + c, right * self.channels + c);
                }
                left += 1;
                right -= 1;
            }
        }
    }

    /// Writes the pixels as `[channels, height, width]` into `out`.
    ///
    /// # Panics
    /// When `out` is not as long as the picture.
    pub fn write_chw(&self, out: &mut [u8]) {
        assert_eq!(
            out.len(),
            self.pixels.len(),
            "write_chw: output of another size"
        );
        let plane = self.width * self.height;
        if let (3, Some((r, gb))) = (self.channels, out.split_at_mut_checked(plane)) {
            let (g, b) = gb.split_at_mut(plane);
            for (((pixel, r), g), b) in self.pixels.chunks_exact(3).zip(r).zip(g).zip(b) {
                (*r, *g, *b) = (pixel[0], pixel[1], pixel[2]);
            }
            return;
        }
        for (c, plane) in out.chunks_exact_mut(plane.max(1)).enumerate() {
            let values = self.pixels.iter().skip(c).step_by(self.channels);
            plane
                .iter_mut()
                .zip(values)
                .for_each(|(out, value)| *out = *value);
        }
    }

    /// The pixels as `[channels, height, width]`.
    pub fn to_chw(&self) -> Vec<u8> {
        let mut out = vec![0; self.pixels.len()];
        self.write_chw(&mut out);
        out
    }

    /// As RGB: gray is repeated, alpha is composited on white.
    pub fn into_rgb(self) -> Self {
        if self.channels == 3 {
            return self;
        }
        let over_white = |value: u8, alpha: u8| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        let pixels = match self.channels {
            1 => self.pixels.iter().flat_map(|&v| [v; 3]).collect(),
            2 => self
                .pixels
                .chunks_exact(2)
                .flat_map(|p| [over_white(p[0], p[1]); 3])
                .collect(),
            _ => self
                .pixels
                .chunks_exact(4)
                .flat_map(|p| [0, 1, 2].map(|c| over_white(p[c], p[3])))
                .collect(),
        };
        Self {
            channels: 3,
            pixels,
            ..self
        }
    }
}

/// What a file says about its picture before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// As in [`Image`], palettes expanded.
    pub channels: usize,
    /// Bits of a channel after expansion: 8, 16 or 32.
    pub bit_depth: usize,
}

impl Header {
    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

/// Decodes a picture. Palettes are expanded; 16 bit is cut to 8; of animations comes the first frame.
///
/// # Errors
/// A reason, without the name of the file: unknown format, damaged, or larger than 512 MiB.
pub fn decode_stored(bytes: &[u8]) -> Result<Image, String> {
    if is_png(bytes) {
        return decode_png(bytes);
    }
    if is_jpeg(bytes) {
        let stored = jpeg::decode_stored(bytes, MAX_BYTES).map_err(|e| e.to_string())?;
        return Ok(Image {
            width: stored.width,
            height: stored.height,
            channels: stored.channels,
            pixels: stored.pixels,
        });
    }
    let mut reader = reader(bytes)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| e.to_string())?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (channels, pixels) = match picture {
        DynamicImage::ImageLuma8(p) => (1, p.into_raw()),
        DynamicImage::ImageLumaA8(p) => (2, p.into_raw()),
        DynamicImage::ImageRgb8(p) => (3, p.into_raw()),
        DynamicImage::ImageRgba8(p) => (4, p.into_raw()),
        DynamicImage::ImageLuma16(_) => (1, picture.into_luma8().into_raw()),
        DynamicImage::ImageLumaA16(_) => (2, picture.into_luma_alpha8().into_raw()),
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

/// Reads size and channels from the start of a file; all of it is not needed, but works.
///
/// # Errors
/// A reason, without the name of the file.
pub fn read_header(bytes: &[u8]) -> Result<Header, String> {
    if is_png(bytes) {
        let reader = png_reader(bytes, png::Transformations::EXPAND)?;
        let (color, depth) = reader.output_color_type();
        return Ok(Header {
            width: reader.info().width as usize,
            height: reader.info().height as usize,
            channels: color.samples(),
            bit_depth: depth as usize,
        });
    }
    if is_jpeg(bytes) {
        let (width, height, channels) = jpeg::read_size(bytes).map_err(|e| e.to_string())?;
        return Ok(Header {
            width,
            height,
            channels,
            bit_depth: 8,
        });
    }
    let decoder = reader(bytes)?.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    Ok(Header {
        width: width as usize,
        height: height as usize,
        channels: usize::from(color.channel_count()),
        bit_depth: usize::from(color.bits_per_pixel() / u16::from(color.channel_count())),
    })
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG")
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| e.to_string())?;
    match reader.format() {
        Some(_) => Ok(reader),
        None => Err("no known picture format".to_owned()),
    }
}

type PngReader<'a> = png::Reader<Cursor<&'a [u8]>>;

fn png_reader(
    bytes: &[u8],
    transformations: png::Transformations,
) -> Result<PngReader<'_>, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(transformations);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(|e| e.to_string())
}

/// Without a detour over `DynamicImage`: stored PNGs are the layout of a training set.
fn decode_png(bytes: &[u8]) -> Result<Image, String> {
    let mut reader = png_reader(
        bytes,
        png::Transformations::EXPAND | png::Transformations::STRIP_16,
    )?;
    let (color, _) = reader.output_color_type();
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let n_bytes = reader
        .output_buffer_size()
        .filter(|&n| n as u64 <= MAX_BYTES);
    let n_bytes = n_bytes.ok_or_else(|| format!("{width} x {height} pixels are too many"))?;
    let mut pixels = vec![0; n_bytes];
    reader.next_frame(&mut pixels).map_err(|e| e.to_string())?;
    Ok(Image {
        width,
        height,
        channels: color.samples(),
        pixels,
    })
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn picture(channels: usize) -> Image {
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
            let original = picture(channels);
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
        let original = picture(3);
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
        assert_eq!(decode_stored(b"").unwrap_err(), "the file is empty");
        assert_eq!(
            decode_stored(b"<html>").unwrap_err(),
            "no known picture format"
        );
        let png = png_of(&picture(3));
        assert!(decode_stored(&png[..png.len() / 2]).is_err());
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
