//! Bytes of odd, broken and hostile image files.

use crate::common::{drawing, encode, encode_any, jpeg};
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::{DynamicImage, GrayImage, ImageFormat, LumaA, Rgb, RgbImage, Rgba};

/// A drawing as JPEG.
pub fn photo(seed: u64) -> Vec<u8> {
    jpeg(&drawing(seed, 200), 90)
}

/// A drawing in the given format.
pub fn stored(seed: u64, format: ImageFormat) -> Vec<u8> {
    encode(&drawing(seed, 150), format)
}

/// The first half of a file.
pub fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// A larger drawing, to be cut short.
pub fn large(format: ImageFormat) -> Vec<u8> {
    encode(&drawing(2, 200), format)
}

pub fn png_with_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(&drawing(1, 64), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Inserts a segment after the start-of-image marker of a JPEG.
pub fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, marker]);
    bytes.extend((payload.len() as u16 + 2).to_be_bytes());
    bytes.extend(payload);
    bytes.extend(&jpeg[2..]);
    bytes
}

pub fn exif(orientation: u8) -> Vec<u8> {
    let mut payload = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    payload.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    payload
}

pub fn palette_png() -> Vec<u8> {
    let (mut bytes, side) = (Vec::new(), 128u32);
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(
        (0..256u32)
            .flat_map(|i| [(i * 3) as u8, (i * 7) as u8, 255 - i as u8])
            .collect::<Vec<_>>(),
    );
    encoder.set_trns((0..256u32).map(|i| (i * 5) as u8).collect::<Vec<_>>());
    let data: Vec<u8> = (0..side * side)
        .map(|i| ((i % side) * (i / side) / 60) as u8)
        .collect();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&data)
        .unwrap();
    bytes
}

pub fn gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for seed in [40, 41] {
        let frame = DynamicImage::ImageRgb8(drawing(seed, 96)).resize_exact(
            96,
            96,
            image::imageops::FilterType::Triangle,
        );
        encoder
            .encode_frame(image::Frame::new(frame.to_rgba8()))
            .unwrap();
    }
    drop(encoder);
    bytes
}

pub fn apng() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 96, 96);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for seed in [50, 51] {
        let frame = DynamicImage::ImageRgb8(drawing(seed, 96)).resize_exact(
            96,
            96,
            image::imageops::FilterType::Triangle,
        );
        writer.write_image_data(frame.to_rgb8().as_raw()).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// A JPEG with a segment that holds an ICC profile.
pub fn with_icc(seed: u64, profile: &[u8]) -> Vec<u8> {
    let payload = [b"ICC_PROFILE\0\x01\x01", profile].concat();
    with_segment(&photo(seed), 0xe2, &payload)
}

pub fn display_p3() -> Vec<u8> {
    moxcms::ColorProfile::new_display_p3().encode().unwrap()
}

pub fn deep_png() -> Vec<u8> {
    let deep = DynamicImage::ImageRgb8(drawing(12, 150)).to_rgb16();
    encode_any(&DynamicImage::ImageRgb16(deep), ImageFormat::Png)
}

pub fn transparent_png() -> Vec<u8> {
    let image = drawing(2, 200);
    let cut_out = image::RgbaImage::from_fn(150, 150, |x, y| {
        let Rgb([r, g, b]) = *image.get_pixel(x, y);
        Rgba([r, g, b, if (x + y) % 50 < 30 { 255 } else { 0 }])
    });
    encode_any(&DynamicImage::ImageRgba8(cut_out), ImageFormat::Png)
}

/// A PNG with one byte of its pixel data changed.
pub fn flipped_png() -> Vec<u8> {
    let mut bytes = large(ImageFormat::Png);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    bytes
}

/// A JPEG whose header claims 65,500 x 65,500 pixels.
pub fn huge_jpeg() -> Vec<u8> {
    let mut bytes = photo(1);
    let frame = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    bytes
}

pub fn noise() -> Vec<u8> {
    (0..4000u32).map(|i| (i * i % 251) as u8).collect()
}

pub fn flat(side: u32, color: [u8; 3]) -> Vec<u8> {
    encode(
        &RgbImage::from_pixel(side, side, Rgb(color)),
        ImageFormat::Png,
    )
}

pub fn strip() -> Vec<u8> {
    let strip = RgbImage::from_fn(3, 900, |x, y| Rgb([(x * 80) as u8, y as u8, 7]));
    encode(&strip, ImageFormat::Png)
}

pub fn page_of_text() -> Vec<u8> {
    let glyphs: Vec<[u8; 8]> = ('a'..='z').filter_map(|c| BASIC_FONTS.get(c)).collect();
    let page = RgbImage::from_fn(400, 500, |x, y| {
        let glyph = glyphs[(x / 8 + y / 11 * 7) as usize % glyphs.len()];
        let is_ink = y % 11 < 8 && glyph[(y % 11) as usize] >> (x % 8) & 1 == 1;
        Rgb(if is_ink {
            [30, 20, 60]
        } else {
            [250, 246, 235]
        })
    });
    jpeg(&page, 85)
}

fn gray() -> GrayImage {
    DynamicImage::ImageRgb8(drawing(13, 200)).to_luma8()
}

pub fn gray_as_rgb() -> Vec<u8> {
    jpeg(&DynamicImage::ImageLuma8(gray()).to_rgb8(), 80)
}

pub fn gray_png() -> Vec<u8> {
    encode_any(&DynamicImage::ImageLuma8(gray()), ImageFormat::Png)
}

pub fn gray_alpha_png() -> Vec<u8> {
    let gray = gray();
    let image = image::ImageBuffer::from_fn(150, 150, |x, y| LumaA([gray.get_pixel(x, y)[0], 200]));
    encode_any(&DynamicImage::ImageLumaA8(image), ImageFormat::Png)
}

pub fn sepia() -> Vec<u8> {
    let gray = gray();
    let sepia = RgbImage::from_fn(gray.width(), gray.height(), |x, y| {
        let v = f32::from(gray.get_pixel(x, y)[0]);
        Rgb([
            (v * 0.8 + 50.0) as u8,
            (v * 0.75 + 35.0) as u8,
            (v * 0.65 + 15.0) as u8,
        ])
    });
    jpeg(&sepia, 85)
}
