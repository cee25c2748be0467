//! Tests of TIFFs of all kinds. The files are built in `common`, so the right pixels are known. Files of the same kinds
//! written by tifffile 2026.3 and Pillow 13 (102 files) decode to the pixels that these two read.

mod common;

use common::{Tiff, Values, assert_near, both, deflate, is_truncated, on_white, refused, scene};
use decode::{DecodeOptions, decode, decode_stored, read_header};
use image::{Rgb, RgbImage};

const SIZE: (u32, u32) = (21, 13);

fn rgb() -> Tiff {
    Tiff::new(SIZE, 2, 3, 8, scene().into_raw())
}

/// Alpha of the pixels in column `x`.
fn alpha(x: u32) -> u8 {
    (x * 12) as u8
}

fn scene_on_white() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        Rgb(on_white(scene().get_pixel(x, y).0, alpha(x)))
    })
}

/// The scene as RGBA, with colors premultiplied if `is_associated`.
fn rgba(is_associated: bool) -> Vec<u8> {
    let image = scene();
    let pixels = image.enumerate_pixels().flat_map(|(x, _, pixel)| {
        let alpha = alpha(x);
        let times = |v: u8| match is_associated {
            true => ((u32::from(v) * u32::from(alpha) + 127) / 255) as u8,
            false => v,
        };
        let [r, g, b] = pixel.0.map(times);
        [r, g, b, alpha]
    });
    pixels.collect()
}

fn gray(f: impl Fn(u32) -> u8) -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, _| Rgb([f(x); 3]))
}

#[test]
fn byte_orders_and_sizes_of_offsets_make_no_difference() {
    for (is_big_endian, is_big_tiff) in [(false, false), (true, false), (false, true), (true, true)]
    {
        let file = Tiff {
            is_big_endian,
            is_big_tiff,
            ..rgb()
        };
        assert_eq!(
            both(&file.build()).unwrap(),
            scene(),
            "{is_big_endian} {is_big_tiff}"
        );
    }
}

#[test]
fn alpha_is_unmultiplied_once_if_it_was_multiplied() {
    for (kind, is_associated, tolerance) in [(2, false, 0), (1, true, 1)] {
        let file = Tiff::new(SIZE, 2, 4, 8, rgba(is_associated)).short(338, kind);
        let found = both(&file.build()).unwrap();
        assert_near(
            &found,
            &scene_on_white(),
            tolerance,
            &format!("kind {kind}"),
        );
    }
    // A fourth sample that tag 338 declares as unspecified is not alpha; without the tag it is alpha, as in Pillow.
    let file = Tiff::new(SIZE, 2, 4, 8, rgba(false));
    assert_eq!(both(&file.clone().short(338, 0).build()).unwrap(), scene());
    assert_eq!(both(&file.build()).unwrap(), scene_on_white());
    // Red at half opacity, premultiplied, is full red when alpha is made straight.
    let pixel = Tiff::new((1, 1), 2, 4, 8, vec![64, 0, 0, 128]).short(338, 1);
    assert_eq!(
        decode_stored(&pixel.build()).unwrap().pixels,
        [128, 0, 0, 128]
    );
    let deep = [0x2000u16, 0, 0, 0x4000].map(u16::to_le_bytes).concat();
    let pixel = Tiff::new((1, 1), 2, 4, 16, deep).short(338, 1);
    assert_eq!(
        decode_stored(&pixel.build()).unwrap().pixels,
        [128, 0, 0, 64]
    );
}

#[test]
fn gray_with_alpha_keeps_both() {
    let data = (0..SIZE.1)
        .flat_map(|_| (0..SIZE.0).flat_map(|x| [200, alpha(x)]))
        .collect();
    let file = Tiff::new(SIZE, 1, 2, 8, data).short(338, 2).build();
    assert_eq!(
        both(&file).unwrap(),
        gray(|x| on_white([200; 3], alpha(x))[0])
    );
    assert_eq!(decode_stored(&file).unwrap().channels, 2);
    let deep = [0x8080u16, 0xffff].map(u16::to_be_bytes).concat();
    let file = Tiff::new((1, 1), 1, 2, 16, deep).short(338, 2).big_endian();
    assert_eq!(both(&file.build()).unwrap().get_pixel(0, 0).0, [128; 3]);
}

