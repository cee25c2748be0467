//! Fuzz tests with damaged images of every format.

mod common;

use std::io::Cursor;

use common::{chunk, deflate};
use decode::{DecodeOptions, decode, decode_with_alpha, memory_needed, read_header};
use image::{DynamicImage, ImageFormat, RgbImage};
use test_support::fuzz::{Counting, fuzz, peak_of};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAX_PIXELS: u64 = 1 << 20;

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, format)
        .expect("the format has these colors");
    bytes.into_inner()
}

fn palette_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 16, 9);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![1, 2, 3, 250, 251, 252, 90, 9, 200, 0, 0, 0]);
    encoder.set_trns(vec![255, 0]);
    let data: Vec<u8> = (0..36u8).map(|i| i.wrapping_mul(37)).collect();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&data)
        .unwrap();
    bytes
}

/// A small PNG with a chunk that expands to 200 MB.
fn unfolding_png(kind: &[u8; 4], name: &[u8]) -> Vec<u8> {
    let zeros = deflate(&vec![0; 200 << 20], true);
    let mut png = palette_png();
    let pixels = png.windows(4).position(|kind| kind == b"IDAT").unwrap() - 4;
    png.splice(pixels..pixels, chunk(kind, &[name, &zeros].concat()));
    png
}

/// This must be one test: allocations of other tests running at the same time would be counted.
#[test]
fn damaged_images_are_refused_or_decoded() {
    for (kind, name) in [
        (b"iCCP", &b"icc\0\0"[..]),
        (b"zTXt", b"Raw profile type exif\0\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0"),
    ] {
        let png = unfolding_png(kind, name);
        let (image, peak) = peak_of(|| decode(&png, &DecodeOptions::default()));
        assert_eq!(image.unwrap().image.dimensions(), (16, 9));
        assert!(
            peak < 16 << 20,
            "{peak} bytes for {}",
            String::from_utf8_lossy(kind)
        );
    }
    let rgb = DynamicImage::ImageRgb8(RgbImage::from_fn(40, 24, |x, y| {
        image::Rgb([(x * 6) as u8, (y * 10) as u8, (x * y) as u8])
    }));
    let mut seeds = vec![palette_png(), include_bytes!("data/ycck.jpg").to_vec()];
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        seeds.push(encoded(&rgb, format));
    }
    seeds.push(encoded(
        &DynamicImage::ImageLuma8(rgb.to_luma8()),
        ImageFormat::Jpeg,
    ));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        seeds.push(encoded(&DynamicImage::ImageRgba16(rgb.to_rgba16()), format));
    }
    seeds.push(encoded(
        &DynamicImage::ImageLumaA8(rgb.to_luma_alpha8()),
        ImageFormat::Png,
    ));
    seeds.retain(|seed| decode(seed, &DecodeOptions::default()).is_ok());
    assert!(seeds.len() > 10);
    let tokens: [&[u8]; 14] = [
        b"\xff\xd9",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xda",
        b"\xff\xdd",
        b"\xff\xd0",
        b"IDAT",
        b"IEND",
        b"iCCP",
        b"tRNS",
        b"ALPH",
        b"VP8L",
        b"\x00\x00\x00\x00",
        b"\x2a\x00",
    ];
    let options = DecodeOptions {
        max_pixels: MAX_PIXELS,
        ..DecodeOptions::default()
    };
    // Two copies in 16-bit RGBA, tables, and data beside the pixels.
    let most_memory = |len: usize| MAX_PIXELS as usize * 32 + 40 * len + (128 << 20);
    fuzz("images", &seeds, &tokens, most_memory, |bytes| {
        // `read_header` has no other limit on pixels than that of the default options.
        if memory_needed(bytes, &DecodeOptions::default()) < 64 << 20 {
            let _ = read_header(bytes);
        }
        memory_needed(bytes, &options);
        let decoded = decode(bytes, &options);
        let with_alpha = decode_with_alpha(bytes, &options);
        assert_eq!(decoded.is_ok(), with_alpha.is_ok(), "one verdict for all");
        decoded.is_ok()
    });
}
