//! Tests of orientation by XMP, and of ICC profiles of gray images, in every format that has them.

mod common;

use common::{Tiff, Values, assert_near, both, chunk, deflate, exif, on_white, scene};
use decode::{DecodeOptions, decode, decode_stored, decode_with_alpha};
use image::imageops::{rotate90, rotate180};
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Asserts that `decode` turns the pixels of `file`, and that `decode_stored`, which datasets use, does not.
#[track_caller]
fn assert_turned(file: &[u8], plain: &[u8], turn: fn(&RgbImage) -> RgbImage, what: &str) {
    let upright = decode(plain, &DecodeOptions::default()).unwrap().image;
    let found = decode(file, &DecodeOptions::default()).unwrap().image;
    assert!(found == turn(&upright), "{what}");
    let kept = decode_with_alpha(file, &DecodeOptions::default()).unwrap();
    assert!(kept.into_rgb8() == turn(&upright), "{what}, with alpha");
    assert_eq!(decode_stored(file).unwrap(), decode_stored(plain).unwrap());
}

fn attribute(orientation: u8) -> Vec<u8> {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta><rdf:RDF>\
         <rdf:Description rdf:about=\"\" xmlns:tiff=\"http://ns.adobe.com/tiff/1.0/\" \
         tiff:Orientation=\"{orientation}\"/></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    )
    .into_bytes()
}

fn element(orientation: u8) -> Vec<u8> {
    format!(
        "<x:xmpmeta><rdf:RDF><rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/'>\n\
         <tiff:Orientation>{orientation}</tiff:Orientation>\n</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    .into_bytes()
}

fn segment(marker: u8, head: &[u8], content: &[u8]) -> Vec<u8> {
    let content = [head, content].concat();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], &content].concat()
}

#[test]
fn a_jpeg_is_turned_as_xmp_says_where_exif_is_silent() {
    let jpeg = encode(&DynamicImage::ImageRgb8(scene()), ImageFormat::Jpeg);
    // The JFIF segment comes first.
    assert_eq!(&jpeg[2..4], [0xff, 0xe0]);
    let after_jfif = 4 + usize::from(jpeg[4]) * 256 + usize::from(jpeg[5]);
    let (start, jfif, rest) = (&jpeg[..2], &jpeg[2..after_jfif], &jpeg[after_jfif..]);
    let xmp = |packet: &[u8]| segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0", packet);
    let extension = segment(
        0xe1,
        b"http://ns.adobe.com/xmp/extension/\0",
        &[&[b'0'; 40], &attribute(3)[..]].concat(),
    );
    let exif = |exif: &[u8]| segment(0xe1, b"Exif\0\0", exif);
    // An EXIF directory without an orientation.
    let silent = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x01\0\0\0A\0\0\0\0\0\0\0";
    for packet in [attribute(6), element(6)] {
        let packet = xmp(&packet);
        for (what, file) in [
            ("behind JFIF", [start, jfif, &packet, rest].concat()),
            ("in front of JFIF", [start, &packet, jfif, rest].concat()),
            ("without JFIF", [start, &packet, rest].concat()),
            (
                "extended",
                [start, jfif, &extension, &packet, &extension, rest].concat(),
            ),
            (
                "EXIF without an orientation",
                [start, &exif(silent), jfif, &packet, rest].concat(),
            ),
        ] {
            assert_turned(&file, &jpeg, rotate90, what);
        }
        for what in [
            [start, &exif(&common::exif(3, 3)), &packet, rest].concat(),
            [start, jfif, &packet, &exif(&common::exif(4, 3)), rest].concat(),
        ] {
            assert_turned(&what, &jpeg, rotate180, "EXIF counts first");
        }
    }
    let upright = [start, jfif, &xmp(&attribute(1)), &extension, rest].concat();
    assert_turned(&upright, &jpeg, RgbImage::clone, "upright");
}

