//! Tests of PNG, GIF and WebP files as they occur in practice: unfinished, from Apple's tools, with profiles, with odd
//! sizes.

mod common;

use common::{assert_near, both, chunk, deflate, exif, is_truncated, on_white, refused, scene};
use decode::{DecodeError, DecodeOptions, decode, decode_stored, decode_with_alpha, read_header};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use std::io::Cursor;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG of the scene with two `IDAT` chunks, and the given chunks before and after them.
fn png(channels: usize, pixels: &[u8], before: &[Vec<u8>], after: &[Vec<u8>]) -> Vec<u8> {
    let is_apple = before.first().is_some_and(|chunk| chunk[4..8] == *b"CgBI");
    let width = scene().width() as usize;
    let rows: Vec<u8> = pixels
        .chunks(width * channels)
        .flat_map(|row| [&[0], row].concat())
        .collect();
    let data = deflate(&rows, !is_apple);
    let (first, second) = data.split_at(data.len() / 2);
    let mut header = [scene().width(), scene().height()]
        .map(u32::to_be_bytes)
        .concat();
    header.extend([8, [0, 4, 2, 6][channels - 1], 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    if is_apple {
        out.extend(&before[0]);
    }
    out.extend(chunk(b"IHDR", &header));
    out.extend(before.iter().skip(usize::from(is_apple)).flatten());
    out.extend(chunk(b"IDAT", first));
    out.extend(chunk(b"IDAT", second));
    out.extend(after.iter().flatten());
    out.extend(chunk(b"IEND", &[]));
    out
}

fn plain() -> Vec<u8> {
    png(3, scene().as_raw(), &[], &[])
}

#[test]
fn a_png_is_good_as_soon_as_its_pixels_are_there() {
    let whole = plain();
    assert_eq!(both(&whole).unwrap(), scene());
    // Without `IEND`, without the checksum of the last `IDAT`, and without the checksum of the zlib stream.
    for missing in [12, 14, 16, 20] {
        let cut = &whole[..whole.len() - missing];
        assert_eq!(both(cut).unwrap(), scene(), "{missing} bytes missing");
    }
    let preallocated = [&whole[..whole.len() - 12], &[0; 500]].concat();
    assert_eq!(both(&preallocated).unwrap(), scene());
    for length in 8..whole.len() - 24 {
        assert!(
            is_truncated(&whole[..length]),
            "{length} of {}",
            whole.len()
        );
    }
    let mut zeros = whole.clone();
    zeros[whole.len() * 7 / 10..].fill(0);
    assert!(is_truncated(&zeros));
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    assert!(matches!(both(&damaged), Err(DecodeError::Broken(_))));
    assert_eq!(
        both(&[whole, b"more".repeat(99)].concat()).unwrap(),
        scene()
    );
}

/// As `pngcrush -iphone` writes it: no zlib header, blue first, colors premultiplied with alpha.
#[test]
fn a_png_of_apple_is_decoded() {
    let mark = || vec![chunk(b"CgBI", b"\x50\x00\x20\x06")];
    let bgr: Vec<u8> = scene().pixels().flat_map(|p| [p[2], p[1], p[0]]).collect();
    assert_eq!(both(&png(3, &bgr, &mark(), &[])).unwrap(), scene());
    let alpha = |x: u32| (x * 12) as u8;
    let bgra: Vec<u8> = scene()
        .enumerate_pixels()
        .flat_map(|(x, _, p)| {
            let times = |v: u8| ((u32::from(v) * u32::from(alpha(x)) + 127) / 255) as u8;
            [times(p[2]), times(p[1]), times(p[0]), alpha(x)]
        })
        .collect();
    let file = png(4, &bgra, &mark(), &[]);
    let expected = RgbImage::from_fn(21, 13, |x, y| {
        Rgb(on_white(scene().get_pixel(x, y).0, alpha(x)))
    });
    assert_near(&both(&file).unwrap(), &expected, 1, "with alpha");
    assert_eq!(read_header(&file).unwrap().shape(), [4, 13, 21]);
    assert!(is_truncated(&file[..file.len() / 2]));
}

#[test]
fn orientation_of_a_png_is_found_wherever_it_stands() {
    let turned = image::imageops::rotate90(&scene());
    let hex: String = [b"Exif\0\0".to_vec(), exif(3, 6)]
        .concat()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let raw = format!("\nexif\n{:8}\n{hex}\n", hex.len() / 2);
    let raw = [
        &b"Raw profile type exif\0\0"[..],
        &deflate(raw.as_bytes(), true),
    ]
    .concat();
    let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"6\"/>";
    for (name, before, after) in [
        ("short", vec![chunk(b"eXIf", &exif(3, 6))], vec![]),
        ("long", vec![chunk(b"eXIf", &exif(4, 6))], vec![]),
        (
            "behind the pixels",
            vec![],
            vec![chunk(b"eXIf", &exif(4, 6))],
        ),
        ("text of ImageMagick", vec![chunk(b"zTXt", &raw)], vec![]),
        ("XMP", vec![chunk(b"iTXt", xmp)], vec![]),
    ] {
        let file = png(3, scene().as_raw(), &before, &after);
        let decoded = decode(&file, &DecodeOptions::default()).unwrap();
        assert_eq!(decoded.image, turned, "{name}");
        // `decode_stored`, which datasets use, does not apply the orientation.
        assert_eq!(
            decode_stored(&file).unwrap().pixels,
            scene().into_raw(),
            "{name}"
        );
    }
}

/// Expected colors are those of LittleCMS 2 (relative colorimetric, Adobe RGB to sRGB), then composited on white.
#[test]
fn colors_are_converted_before_alpha_is_laid_on_white() {
    let colors = [
        [200, 80, 40],
        [90, 180, 110],
        [40, 60, 200],
        [128, 128, 128],
    ];
    let converted = [[230, 79, 32], [0, 181, 106], [21, 57, 205], [129, 129, 129]];
    let alphas = [255, 128, 64, 200];
    let icc = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let profile = [&b"Adobe RGB\0\0"[..], &deflate(&icc, true)].concat();
    let (mut header, mut rows) = ([4u32, 1].map(u32::to_be_bytes).concat(), vec![0]);
    header.extend([8, 6, 0, 0, 0]);
    for ([r, g, b], alpha) in colors.into_iter().zip(alphas) {
        rows.extend([r, g, b, alpha]);
    }
    let file = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"iCCP", &profile),
        chunk(b"IDAT", &deflate(&rows, true)),
        chunk(b"IEND", &[]),
    ]
    .concat();
    let found = both(&file).unwrap();
    for ((pixel, color), alpha) in found.pixels().zip(converted).zip(alphas) {
        for (found, expected) in pixel.0.into_iter().zip(on_white(color, alpha)) {
            assert!(found.abs_diff(expected) <= 2, "{pixel:?} for {color:?}");
        }
    }
    let kept = decode_with_alpha(&file, &DecodeOptions::default())
        .unwrap()
        .into_rgba8();
    for ((pixel, color), alpha) in kept.pixels().zip(converted).zip(alphas) {
        assert_eq!(pixel[3], alpha);
        assert!(
            (0..3).all(|c| pixel[c].abs_diff(color[c]) <= 2),
            "{pixel:?} for {color:?}"
        );
    }
}

