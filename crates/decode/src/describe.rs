//! Describes files that are not images of a supported format: their kind, and what the user can do about it.

use files::{FileKind, TextKind};

/// Describes the content of a file that is not an image of a known format, as a noun phrase for an error message: "a
/// PDF", "gzip data: unpack it first".
pub fn describe(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(4096)];
    let what = if head.is_empty() {
        "empty"
    } else if bytes.iter().all(|&byte| byte == 0) {
        "nothing but zeros (an unfinished download?)"
    } else if let Some(what) = FileKind::of_head(head).and_then(other_file) {
        what
    } else if let Some(what) = media(head) {
        what
    } else if let Some(what) = image(head) {
        what
    } else if is_text(head) {
        text(head)
    } else {
        "not an image that is known by its first bytes"
    };
    what.to_owned()
}

/// Whether a file has only the first bytes of an image, too few to recognize its format.
pub fn is_cut_head(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"GIF87a"];
    let is_start = head.len() >= 2 && STARTS.iter().any(|start| start.starts_with(head));
    let is_short = head.len() <= 26 && head.starts_with(b"BM") && head.contains(&0)
        || head.len() < 12 && head.starts_with(b"RIFF");
    is_start || is_short
}

fn other_file(kind: FileKind) -> Option<&'static str> {
    Some(match kind {
        FileKind::Zip => {
            "a zip archive inside the inputs: name it as an input of its own, or call it .zip"
        }
        FileKind::Tar => {
            "a tar archive inside the inputs: name it as an input of its own, or call it .tar"
        }
        FileKind::Gzip => "gzip data: unpack it first",
        FileKind::Zstd => "zstd data: unpack it first",
        FileKind::Bzip2 => "bzip2 data: unpack it first",
        FileKind::Xz => "xz data: unpack it first",
        FileKind::SevenZip | FileKind::Rar => "a 7z or rar archive: unpack it first",
        FileKind::Lha => "an LHA archive: unpack it first",
        FileKind::Pickle => "a pickle of Python",
        FileKind::Numpy => "an array of numpy",
        FileKind::Sqlite => "an SQLite database",
        FileKind::AppleDouble => "metadata of macOS (AppleDouble), not the image itself",
        FileKind::DsStore => "the view settings of a folder of macOS (.DS_Store)",
        FileKind::OleCompound => "thumbnails of Windows (Thumbs.db) or an old Office document",
        FileKind::Pdf => "a PDF",
        _ => return None,
    })
}

fn media(head: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if head.get(4..8) == Some(b"ftyp") {
        return Some(brand(head));
    }
    Some(if starts(b"\x1a\x45\xdf\xa3") {
        "a Matroska or WebM video"
    } else if starts(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
        "an AVI video"
    } else if starts(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        "a WAV sound"
    } else if starts(b"FLV\x01") {
        "a Flash video"
    } else if starts(b"FWS") || starts(b"CWS") || starts(b"ZWS") {
        "a Flash animation"
    } else if starts(b"\0\0\x01\xba") || starts(b"\0\0\x01\xb3") {
        "an MPEG video"
    } else if starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") {
        "a Windows Media video"
    } else if matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide")) {
        "a QuickTime video"
    } else if starts(b"ID3") || starts(b"OggS") || starts(b"fLaC") {
        "a sound file"
    } else {
        return None;
    })
}

/// The kind of an ISO base media file (one with a `ftyp` box) by its major brand.
fn brand(head: &[u8]) -> &'static str {
    match head.get(8..12) {
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
            "a HEIC image, which is not supported: convert it to PNG or JPEG"
        }
        Some(b"crx ") => "a camera's raw file (CR3): develop it first",
        Some(b"jp2 " | b"jpx ") => "a JPEG 2000 image, which is not supported: convert it to PNG",
        Some(b"qt  ") => "a QuickTime video",
        Some(b"M4A ") => "a sound file",
        _ => "an MP4 video",
    }
}