#[test]
fn palettes_of_every_depth_are_expanded() {
    for bits in [1u16, 2, 4, 8] {
        let n = 1usize << bits;
        let color = |i: usize| [i * 37 % 256, i * 91 % 256, 255 - i % 256].map(|v| v as u8);
        for shift in [0, 8] {
            let map = (0..3)
                .flat_map(|c| (0..n).map(move |i| u16::from(color(i)[c]) << shift))
                .collect();
            let (mut data, index) = (Vec::new(), |x: u32, y: u32| ((x + y) as usize) % n);
            for y in 0..SIZE.1 {
                let mut row = vec![0u8; (SIZE.0 as usize * usize::from(bits)).div_ceil(8)];
                for x in 0..SIZE.0 {
                    let at = x as usize * usize::from(bits);
                    row[at / 8] |= (index(x, y) << (8 - usize::from(bits) - at % 8)) as u8;
                }
                data.extend(row);
            }
            let file = Tiff::new(SIZE, 3, 1, bits, data).with(320, Values::Shorts(map));
            let expected = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb(color(index(x, y))));
            // A 16-bit map of 2 colors that has only small values cannot be distinguished from one of 8 bits.
            assert_eq!(
                both(&file.build()).unwrap(),
                expected,
                "{bits} bits, shift {shift}"
            );
        }
    }
    let file = Tiff::new((2, 1), 3, 1, 8, vec![0, 3]).with(320, Values::Shorts(vec![0; 6]));
    assert!(refused(&file.build()).contains("color 3 of 2"));
}

/// Expected colors follow the equations of ITU-R BT.601; all pixels of a block have the same chroma.
#[test]
fn ycbcr_becomes_rgb_with_every_subsampling() {
    for (h, v) in [(1u32, 1u32), (2, 1), (1, 2), (2, 2), (4, 2), (4, 4)] {
        let luma = |x: u32, y: u32| (40 + 9 * x + y) as u8;
        let chroma = |x: u32, y: u32| [(100 + 5 * (x / h)) as u8, (160 - 4 * (y / v)) as u8];
        let mut data = Vec::new();
        for top in (0..SIZE.1).step_by(v as usize) {
            for left in (0..SIZE.0).step_by(h as usize) {
                data.extend((0..h * v).map(|i| luma(left + i % h, top + i / h)));
                data.extend(chroma(left, top));
            }
        }
        let expected = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
            let [cb, cr] = chroma(x, y).map(|v| f64::from(v) - 128.0);
            let y = f64::from(luma(x, y));
            let rgb = [
                y + 1.402 * cr,
                y - 0.344_136 * cb - 0.714_136 * cr,
                y + 1.772 * cb,
            ];
            Rgb(rgb.map(|v| v.round() as u8))
        });
        let file = Tiff::new(SIZE, 6, 3, 8, data)
            .with(530, Values::Shorts(vec![h as u16, v as u16]))
            .build();
        assert_near(&both(&file).unwrap(), &expected, 1, &format!("{h} x {v}"));
    }
    // The range of television signals: 16 is black, 235 is white.
    let range = [16, 235, 128, 240, 128, 240].map(|n| [n, 1]).to_vec();
    let file = Tiff::new((2, 1), 6, 3, 8, vec![16, 128, 128, 235, 128, 128])
        .with(530, Values::Shorts(vec![1, 1]))
        .with(532, Values::Fractions(range));
    assert_eq!(
        both(&file.build()).unwrap().into_raw(),
        [0, 0, 0, 255, 255, 255]
    );
}