#[test]
fn a_gif_without_transparent_pixels_has_no_alpha() {
    let gif = encode(&DynamicImage::ImageRgb8(scene()), ImageFormat::Gif);
    let stored = decode_stored(&gif).unwrap();
    assert_eq!(stored.channels, 3);
    assert_eq!(read_header(&gif).unwrap().channels, 3);
    let mut clear = DynamicImage::ImageRgb8(scene()).into_rgba8();
    clear.put_pixel(3, 3, image::Rgba([0; 4]));
    let gif = encode(&DynamicImage::ImageRgba8(clear), ImageFormat::Gif);
    assert_eq!(decode_stored(&gif).unwrap().channels, 4);
    assert_eq!(both(&gif).unwrap().get_pixel(3, 3).0, [255; 3]);
}

#[test]
fn the_screen_of_a_gif_grows_to_its_first_frame() {
    let gif = encode(&DynamicImage::ImageRgb8(scene()), ImageFormat::Gif);
    let expected = both(&gif).unwrap();
    for (width, height) in [(0u16, 0u16), (0, 13), (21, 0), (5, 5)] {
        let mut small = gif.clone();
        small[6..8].copy_from_slice(&width.to_le_bytes());
        small[8..10].copy_from_slice(&height.to_le_bytes());
        assert_eq!(both(&small).unwrap(), expected, "{width} x {height}");
    }
    let mut large = gif.clone();
    large[6..8].copy_from_slice(&30u16.to_le_bytes());
    let found = both(&large).unwrap();
    assert_eq!(found.dimensions(), (30, 13));
    assert_eq!(found.get_pixel(29, 0).0, [255; 3]);
    let mut huge = gif;
    huge[6..10].fill(0xff);
    assert!(matches!(both(&huge), Err(DecodeError::TooLarge { .. })));
}

/// An image of noise: its compressed data have no run of zeros, and no part that could be missing unnoticed.
fn noisy() -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(40, 40, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8, (state >> 16) as u8 & 0xf0, 77])
    })
}