fn image(head: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    Some(if starts(b"%!PS") || starts(b"\xc5\xd0\xd3\xc6") {
        "a PostScript drawing: convert it to PNG"
    } else if starts(b"8BPS") {
        "a Photoshop file (PSD): export it as PNG"
    } else if starts(b"gimp xcf") {
        "a GIMP file (XCF): export it as PNG"
    } else if starts(b"CSFCHUNK") {
        "a Clip Studio file: export it as PNG"
    } else if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL ") {
        "a JPEG XL image, which is not supported: convert it to PNG"
    } else if starts(b"\0\0\0\x0cjP  ") || starts(b"\xff\x4f\xff\x51") {
        "a JPEG 2000 image, which is not supported: convert it to PNG"
    } else if starts(b"II\xbc\x01") {
        "a JPEG XR image, which is not supported: convert it to PNG"
    } else if starts(b"\x8aMNG\r\n\x1a\n") || starts(b"\x8bJNG\r\n\x1a\n") {
        "an MNG or JNG image, which is not supported: convert it to PNG"
    } else if starts(b"BPG\xfb") {
        "a BPG image, which is not supported: convert it to PNG"
    } else if starts(b"FLIF") {
        "a FLIF image, which is not supported: convert it to PNG"
    } else if starts(b"qoif") {
        "a QOI image, which is not supported: convert it to PNG"
    } else if starts(b"DDS ") {
        "a DDS texture, which is not supported: convert it to PNG"
    } else if starts(b"\x76\x2f\x31\x01") || starts(b"#?RADIANCE") {
        "an image of high dynamic range (EXR or HDR), which is not supported: convert it to PNG"
    } else if matches!(head, [b'P', b'1'..=b'7', b'\n' | b'\r' | b' ' | b'\t', ..]) {
        "a Netpbm image (PBM, PGM, PPM), which is not supported: convert it to PNG"
    } else if matches!(head, [0x0a, 0..=5, 1, 1 | 2 | 4 | 8, ..]) {
        "a PCX image, which is not supported: convert it to PNG"
    } else if starts(b"IIRO") || starts(b"IIU\0") || starts(b"FUJIFILMCCD-RAW") {
        "a camera's raw file: develop it first"
    } else if starts(b"\0\0\x02\0\0\0\0\0") || starts(b"\0\0\x0a\0\0\0\0\0") {
        "a TGA image, which is not supported: convert it to PNG"
    } else if starts(b"\0\0\x01\0") || starts(b"\0\0\x02\0") {
        "an icon"
    } else {
        return None;
    })
}

/// Describes a text file by its first bytes.
fn text(head: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(head);
    match TextKind::of(&text) {
        Some(TextKind::GitLfsPointer) => {
            "a Git LFS pointer: fetch the files themselves with `git lfs pull`"
        }
        Some(TextKind::GitAnnexPointer) => {
            "a git-annex pointer: fetch the files themselves with `git annex get`"
        }
        Some(TextKind::WebPage) => "a web page, not an image (a download that failed?)",
        Some(TextKind::Svg) => "an SVG drawing: convert it to PNG",
        Some(TextKind::ServerError) => "an error message of a server: a download that failed",
        Some(TextKind::Xml) => "an XML text",
        Some(TextKind::Json) => "JSON text",
        _ if is_base64_image(&text) => "an image as base64 text: decode it first",
        _ => "text",
    }
}

fn is_base64_image(text: &str) -> bool {
    // A data URL, and the first bytes of PNG and JPEG in base64.
    let starts = ["data:image/", "iVBORw0KGgo", "/9j/"];
    starts
        .iter()
        .any(|start| text.trim_start().starts_with(start))
}

fn is_text(head: &[u8]) -> bool {
    head.iter()
        .all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e | 0x80..))
        && std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_name() {
        let tar = [vec![b'a'; 257], b"ustar".to_vec()].concat();
        for (bytes, word) in [
            (&b""[..], "empty"),
            (&[0; 5000], "zeros"),
            (b"{\"id\": 1}", "JSON"),
            (b"[1, 2]", "JSON"),
            (b"hello", "text"),
            (b"\xef\xbb\xbf<!DOCTYPE HTML><p>", "web page"),
            (b"\r\n <html lang=en>", "web page"),
            (b"<?xml version='1.0'?><!DOCTYPE html><html>", "web page"),
            (b"<?xml version='1.0'?><svg></svg>", "SVG"),
            (b"<svg xmlns='x'>", "SVG"),
            (
                b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>",
                "failed",
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                "git lfs pull",
            ),
            (
                b"../.git/annex/objects/aa/bb/SHA256E-s1--0.png",
                "git annex get",
            ),
            (b"PK\x03\x04", "zip"),
            (&tar, "tar"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "MP4"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", "QuickTime"),
            (b"\x1a\x45\xdf\xa3", "WebM"),
            (b"\xff\x0a\0", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"\0\0\x01\0\x01\0", "icon"),
            (b"\0\0\x02\0\x01\0\x20\x20", "icon"),
            (b"\0\0\x02\0\0\0\0\0\0\0\0\0", "TGA"),
            (b"P6\n2 2\n255\n", "Netpbm"),
            (b"\0\x05\x16\x07\0\x02\0\0", "macOS"),
            (b"\x01\x02\x03\x04", "first bytes"),
        ] {
            let told = describe(bytes);
            assert!(told.contains(word), "{bytes:?}: {told}");
        }
    }

    #[test]
    fn a_few_bytes_of_an_image_are_a_cut_image() {
        for head in [
            &b"\xff\xd8"[..],
            b"\x89PN",
            b"GIF8",
            b"RIFF\0\0",
            b"BM\x9a\0\0\0",
        ] {
            assert!(is_cut_head(head), "{head:?}");
        }
        for head in [
            &b""[..],
            b"G",
            b"BM or not BM",
            b"hello",
            b"RIFF....WAVEfmt ",
        ] {
            assert!(!is_cut_head(head), "{head:?}");
        }
    }
}