#[test]
fn samples_of_every_depth_are_scaled() {
    for bits in [1u32, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32] {
        let max = u32::MAX >> (32 - bits);
        let values: Vec<u32> = (0..7u64).map(|i| (u64::from(max) * i / 6) as u32).collect();
        let mut data = vec![0u8; 7 * bits as usize / 8 + 1];
        for (i, value) in values.iter().enumerate() {
            for bit in 0..bits as usize {
                let at = i * bits as usize + bit;
                let is_set = value >> (bits as usize - 1 - bit) & 1;
                data[at / 8] |= (is_set as u8) << (7 - at % 8);
            }
        }
        // Numbers of 16, 24 and 32 bits packed bit by bit are the same as big-endian bytes.
        for (color, is_white_zero) in [(1, false), (0, true)] {
            let file = Tiff::new((7, 1), color, 1, bits as u16, data.clone()).big_endian();
            let found = both(&file.build()).unwrap();
            for (pixel, &value) in found.pixels().zip(&values) {
                let expected = (f64::from(value) / f64::from(max) * 255.0).round() as u8;
                let expected = if is_white_zero {
                    255 - expected
                } else {
                    expected
                };
                assert!(
                    pixel[0].abs_diff(expected) <= 1,
                    "{bits} bits: {pixel:?}, {expected}"
                );
            }
        }
    }
}

#[test]
fn floating_point_samples_are_0_to_1() {
    let values = [0.0f32, 0.25, 0.5, 1.0, 1.5];
    let expected = [0, 64, 128, 255, 255];
    let bytes = |f: fn(f32) -> Vec<u8>| values.iter().flat_map(|&v| f(v)).collect::<Vec<u8>>();
    for (bits, data) in [
        (
            16,
            bytes(|v| half::f16::from_f32(v).to_bits().to_le_bytes().to_vec()),
        ),
        (32, bytes(|v| v.to_le_bytes().to_vec())),
        (64, bytes(|v| f64::from(v).to_le_bytes().to_vec())),
    ] {
        let file = Tiff::new((5, 1), 1, 1, bits, data).short(339, 3).build();
        let found: Vec<u8> = both(&file).unwrap().pixels().map(|p| p[0]).collect();
        assert_eq!(found, expected, "{bits} bits");
        assert_eq!(read_header(&file).unwrap().bit_depth, usize::from(bits));
    }
    let far = [0.0f32, 255.0].map(f32::to_le_bytes).concat();
    let file = Tiff::new((2, 1), 1, 1, 32, far).short(339, 3);
    assert!(refused(&file.build()).contains("not from 0 to 1"));
}

#[test]
fn strips_tiles_and_planes_are_put_together() {
    let image = scene();
    let strips = Tiff {
        chunks: image
            .as_raw()
            .chunks(21 * 3 * 4)
            .map(<[u8]>::to_vec)
            .collect(),
        ..rgb().short(278, 4)
    };
    assert_eq!(both(&strips.build()).unwrap(), image);
    for is_planar in [false, true] {
        let mut chunks = Vec::new();
        for plane in if is_planar {
            vec![vec![0], vec![1], vec![2]]
        } else {
            vec![vec![0, 1, 2]]
        } {
            for (top, left) in [(0, 0), (0, 16)] {
                let mut tile = Vec::new();
                for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (top + y, left + x))) {
                    let pixel = image.get_pixel_checked(x, y).map_or([9; 3], |p| p.0);
                    tile.extend(plane.iter().map(|&c: &usize| pixel[c]));
                }
                chunks.push(deflate(&tile, true));
            }
        }
        let tiles = Tiff {
            chunks,
            is_tiled: true,
            ..rgb().short(322, 16).short(323, 16).short(259, 8)
        };
        let tiles = tiles.short(284, if is_planar { 2 } else { 1 });
        assert_eq!(both(&tiles.build()).unwrap(), image, "planar {is_planar}");
    }
}

