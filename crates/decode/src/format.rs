//! What a file is, by its first bytes.

use serde::{Deserialize, Serialize};

/// Picture formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG and APNG.
    Png,
    /// WebP, lossy or lossless.
    Webp,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// AVIF (feature `avif`).
    Avif,
}

impl Format {
    /// Tells the format from the first bytes.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        if starts(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if starts(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else if starts(b"GIF87a") || starts(b"GIF89a") {
            Some(Self::Gif)
        } else if starts(b"BM") && bytes.len() > 26 {
            Some(Self::Bmp)
        } else if starts(b"II*\0") || starts(b"MM\0*") {
            Some(Self::Tiff)
        } else if bytes.get(4..8) == Some(b"ftyp")
            && matches!(bytes.get(8..12), Some(b"avif" | b"avis"))
        {
            Some(Self::Avif)
        } else {
            None
        }
    }
}

/// Says what a file that is no picture looks like, and the way out where there is one.
pub fn describe(bytes: &[u8]) -> String {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let what = if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") {
        "a zip archive inside the inputs: name it as an input of its own, or call it .zip"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "a tar archive inside the inputs: name it as an input of its own, or call it .tar"
    } else if starts(b"\x1f\x8b") {
        "gzip data: unpack it first"
    } else if starts(b"7z\xbc\xaf\x27\x1c") || starts(b"Rar!") {
        "a 7z or rar archive: unpack it first"
    } else if starts(b"%PDF") {
        "a PDF"
    } else if starts(b"8BPS") {
        "a Photoshop file: export it as PNG"
    } else if bytes.get(4..8) == Some(b"ftyp") {
        "a video or HEIF file"
    } else if starts(b"\x1a\x45\xdf\xa3") {
        "a Matroska or WebM video"
    } else if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL ") {
        "a JPEG XL picture, which is not supported: convert it to PNG"
    } else if starts(b"\0\0\x01\0") {
        "an icon"
    } else if looks_like_text(bytes) {
        if bytes
            .windows(4)
            .take(1024)
            .any(|w| w.eq_ignore_ascii_case(b"<svg"))
        {
            "an SVG drawing"
        } else {
            "text"
        }
    } else {
        "not a picture that is known by its first bytes"
    };
    what.to_owned()
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    head.iter()
        .all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..))
        && std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_content() {
        assert_eq!(
            Format::sniff(b"\xff\xd8\xff\xe0....JFIF"),
            Some(Format::Jpeg)
        );
        assert_eq!(Format::sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Some(Format::Webp));
        assert_eq!(Format::sniff(b"RIFF\x10\0\0\0WAVEfmt "), None);
        assert_eq!(Format::sniff(b"BM"), None);
        assert_eq!(describe(b"{\"id\": 1}"), "text");
        assert!(describe(b"PK\x03\x04").contains("zip"));
        assert!(describe(b"<?xml version='1.0'?><svg></svg>").contains("SVG"));
    }
}