#[test]
fn other_formats_are_turned_as_xmp_says() {
    let image = DynamicImage::ImageRgb8(scene());
    for packet in [attribute(6), element(6)] {
        let png = encode(&image, ImageFormat::Png);
        let text = [
            &b"XML:com.adobe.xmp\0\x01\0\0\0"[..],
            &deflate(&packet, true),
        ]
        .concat();
        let (head, rest) = png.split_at(33);
        let file = [head, &chunk(b"iTXt", &text), rest].concat();
        assert_turned(&file, &png, rotate90, "PNG, compressed");
        let both = [
            head,
            &chunk(b"iTXt", &text),
            &chunk(b"eXIf", &exif(3, 3)),
            rest,
        ]
        .concat();
        assert_turned(&both, &png, rotate180, "PNG, EXIF counts first");

        let tiff = Tiff::new((21, 13), 2, 3, 8, scene().into_raw());
        let file = tiff.clone().with(700, Values::Bytes(packet.clone()));
        assert_turned(&file.build(), &tiff.build(), rotate90, "TIFF");
        let both = file.clone().short(274, 3);
        assert_turned(
            &both.build(),
            &tiff.build(),
            rotate180,
            "TIFF, tag counts first",
        );

        let gif = encode(&image, ImageFormat::Gif);
        let table = match gif[10] {
            flags if flags & 0x80 != 0 => 3 << ((flags & 7) + 1),
            _ => 0,
        };
        let (head, rest) = gif.split_at(13 + table);
        // XMP is not stored in sub-blocks; the ramp lets a decoder that reads it as sub-blocks find the end.
        let ramp: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
        let extension = [b"\x21\xff\x0bXMP DataXMP", &packet[..], &ramp].concat();
        assert_turned(&[head, &extension, rest].concat(), &gif, rotate90, "GIF");

        let webp = encode(&image, ImageFormat::WebP);
        let chunk = |kind: &[u8; 4], data: &[u8]| {
            let mut out = [kind, &(data.len() as u32).to_le_bytes()[..], data].concat();
            out.resize(out.len().next_multiple_of(2), 0);
            out
        };
        let file = [
            b"WEBP".to_vec(),
            chunk(b"VP8X", &[4, 0, 0, 0, 20, 0, 0, 12, 0, 0]),
            webp[12..].to_vec(),
            chunk(b"XMP ", &packet),
        ]
        .concat();
        assert_turned(&chunk(b"RIFF", &file), &webp, rotate90, "WebP");
    }
}

