//! Image formats, recognized by the first bytes of a file.

use serde::{Deserialize, Serialize};

/// Image formats that can be decoded.
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
    /// Recognizes the format of a file by its first bytes, of which 27 suffice; `None` for an unknown format.
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
        } else if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
            .into_iter()
            .any(|m| starts(m))
        {
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
    }
}