#[test]
fn differences_are_undone_in_both_byte_orders() {
    let values: Vec<u16> = scene()
        .as_raw()
        .iter()
        .map(|&v| u16::from(v) * 257)
        .collect();
    for is_big_endian in [false, true] {
        let mut data = Vec::new();
        for row in values.chunks(21 * 3) {
            for (i, value) in row.iter().enumerate() {
                let before = if i < 3 { 0 } else { row[i - 3] };
                let difference = value.wrapping_sub(before);
                data.extend(if is_big_endian {
                    difference.to_be_bytes()
                } else {
                    difference.to_le_bytes()
                });
            }
        }
        let file = Tiff {
            is_big_endian,
            chunks: vec![deflate(&data, true)],
            ..Tiff::new(SIZE, 2, 3, 16, Vec::new())
                .short(259, 8)
                .short(317, 2)
        };
        assert_eq!(
            both(&file.build()).unwrap(),
            scene(),
            "big-endian {is_big_endian}"
        );
    }
    // Four floats (0, 0.5, 1, 0.25) as planes of bytes, high bytes first, then as differences.
    let planes: Vec<u8> = (0..4)
        .flat_map(|k| [0.0f32, 0.5, 1.0, 0.25].map(|v| v.to_be_bytes()[k]))
        .collect();
    let data: Vec<u8> = (0..16)
        .map(|i| planes[i].wrapping_sub(if i == 0 { 0 } else { planes[i - 1] }))
        .collect();
    let file = Tiff::new((4, 1), 1, 1, 32, deflate(&data, true));
    let file = file.short(259, 8).short(317, 3).short(339, 3);
    let found: Vec<u8> = both(&file.build())
        .unwrap()
        .pixels()
        .map(|p| p[0])
        .collect();
    assert_eq!(found, [0, 128, 255, 64]);
}

#[test]
fn cmyk_is_ink_on_white_paper() {
    let file = Tiff::new(
        (3, 1),
        5,
        4,
        8,
        vec![0, 0, 0, 0, 255, 0, 0, 0, 60, 120, 20, 80],
    );
    let found = both(&file.build()).unwrap().into_raw();
    // Expected, as in Pillow: (255 - ink) * (255 - black) / 255.
    assert_eq!(found, [255, 255, 255, 0, 255, 255, 134, 93, 161]);
}

/// The strip is a JPEG of the scene; its pixels must be those of decoding the JPEG by itself.
#[test]
fn jpeg_in_strips_and_in_the_old_way() {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95)
        .encode_image(&scene())
        .unwrap();
    let expected = decode(&jpeg, &DecodeOptions::default()).unwrap().image;
    for compression in [6, 7] {
        let file = Tiff::new(SIZE, 6, 3, 8, jpeg.clone()).short(259, compression);
        assert_eq!(
            both(&file.build()).unwrap(),
            expected,
            "compression {compression}"
        );
    }
    // Tag 513 is the position of the JPEG, right after the header of 8 bytes.
    let file = Tiff::new(SIZE, 6, 3, 8, jpeg)
        .short(259, 6)
        .with(513, Values::Longs(vec![8]));
    assert_eq!(both(&file.build()).unwrap(), expected);
}

#[test]
fn orientation_is_read_whatever_its_type() {
    let turned = image::imageops::rotate90(&scene());
    let file = rgb().with(274, Values::Longs(vec![6]));
    let decoded = decode(&file.build(), &DecodeOptions::default()).unwrap();
    assert_eq!(decoded.image, turned);
    let file = rgb().short(274, 6).big_endian();
    let decoded = decode(&file.build(), &DecodeOptions::default()).unwrap();
    assert_eq!(decoded.image, turned);
}