/// A gray ICC profile with one tone curve. `connection` is its connection space, `XYZ ` or `Lab `.
fn profile(version: u8, connection: &[u8; 4], curve: &[u8]) -> Vec<u8> {
    let white = [0xf6d6u32, 0x1_0000, 0xd32d].map(u32::to_be_bytes).concat();
    let tags = [
        (b"wtpt", [b"XYZ \0\0\0\0", &white[..]].concat()),
        (b"kTRC", curve.to_vec()),
    ];
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data = Vec::new();
    for (name, content) in &tags {
        table.extend_from_slice(*name);
        let at = 128 + 4 + 12 * tags.len() + data.len();
        table.extend(
            [at as u32, content.len() as u32]
                .map(u32::to_be_bytes)
                .concat(),
        );
        data.extend_from_slice(content);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut header = ((128 + table.len() + data.len()) as u32)
        .to_be_bytes()
        .to_vec();
    header.extend([0, 0, 0, 0, version, 0x20, 0, 0]);
    header.extend([b"mntrGRAY", &connection[..]].concat());
    header.extend([0x07e4u16, 1, 1, 0, 0, 0].map(u16::to_be_bytes).concat());
    header.extend(b"acsp");
    header.resize(68, 0);
    header.extend(white);
    header.resize(128, 0);
    [header, table, data].concat()
}

fn curve(values: &[u16]) -> Vec<u8> {
    let count = (values.len() as u32).to_be_bytes();
    let values = values.iter().flat_map(|value| value.to_be_bytes());
    [&b"curv\0\0\0\0"[..], &count]
        .concat()
        .into_iter()
        .chain(values)
        .collect()
}

fn parametric(kind: u8, values: &[f64]) -> Vec<u8> {
    let values = values
        .iter()
        .flat_map(|v| ((v * 65536.0).round() as i32).to_be_bytes());
    [&b"para\0\0\0\0\0"[..], &[kind, 0, 0]]
        .concat()
        .into_iter()
        .chain(values)
        .collect()
}

const LEVELS: [u8; 7] = [0, 5, 16, 64, 128, 200, 255];

/// Gray profiles, each with the sRGB levels that LittleCMS gives for [`LEVELS`] (relative colorimetric, without its
/// optimized tables, which are off by 7 levels in shadows).
fn profiles() -> Vec<(&'static str, Vec<u8>, [u8; 7])> {
    let linear = [0, 38, 71, 137, 188, 229, 255];
    let srgb = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];
    let dots = curve(&[0, 3000, 9000, 19000, 34000, 65535]);
    vec![
        ("gamma 1.0", profile(2, b"XYZ ", &curve(&[256])), linear),
        ("no curve", profile(2, b"XYZ ", &curve(&[])), linear),
        (
            "gamma 1.8",
            profile(2, b"XYZ ", &curve(&[461])),
            [0, 3, 20, 81, 146, 210, 255],
        ),
        (
            "gamma 2.2",
            profile(2, b"XYZ ", &curve(&[563])),
            [0, 1, 7, 62, 129, 201, 255],
        ),
        (
            "parametric",
            profile(4, b"XYZ ", &parametric(0, &[1.0])),
            linear,
        ),
        ("sRGB", profile(4, b"XYZ ", &parametric(3, &srgb)), LEVELS),
        (
            "dot gain",
            profile(2, b"XYZ ", &dots),
            [0, 14, 32, 74, 128, 188, 255],
        ),
        (
            "L*",
            profile(2, b"Lab ", &curve(&[256])),
            [0, 7, 20, 60, 119, 194, 255],
        ),
    ]
}

/// A gray PNG of one row with an ICC profile.
fn png(depth: u8, has_alpha: bool, samples: &[u8], icc: &[u8]) -> Vec<u8> {
    let mut header = [LEVELS.len() as u32, 1].map(u32::to_be_bytes).concat();
    header.extend([depth, if has_alpha { 4 } else { 0 }, 0, 0, 0]);
    let icc = [&b"gray\0\0"[..], &deflate(icc, true)].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"iCCP", &icc),
        chunk(b"IDAT", &deflate(&[&[0], samples].concat(), true)),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn gray_is_converted_by_its_profile() {
    let alphas = [255, 200, 128, 64, 255, 30, 0];
    for (name, icc, expected) in profiles() {
        let gray = RgbImage::from_fn(7, 1, |x, _| Rgb([expected[x as usize]; 3]));
        let twice: Vec<u8> = LEVELS.iter().flat_map(|&v| [v, v]).collect();
        let tiff = |bits, color, data: &[u8]| {
            Tiff::new((7, 1), color, 1, bits, data.to_vec())
                .big_endian()
                .with(34675, Values::Bytes(icc.clone()))
                .build()
        };
        let inverted = LEVELS.map(|v| 255 - v);
        for (what, file) in [
            ("PNG", png(8, false, &LEVELS, &icc)),
            ("PNG of 16 bits", png(16, false, &twice, &icc)),
            ("TIFF", tiff(8, 1, &LEVELS)),
            ("TIFF of 16 bits", tiff(16, 1, &twice)),
            ("TIFF, white is 0", tiff(8, 0, &inverted)),
        ] {
            let what = format!("{what}, {name}");
            assert_near(&both(&file).unwrap(), &gray, 1, &what);
            let kept = decode_with_alpha(&file, &DecodeOptions::default()).unwrap();
            assert_near(&kept.into_rgb8(), &gray, 1, &what);
            // `decode_stored`, which datasets use, does not apply the profile.
            assert_eq!(decode_stored(&file).unwrap().pixels, LEVELS, "{what}");
        }

        let pairs: Vec<u8> = LEVELS
            .iter()
            .zip(alphas)
            .flat_map(|(&v, a)| [v, a])
            .collect();
        let deep: Vec<u8> = pairs.iter().flat_map(|&v| [v, v]).collect();
        let laid = RgbImage::from_fn(7, 1, |x, _| {
            let x = x as usize;
            Rgb(on_white([expected[x]; 3], alphas[x]))
        });
        for (what, file) in [
            ("gray and alpha", png(8, true, &pairs, &icc)),
            ("gray and alpha of 16 bits", png(16, true, &deep, &icc)),
        ] {
            let what = format!("{what}, {name}");
            assert_near(&both(&file).unwrap(), &laid, 1, &what);
            let kept = decode_with_alpha(&file, &DecodeOptions::default()).unwrap();
            for (pixel, alpha) in kept.into_rgba8().pixels().zip(alphas) {
                assert_eq!(pixel[3], alpha, "{what}");
            }
        }
    }
}

