//! Broken, odd and hostile files: none stops a run, each one is named with its reason.

mod common;

use common::{drawing, encode, encode_any, input, jpeg, manifest, ok, prep};
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::{DynamicImage, GrayImage, ImageFormat, LumaA, Rgb, RgbImage, Rgba};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;

/// `kept`, or the reason.
type Expected = BTreeMap<String, &'static str>;

fn png_with_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(&drawing(1, 64), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Puts a segment behind the start-of-image marker.
fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, marker]);
    bytes.extend((payload.len() as u16 + 2).to_be_bytes());
    bytes.extend(payload);
    bytes.extend(&jpeg[2..]);
    bytes
}

fn exif(orientation: u8) -> Vec<u8> {
    let mut payload = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    payload.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    payload
}

fn palette_png() -> Vec<u8> {
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

fn gif() -> Vec<u8> {
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

fn apng() -> Vec<u8> {
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

fn write(folder: &Path, expected: &mut Expected, name: &str, bytes: &[u8], fate: &'static str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    expected.insert(name.to_owned(), fate);
}

/// Writes the dump; gives each name's fate.
fn dump(folder: &Path) -> Expected {
    let mut expected = Expected::new();
    let e = &mut expected;
    let good = jpeg(&drawing(1, 200), 90);
    let other = drawing(2, 200);

    // Good images in odd clothes.
    write(folder, e, "good.jpg", &good, "kept");
    write(
        folder,
        e,
        "png called.jpg",
        &encode(&drawing(3, 150), ImageFormat::Png),
        "kept",
    );
    write(
        folder,
        e,
        "no_extension",
        &encode(&drawing(4, 150), ImageFormat::WebP),
        "kept",
    );
    write(
        folder,
        e,
        "deep/er/絵 <b>&\"quoted\" 'x'.bmp",
        &encode(&drawing(5, 150), ImageFormat::Bmp),
        "kept",
    );
    write(
        folder,
        e,
        "picture.tiff",
        &encode(&drawing(6, 150), ImageFormat::Tiff),
        "kept",
    );
    write(
        folder,
        e,
        "turned.jpg",
        &with_segment(&jpeg(&drawing(7, 200), 90), 0xe1, &exif(6)),
        "kept",
    );
    write(
        folder,
        e,
        "broken_exif.jpg",
        &with_segment(
            &jpeg(&drawing(8, 200), 90),
            0xe1,
            b"Exif\0\0II*\0\xff\xff\xff\xff",
        ),
        "kept",
    );
    write(
        folder,
        e,
        "trailing.jpg",
        &[jpeg(&drawing(9, 200), 90), vec![7; 5000]].concat(),
        "kept",
    );
    write(
        folder,
        e,
        "broken_icc.jpg",
        &with_segment(
            &jpeg(&drawing(10, 200), 90),
            0xe2,
            &[b"ICC_PROFILE\0\x01\x01".as_slice(), &[9; 300]].concat(),
        ),
        "kept",
    );
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    write(
        folder,
        e,
        "wide_gamut.jpg",
        &with_segment(
            &jpeg(&drawing(11, 200), 90),
            0xe2,
            &[b"ICC_PROFILE\0\x01\x01".as_slice(), &p3].concat(),
        ),
        "kept",
    );
    write(folder, e, "palette.png", &palette_png(), "kept");
    write(folder, e, "animated.gif", &gif(), "kept");
    write(folder, e, "animated.png", &apng(), "kept");
    write(
        folder,
        e,
        "deep16.png",
        &encode_any(
            &DynamicImage::ImageRgb16(DynamicImage::ImageRgb8(drawing(12, 150)).to_rgb16()),
            ImageFormat::Png,
        ),
        "kept",
    );
    let cut_out = DynamicImage::ImageRgba8(image::RgbaImage::from_fn(150, 150, |x, y| {
        let Rgb([r, g, b]) = *other.get_pixel(x, y);
        Rgba([r, g, b, if (x + y) % 50 < 30 { 255 } else { 0 }])
    }));
    write(
        folder,
        e,
        "transparent.png",
        &encode_any(&cut_out, ImageFormat::Png),
        "kept",
    );
    write(
        folder,
        e,
        "cmyk.jpg",
        include_bytes!("data/cmyk.jpg"),
        "kept",
    );

    // Broken.
    write(folder, e, "empty.jpg", b"", "empty");
    write(folder, e, "cut.jpg", &good[..good.len() / 2], "truncated");
    write(
        folder,
        e,
        "no_end.jpg",
        &good[..good.len() - 2],
        // All pixels are there: a copy of the whole file.
        "duplicate",
    );
    write(folder, e, "header_only.jpg", &good[..20], "truncated");
    let png = encode(&other, ImageFormat::Png);
    write(folder, e, "cut.png", &png[..png.len() / 2], "truncated");
    let mut flipped = png.clone();
    flipped[png.len() / 2] ^= 0x55;
    write(folder, e, "flipped_bit.png", &flipped, "decode_error");
    for (name, format) in [
        ("cut.webp", ImageFormat::WebP),
        ("cut.bmp", ImageFormat::Bmp),
        ("cut.tif", ImageFormat::Tiff),
    ] {
        let bytes = encode(&other, format);
        write(folder, e, name, &bytes[..bytes.len() / 2], "truncated");
    }
    let gif = gif();
    write(folder, e, "cut.gif", &gif[..gif.len() / 4], "truncated");
    write(
        folder,
        e,
        "magic_only.png",
        b"\x89PNG\r\n\x1a\n",
        "truncated",
    );

    // Not images.
    write(
        folder,
        e,
        "text.jpg",
        b"<html>not found</html>",
        "not_a_picture",
    );
    write(folder, e, "notes.json", b"{\"id\": 1}", "not_a_picture");
    write(
        folder,
        e,
        "drawing.svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "not_a_picture",
    );
    write(
        folder,
        e,
        "film.jpg",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "not_a_picture",
    );
    write(
        folder,
        e,
        "book.png",
        b"%PDF-1.7\n%\xe2\xe3",
        "not_a_picture",
    );
    write(
        folder,
        e,
        "noise.webp",
        &(0..4000u32)
            .map(|i| (i * i % 251) as u8)
            .collect::<Vec<_>>(),
        "not_a_picture",
    );

    // Hostile sizes.
    write(
        folder,
        e,
        "huge_header.png",
        &png_with_size(100_000, 100_000),
        "too_large",
    );
    write(
        folder,
        e,
        "wide_header.png",
        &png_with_size(2_000_000_000, 1),
        "too_large",
    );
    let mut huge = good.clone();
    let sof = huge.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    huge[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    write(folder, e, "huge_header.jpg", &huge, "too_large");
    let bomb = encode(&RgbImage::new(4000, 4000), ImageFormat::Png);
    write(folder, e, "pixel_bomb.png", &bomb, "too_large");

    // Images that nobody wants.
    write(
        folder,
        e,
        "one_pixel.png",
        &encode(
            &RgbImage::from_pixel(1, 1, Rgb([9, 200, 30])),
            ImageFormat::Png,
        ),
        "blank",
    );
    write(
        folder,
        e,
        "strip.png",
        &encode(
            &RgbImage::from_fn(3, 900, |x, y| Rgb([(x * 80) as u8, y as u8, 7])),
            ImageFormat::Png,
        ),
        "aspect",
    );
    write(
        folder,
        e,
        "white.png",
        &encode(
            &RgbImage::from_pixel(300, 300, Rgb([255; 3])),
            ImageFormat::Png,
        ),
        "blank",
    );
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
    write(folder, e, "page_of_text.jpg", &jpeg(&page, 85), "text");
    let gray = DynamicImage::ImageRgb8(drawing(13, 200)).to_luma8();
    write(
        folder,
        e,
        "gray_as_rgb.jpg",
        &jpeg(&DynamicImage::ImageLuma8(gray.clone()).to_rgb8(), 80),
        "grayscale",
    );
    write(
        folder,
        e,
        "gray.png",
        &encode_any(&DynamicImage::ImageLuma8(gray.clone()), ImageFormat::Png),
        "grayscale",
    );
    let with_alpha = GrayImage::clone(&gray);
    let gray_alpha =
        image::ImageBuffer::from_fn(150, 150, |x, y| LumaA([with_alpha.get_pixel(x, y)[0], 200]));
    write(
        folder,
        e,
        "gray_alpha.png",
        &encode_any(&DynamicImage::ImageLumaA8(gray_alpha), ImageFormat::Png),
        "grayscale",
    );
    let sepia = RgbImage::from_fn(gray.width(), gray.height(), |x, y| {
        let v = f32::from(gray.get_pixel(x, y)[0]);
        Rgb([
            (v * 0.8 + 50.0) as u8,
            (v * 0.75 + 35.0) as u8,
            (v * 0.65 + 15.0) as u8,
        ])
    });
    write(folder, e, "sepia.jpg", &jpeg(&sepia, 85), "grayscale");
    write(
        folder,
        e,
        "tiny.png",
        &encode(&drawing(14, 20), ImageFormat::Png),
        "small",
    );
    write(
        folder,
        e,
        "copy.jpg",
        &jpeg(&drawing(1, 200), 50),
        "duplicate",
    );

    archives(folder, e);
    #[cfg(unix)]
    odd_files(folder, e);
    expected
}

fn archives(folder: &Path, e: &mut Expected) {
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.join("evil.zip")).unwrap());
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut add = |name: &str, options, bytes: &[u8], fate: &'static str| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
        e.insert(format!("evil.zip/{name}"), fate);
    };
    add(
        "inside.png",
        packed,
        &encode(&drawing(20, 150), ImageFormat::Png),
        "kept",
    );
    add(
        "../../outside.png",
        stored,
        &encode(&drawing(21, 150), ImageFormat::Png),
        "unsafe_name",
    );
    add("/etc/passwd.png", stored, b"x", "unsafe_name");
    add("zeros.png", packed, &vec![0; 50 << 20], "too_large");
    add(
        "matryoshka.jpg",
        packed,
        b"PK\x03\x04 more of the same",
        "not_a_picture",
    );
    zip.finish().unwrap();

    // Another zip with one byte of its stored image changed: the checksum tells.
    let image = encode(&drawing(22, 150), ImageFormat::Png);
    let mut damaged = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    damaged.start_file("damaged.png", stored).unwrap();
    damaged.write_all(&image).unwrap();
    let mut bytes = damaged.finish().unwrap().into_inner();
    let at = bytes
        .windows(40)
        .position(|w| w == &image[60..100])
        .unwrap();
    bytes[at] ^= 1;
    fs::write(folder.join("damaged.zip"), &bytes).unwrap();
    e.insert("damaged.zip/damaged.png".into(), "unreadable");
    fs::write(folder.join("cut.zip"), &bytes[..bytes.len() / 2]).unwrap();
    e.insert("cut.zip".into(), "unreadable");
    fs::write(folder.join("text.zip"), b"no archive at all").unwrap();
    e.insert("text.zip".into(), "not_a_picture");

    let mut tar = tar::Builder::new(Vec::new());
    for (name, seed) in [("first.png", 23), ("second.png", 24)] {
        let bytes = encode(&drawing(seed, 150), ImageFormat::Png);
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "link.png", "/etc/passwd")
        .unwrap();
    let bytes = tar.into_inner().unwrap();
    fs::write(folder.join("shard.tar"), &bytes).unwrap();
    e.insert("shard.tar/first.png".into(), "kept");
    e.insert("shard.tar/second.png".into(), "kept");
    e.insert("shard.tar/link.png".into(), "unreadable");
    fs::write(folder.join("cut.tar"), &bytes[..1024]).unwrap();
    e.insert("cut.tar/first.png".into(), "unreadable");
}

#[cfg(unix)]
fn odd_files(folder: &Path, e: &mut Expected) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    symlink("/nowhere/x.png", folder.join("dangling.png")).unwrap();
    e.insert("dangling.png".into(), "unreadable");
    symlink(folder, folder.join("loop")).unwrap();
    e.insert("loop".into(), "unreadable");
    let pipe = std::ffi::CString::new(folder.join("pipe.jpg").as_os_str().as_bytes()).unwrap();
    // SAFETY: a zero-terminated path; the call only makes a file.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    e.insert("pipe.jpg".into(), "unreadable");
    let name = std::ffi::OsStr::from_bytes(b"not-\xff-utf8.png");
    fs::write(
        folder.join(name),
        encode(&drawing(25, 150), ImageFormat::Png),
    )
    .unwrap();
    e.insert("not-\\xFF-utf8.png".into(), "kept");
}