#[test]
fn kinds_that_are_not_decoded_are_named() {
    let (signed, complex) = (rgb().short(339, 2), rgb().short(339, 5));
    for (file, words) in [
        (rgb().short(262, 8), "L*a*b*"),
        (rgb().short(262, 32803), "raw samples of a camera"),
        (rgb().short(262, 4), "mask"),
        (rgb().short(259, 50000), "Zstandard"),
        (rgb().short(259, 34925), "LZMA"),
        (rgb().short(259, 34712), "JPEG 2000"),
        (rgb().short(259, 12345), "12345"),
        (signed, "sign"),
        (complex, "complex"),
        (
            rgb().with(258, Values::Shorts(vec![5, 6, 5])),
            "different numbers of bits",
        ),
        (rgb().with(50706, Values::Bytes(vec![1, 4, 0, 0])), "DNG"),
        (Tiff::new(SIZE, 5, 4, 8, rgba(false)).short(332, 2), "inks"),
    ] {
        let told = refused(&file.build());
        assert!(
            told.contains(words) && told.contains("convert it to PNG"),
            "{told}"
        );
    }
}

#[test]
fn every_cut_is_truncated() {
    let lzw = {
        let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
        encoder.encode(scene().as_raw()).unwrap()
    };
    for (name, compression, data) in [
        ("none", 1, scene().into_raw()),
        ("LZW", 5, lzw),
        ("deflate", 8, deflate(scene().as_raw(), true)),
    ] {
        let file = Tiff {
            chunks: vec![data],
            ..rgb().short(259, compression)
        }
        .build();
        assert_eq!(both(&file).unwrap(), scene(), "{name}");
        // The last four bytes (no next directory) are not needed.
        for length in 4..file.len() - 4 {
            assert!(
                is_truncated(&file[..length]),
                "{name}: {length} of {}",
                file.len()
            );
        }
    }
    let large = Tiff::new((100_000, 100_000), 2, 3, 8, Vec::new());
    assert!(refused(&large.build()).contains("100000 x 100000"));
}

/// An image whose rows all share the same bytes of the file.
fn rows_in_one_place(height: u32, data: Vec<u8>) -> Tiff {
    let file = Tiff::new((SIZE.0, height), 2, 3, 8, data).with(278, Values::Longs(vec![1]));
    Tiff {
        shared: Some(height as usize),
        ..file
    }
}

#[test]
fn strips_that_share_their_bytes_are_work_within_bounds() {
    let row = &scene().into_raw()[..SIZE.0 as usize * 3];
    let whole = both(&rows_in_one_place(500, row.to_vec()).build()).unwrap();
    assert!(whole.as_raw().chunks(row.len()).all(|found| found == row));
    // Every row refers to a JPEG of four million pixels.
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg)
        .encode_image(&RgbImage::new(2000, 2000))
        .unwrap();
    let file = rows_in_one_place(1000, jpeg).short(259, 7);
    let told = refused(&file.build());
    assert!(told.contains("far larger than the image"), "{told}");
    // Every row refers to PackBits data with a megabyte of no-operation bytes.
    let mut idle = vec![128; 1 << 20];
    idle.extend(
        row.chunks(128)
            .flat_map(|c| [&[c.len() as u8 - 1], c].concat()),
    );
    let file = rows_in_one_place(1000, idle).short(259, 32773);
    let told = refused(&file.build());
    assert!(told.contains("share the bytes"), "{told}");
}

#[test]
fn bits_in_reverse_are_turned_once_for_all_strips() {
    let turned: Vec<u8> = scene()
        .into_raw()
        .iter()
        .map(|b| b.reverse_bits())
        .collect();
    let file = Tiff::new(SIZE, 2, 3, 8, turned).short(266, 2);
    assert_eq!(both(&file.build()).unwrap(), scene());
    // Thousands of strips without lengths share megabytes of data.
    let row = &scene().into_raw()[..SIZE.0 as usize * 3];
    let mut data: Vec<u8> = row.iter().map(|b| b.reverse_bits()).collect();
    data.resize(4 << 20, 0);
    let file = rows_in_one_place(20_000, data).short(266, 2);
    let start = std::time::Instant::now();
    let whole = both(&file.build()).unwrap();
    assert!(whole.as_raw().chunks(row.len()).all(|found| found == row));
    // Reversing the bits of the file for each strip would process 80 GB.
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}