/// Levels of 16 bits between those of 8 bits: in linear light, the first of the latter are far apart.
#[test]
fn deep_gray_keeps_its_shadows() {
    let icc = profile(2, b"XYZ ", &curve(&[256]));
    let levels = [0u16, 32, 64, 128, 192, 257, 514]
        .map(u16::to_be_bytes)
        .concat();
    // Expected values: IEC 61966-2-1 of level / 65535.
    let expected = [0, 2, 3, 6, 10, 13, 22];
    let found = both(&png(16, false, &levels, &icc)).unwrap();
    assert_eq!(found.pixels().map(|p| p[0]).collect::<Vec<_>>(), expected);
}

#[test]
fn a_gray_jpeg_is_converted_by_its_profile() {
    let image = GrayImage::from_fn(56, 24, |x, _| image::Luma([LEVELS[x as usize / 8]]));
    let jpeg = encode(&DynamicImage::ImageLuma8(image), ImageFormat::Jpeg);
    for (name, icc, expected) in profiles() {
        let icc = segment(0xe2, b"ICC_PROFILE\0\x01\x01", &icc);
        let file = [&jpeg[..2], &icc, &jpeg[2..]].concat();
        let expected = RgbImage::from_fn(56, 24, |x, _| Rgb([expected[x as usize / 8]; 3]));
        // The encoder is exact to one level in flat blocks, which makes 8 levels in shadows of linear light.
        let tolerance = if expected.get_pixel(8, 0)[0] > 20 {
            9
        } else {
            3
        };
        assert_near(&both(&file).unwrap(), &expected, tolerance, name);
        assert_eq!(decode_stored(&file).unwrap(), decode_stored(&jpeg).unwrap());
    }
}

#[test]
fn profiles_of_other_pixels_are_ignored() {
    let gray = profile(2, b"XYZ ", &curve(&[256]));
    let mut without_curve = gray.clone();
    let name = without_curve.windows(4).position(|w| w == b"kTRC").unwrap();
    without_curve[name..name + 4].copy_from_slice(b"none");
    let expected = RgbImage::from_fn(7, 1, |x, _| Rgb([LEVELS[x as usize]; 3]));
    assert_eq!(
        both(&png(8, false, &LEVELS, &without_curve)).unwrap(),
        expected
    );
    assert_eq!(
        both(&png(8, false, &LEVELS, &gray[..100])).unwrap(),
        expected
    );
    let file = Tiff::new((21, 13), 2, 3, 8, scene().into_raw());
    let file = file.with(34675, Values::Bytes(gray)).build();
    assert_eq!(both(&file).unwrap(), scene());
}