#[test]
fn every_odd_file_is_a_recorded_decision() {
    let folder = tempfile::tempdir().unwrap();
    let dump_folder = folder.path().join("dump");
    fs::create_dir(&dump_folder).unwrap();
    let expected = dump(&dump_folder);
    assert!(expected.values().filter(|fate| **fate != "kept").count() >= 30);

    let text = ok(
        folder.path(),
        "run dump --out out/x.zip --detector none --resolution 64 --max-pixels 2000000 --detail off --blur off",
    );
    assert!(text.contains("not_a_picture"), "{text}");
    let lines = manifest(&folder.path().join("out/x.manifest.jsonl"));
    let mut wrong = Vec::new();
    for (name, fate) in &expected {
        let line = input(&lines, name);
        let found = line["reason"].as_str().unwrap_or("kept");
        if found != *fate {
            wrong.push(format!(
                "{name}: expected {fate}, found {found} ({})",
                line["detail"]
            ));
        }
        let is_told = line["decision"] == "kept"
            || line["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty());
        assert!(is_told, "{name} is dropped without a word");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named: Vec<&str> = lines
        .iter()
        .filter(|l| l["face"].is_null())
        .map(|l| l["source"].as_str().unwrap())
        .collect();
    assert_eq!(
        named.len(),
        expected.len(),
        "nothing is lost and nothing invented: {named:?}"
    );

    // Nothing of it left its place, and what was packed is sound.
    assert!(
        !folder.path().join("outside.png").exists()
            && !folder.path().parent().unwrap().join("outside.png").exists()
    );
    ok(folder.path(), "verify out/x.zip");
    let html = fs::read_to_string(folder.path().join("out/x.report.html")).unwrap();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>&\"quoted"));
}

