//! The files of a hostile dump, among them archives and special files, each with the expected decision.

use crate::common::{drawing, encode, jpeg};
use crate::make::*;
use image::ImageFormat::{Bmp, Png, Tiff, WebP};
use image::RgbImage;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;

/// For each input `kept` or its drop reason.
pub type Expected = BTreeMap<String, &'static str>;

/// Name, `kept` or the drop reason, and a function that makes the content.
type File = (&'static str, &'static str, fn() -> Vec<u8>);

const FILES: &[File] = &[
    // Images that can be read, in unusual forms.
    ("good.jpg", "kept", || photo(1)),
    ("png called.jpg", "kept", || stored(3, Png)),
    ("no_extension", "kept", || stored(4, WebP)),
    ("deep/er/絵 <b>&\"quoted\" 'x'.bmp", "kept", || {
        stored(5, Bmp)
    }),
    ("picture.tiff", "kept", || stored(6, Tiff)),
    ("turned.jpg", "kept", || {
        with_segment(&photo(7), 0xe1, &exif(6))
    }),
    ("broken_exif.jpg", "kept", || {
        with_segment(&photo(8), 0xe1, b"Exif\0\0II*\0\xff\xff\xff\xff")
    }),
    ("trailing.jpg", "kept", || {
        [photo(9), vec![7; 5000]].concat()
    }),
    ("broken_icc.jpg", "kept", || with_icc(10, &[9; 300])),
    ("wide_gamut.jpg", "kept", || with_icc(11, &display_p3())),
    ("palette.png", "kept", || palette_png()),
    ("animated.gif", "kept", || gif()),
    ("animated.png", "kept", || apng()),
    ("deep16.png", "kept", || deep_png()),
    ("transparent.png", "kept", || transparent_png()),
    ("cmyk.jpg", "kept", || {
        include_bytes!("../data/cmyk.jpg").to_vec()
    }),
    // Broken.
    ("empty.jpg", "empty", || Vec::new()),
    ("cut.jpg", "truncated", || half(&photo(1))),
    // All pixels are there, so it is a copy of the whole file.
    ("no_end.jpg", "duplicate", || {
        photo(1)[..photo(1).len() - 2].to_vec()
    }),
    ("header_only.jpg", "truncated", || photo(1)[..20].to_vec()),
    ("cut.png", "truncated", || half(&large(Png))),
    ("flipped_bit.png", "decode_error", || flipped_png()),
    ("cut.webp", "truncated", || half(&large(WebP))),
    ("cut.bmp", "truncated", || half(&large(Bmp))),
    ("cut.tif", "truncated", || half(&large(Tiff))),
    ("cut.gif", "truncated", || half(&half(&gif()))),
    ("magic_only.png", "truncated", || {
        b"\x89PNG\r\n\x1a\n".to_vec()
    }),
    // Not images.
    ("text.jpg", "not_a_picture", || {
        b"<html>not found</html>".to_vec()
    }),
    ("notes.json", "not_a_picture", || b"{\"id\": 1}".to_vec()),
    ("drawing.svg", "not_a_picture", || {
        b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()
    }),
    ("film.jpg", "not_a_picture", || {
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec()
    }),
    ("book.png", "not_a_picture", || {
        b"%PDF-1.7\n%\xe2\xe3".to_vec()
    }),
    ("noise.webp", "not_a_picture", || noise()),
    // Hostile sizes.
    ("huge_header.png", "too_large", || {
        png_with_size(100_000, 100_000)
    }),
    ("wide_header.png", "too_large", || {
        png_with_size(2_000_000_000, 1)
    }),
    ("huge_header.jpg", "too_large", || huge_jpeg()),
    ("pixel_bomb.png", "too_large", || {
        encode(&RgbImage::new(4000, 4000), Png)
    }),
    // Images that the filters drop.
    ("one_pixel.png", "blank", || flat(1, [9, 200, 30])),
    ("strip.png", "aspect", || strip()),
    ("white.png", "blank", || flat(300, [255; 3])),
    ("page_of_text.jpg", "text", || page_of_text()),
    ("gray_as_rgb.jpg", "grayscale", || gray_as_rgb()),
    ("gray.png", "grayscale", || gray_png()),
    ("gray_alpha.png", "grayscale", || gray_alpha_png()),
    ("sepia.jpg", "grayscale", || sepia()),
    ("tiny.png", "small", || encode(&drawing(14, 20), Png)),
    ("copy.jpg", "duplicate", || jpeg(&drawing(1, 200), 50)),
];

/// Writes all files into a folder.
pub fn write_dump(folder: &Path) -> Expected {
    let mut expected = Expected::new();
    for (name, reason, bytes) in FILES {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes()).unwrap();
        expected.insert((*name).to_owned(), reason);
    }
    archives(folder, &mut expected);
    #[cfg(unix)]
    odd_files(folder, &mut expected);
    expected
}

fn archives(folder: &Path, e: &mut Expected) {
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.join("evil.zip")).unwrap());
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut add = |name: &str, options, bytes: &[u8], reason: &'static str| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
        e.insert(format!("evil.zip/{name}"), reason);
    };
    add(
        "inside.png",
        packed,
        &encode(&drawing(20, 150), Png),
        "kept",
    );
    add(
        "../../outside.png",
        stored,
        &encode(&drawing(21, 150), Png),
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

    // Another zip, in which one byte of the stored image is changed, so that the checksum does not match.
    let image = encode(&drawing(22, 150), Png);
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
        let bytes = encode(&drawing(seed, 150), Png);
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
    fs::write(folder.join(name), encode(&drawing(25, 150), Png)).unwrap();
    e.insert("not-\\xFF-utf8.png".into(), "kept");
}