#[test]
fn every_cut_of_every_format_is_truncated() {
    let image = DynamicImage::ImageRgb8(noisy());
    for (format, n_needless) in [
        (ImageFormat::Gif, 2),
        (ImageFormat::WebP, 0),
        (ImageFormat::Bmp, 0),
    ] {
        let whole = encode(&image, format);
        both(&whole).unwrap();
        for length in 5..whole.len() - n_needless - 2 {
            assert!(
                is_truncated(&whole[..length]),
                "{format:?}: {length} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_webp_filled_up_with_zeros_is_truncated_and_a_flat_one_good() {
    // Small values are frequent and so have short codes, as in real images.
    let noise = noisy();
    let image = RgbImage::from_fn(90, 90, |x, y| {
        let noise = noise.get_pixel(x % 40, y % 40).0.map(u32::from);
        Rgb([(noise[0] * noise[1] / 256) as u8, (x * y / 90) as u8, 3])
    });
    let whole = encode(&DynamicImage::ImageRgb8(image), ImageFormat::WebP);
    let mut zeros = whole.clone();
    zeros[whole.len() * 6 / 10..].fill(0);
    assert!(refused(&zeros).contains("zeros"));
    let flat = RgbaImage::from_pixel(700, 700, image::Rgba([0, 0, 0, 255]));
    let flat = encode(&DynamicImage::ImageRgba8(flat), ImageFormat::WebP);
    assert_eq!(both(&flat).unwrap(), RgbImage::new(700, 700));
}

#[test]
fn files_that_are_no_images_are_named_alike_by_all() {
    for (bytes, words) in [
        (&b""[..], "empty"),
        (&[0; 900], "zeros"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "git lfs pull",
        ),
        (b"{\"error\": 404}", "an error message of a server"),
        (b"{\"posts\": []}", "JSON"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIC"),
    ] {
        let told = refused(bytes);
        assert!(told.contains(words), "{told}");
        assert_eq!(read_header(bytes).unwrap_err().to_string(), told);
    }
}

/// A PNG whose chunks are complete, with `data` as the compressed data.
fn png_with_data(data: &[u8]) -> Vec<u8> {
    let whole = plain();
    let head = &whole[..33];
    [head, &chunk(b"IDAT", data), &chunk(b"IEND", &[])].concat()
}

#[test]
fn compressed_data_that_end_early_in_whole_chunks_are_truncated() {
    let rows: Vec<u8> = scene()
        .as_raw()
        .chunks(21 * 3)
        .flat_map(|row| [&[0], row].concat())
        .collect();
    let data = deflate(&rows, true);
    assert_eq!(both(&png_with_data(&data)).unwrap(), scene());
    for length in [1, 5, data.len() / 2, data.len() * 9 / 10] {
        let cut = png_with_data(&data[..length]);
        assert!(is_truncated(&cut), "PNG, {length} bytes of data");
    }
    // The zlib stream is complete, but has fewer rows.
    for n_rows in [0, 1, 6, 12] {
        let cut = png_with_data(&deflate(&rows[..n_rows * 64], true));
        assert!(is_truncated(&cut), "PNG, {n_rows} rows");
    }

    let gif = encode(&DynamicImage::ImageRgb8(noisy()), ImageFormat::Gif);
    // Find the data blocks of the frame; the last is followed by an empty block and the trailer.
    let start = 13
        + if gif[10] & 0x80 != 0 {
            3 << ((gif[10] & 7) + 1)
        } else {
            0
        };
    let mut at = start;
    while gif[at] == 0x21 {
        at += 2;
        while gif[at] != 0 {
            at += 1 + usize::from(gif[at]);
        }
        at += 1;
    }
    at +=
        10 + if gif[at + 9] & 0x80 != 0 {
            3 << ((gif[at + 9] & 7) + 1)
        } else {
            0
        } + 1;
    for n_blocks in [0, 1, 3] {
        let mut end = at;
        for _ in 0..n_blocks {
            end += 1 + usize::from(gif[end]);
        }
        let cut = [&gif[..end], b"\0;"].concat();
        assert!(is_truncated(&cut), "GIF, {n_blocks} blocks");
    }

    let lossless = encode(&DynamicImage::ImageRgb8(noisy()), ImageFormat::WebP);
    // Lossless data are not cut within the codes at their start: zeros do not complete these.
    for (webp, n_least) in [
        (&lossless[..], lossless.len() / 4 * 2),
        (include_bytes!("data/lossy.webp"), 12),
    ] {
        both(webp).unwrap();
        let data = &webp[20..];
        for length in (n_least..data.len() * 9 / 10).step_by(2) {
            let mut cut = webp[..20 + length].to_vec();
            cut[4..8].copy_from_slice(&(length as u32 + 12).to_le_bytes());
            cut[16..20].copy_from_slice(&(length as u32).to_le_bytes());
            assert!(
                is_truncated(&cut),
                "WebP, {length} of {} bytes: {:?}",
                data.len(),
                both(&cut).err()
            );
        }
    }
}