#[test]
fn nothing_kept_is_exit_code_1_with_the_record() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dump")).unwrap();
    fs::write(folder.path().join("dump/a.jpg"), b"").unwrap();
    let output = prep(folder.path(), "run dump --out x.zip --detector none");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was kept"));
    assert_eq!(
        input(&manifest(&folder.path().join("x.manifest.jsonl")), "a.jpg")["reason"],
        "empty"
    );
    assert!(!folder.path().join("x.zip").exists());
    // A zip of an earlier run stays, and the error says whose it is.
    fs::write(folder.path().join("x.zip"), b"of before").unwrap();
    let output = prep(folder.path(), "run dump --out x.zip --detector none");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("'x.zip' is still that of an earlier run"),
        "{error}"
    );
    assert_eq!(fs::read(folder.path().join("x.zip")).unwrap(), b"of before");
    for side in ["0", "31", "65536"] {
        let output = prep(
            folder.path(),
            &format!("run dump --out y.zip --longest-side {side}"),
        );
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            error.contains(&format!("--longest-side (detect.longest_side) is {side};")),
            "{error}"
        );
        assert!(!folder.path().join("y.manifest.jsonl").exists());
    }
    for args in [
        "run nowhere --out x.zip --detector none",
        "run dump --out x.png --detector none",
        "run dump --out x.zip --detector cascade:none.xml",
    ] {
        let output = prep(folder.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("error: "),
            "{args}"
        );
    }
}

#[test]
fn thousands_of_boxes_cost_their_image_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("dump")).unwrap();
    for (name, seed) in [("crowd.png", 1), ("good.png", 2)] {
        let bytes = encode(&drawing(seed, 200), ImageFormat::Png);
        fs::write(folder.join("dump").join(name), bytes).unwrap();
    }
    let boxes = |n: usize| {
        let crowd = vec!["[10,10,90,90]"; n].join(",");
        let text = format!(
            "{{\"file\":\"good.png\",\"boxes\":[[60,60,130,130]]}}\n{{\"file\":\"crowd.png\",\"boxes\":[{crowd}]}}\n"
        );
        fs::write(folder.join("boxes.jsonl"), text).unwrap();
    };
    boxes(1001);
    ok(
        folder,
        "run dump --out x.zip --detector boxes:boxes.jsonl --resolution 64 --detail off --blur off --dedup off \
         --preset face --max-reflect 0.5",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let crowd = input(&lines, "crowd.png");
    assert_eq!(crowd["reason"], "detect_error");
    let detail = crowd["detail"].as_str().unwrap();
    assert!(
        detail.contains("1001 faces") && detail.contains("at most 1000"),
        "{detail}"
    );
    assert_eq!(input(&lines, "good.png")["decision"], "kept");
    // A line that no image can have is refused with its number.
    boxes(300_000);
    let output = prep(
        folder,
        "run dump --out y.zip --detector boxes:boxes.jsonl --resolution 64",
    );
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("boxes.jsonl line 2: 300000 boxes") && error.contains("at most 10000"),
        "{error}"
    );
}

#[test]
fn members_of_a_zip_that_share_bytes_are_dropped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, seed) in [("a.png", 1), ("b.png", 2)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&encode(&drawing(seed, 200), ImageFormat::Png))
            .unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    // The first record of the directory again, five times, under other names of the same length.
    let start = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let end = bytes.windows(4).position(|w| w == b"PK\x05\x06").unwrap();
    let record = bytes[start..start + 46 + 5].to_vec();
    assert_eq!(&record[46..], b"a.png");
    let mut tail = bytes.split_off(end);
    for letter in b'c'..b'h' {
        bytes.extend(&record[..46]);
        bytes.extend([letter]);
        bytes.extend(b".png");
    }
    let length = (bytes.len() - start) as u32;
    tail[8..10].copy_from_slice(&7u16.to_le_bytes());
    tail[10..12].copy_from_slice(&7u16.to_le_bytes());
    tail[12..16].copy_from_slice(&length.to_le_bytes());
    bytes.extend(tail);
    fs::write(folder.join("bomb.zip"), bytes).unwrap();
    ok(
        folder,
        "run bomb.zip --out x.zip --detector none --resolution 64 --detail off --blur off --dedup off",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    // One of the six that share their bytes is read.
    for name in ["a.png", "c.png", "d.png", "e.png", "f.png"] {
        let line = input(&lines, name);
        assert_eq!(line["reason"], "unreadable", "{name}: {line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains("also those of the next member"), "{detail}");
    }
    for name in ["b.png", "g.png"] {
        assert_eq!(input(&lines, name)["decision"], "kept", "{name}");
    }
}
