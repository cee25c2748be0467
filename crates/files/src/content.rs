//! Recognizes content that took the place of a binary file, mostly the remains of a download that failed.

use crate::file_kind::{FileKind, TextKind};
use std::fmt;

/// Content that was found in place of a binary file that a program wanted to read. The `Display` text says what the
/// content is and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignContent {
    /// No bytes at all.
    Empty,
    /// Zero bytes only: a download reserved space for the file and did not fill it.
    Zeros,
    /// HTML.
    WebPage,
    /// The error message of a file server: XML or JSON.
    ServerError,
    /// The few lines that Git LFS keeps in place of a large file.
    GitLfsPointer,
    /// The path that git-annex keeps in place of a large file.
    GitAnnexPointer,
    /// Compressed data; the text is the name of the program: gzip, bzip2, xz, zstd, 7-Zip or RAR.
    Compressed(&'static str),
    /// An HDF5 file, as Keras writes.
    Hdf5,
    /// Short plain text, with its first line (at most 60 characters).
    Text(String),
}

impl ForeignContent {
    /// Recognizes `bytes`, the whole content of a file. `None` says only that none of these kinds was found.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        if bytes.iter().all(|b| *b == 0) {
            return Some(Self::Zeros);
        }
        let compressed = match FileKind::of_head(bytes) {
            Some(FileKind::Gzip) => "gzip",
            Some(FileKind::Bzip2) => "bzip2",
            Some(FileKind::Xz) => "xz",
            Some(FileKind::Zstd) => "zstd",
            Some(FileKind::SevenZip) => "7-Zip",
            Some(FileKind::Rar) => "RAR",
            Some(FileKind::Hdf5) => return Some(Self::Hdf5),
            _ => return Self::of_text(bytes),
        };
        Some(Self::Compressed(compressed))
    }

    fn of_text(bytes: &[u8]) -> Option<Self> {
        const HEAD: usize = 2048;
        let head = &bytes[..bytes.len().min(HEAD)];
        // UTF-16 with a byte-order mark, as programs of Windows write it.
        let wide =
            matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]).then(|| crate::decode_text(head));
        let head = wide.as_deref().map_or(head, str::as_bytes);
        // A multi-byte character may be cut at the end of the head.
        let valid = match std::str::from_utf8(head) {
            Ok(text) => text,
            Err(e) if e.error_len().is_none() => {
                std::str::from_utf8(&head[..e.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        let text = valid.trim_start_matches('\u{feff}').trim_start();
        let is_text =
            |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b');
        if text.is_empty() || !text.chars().all(is_text) {
            return None;
        }
        match TextKind::of(text) {
            Some(TextKind::GitLfsPointer) => return Some(Self::GitLfsPointer),
            Some(TextKind::GitAnnexPointer) => return Some(Self::GitAnnexPointer),
            Some(TextKind::WebPage) => return Some(Self::WebPage),
            Some(TextKind::ServerError) => return Some(Self::ServerError),
            _ => {}
        }
        let is_markup = text.starts_with('<');
        let first = text.lines().next().unwrap_or_default();
        (bytes.len() < HEAD && first.contains([' ', ':']) && !is_markup).then(|| {
            const SHOWN: usize = 60;
            let mut line: String = first
                .chars()
                .take(SHOWN)
                .filter(|c| !c.is_control())
                .collect();
            if first.chars().count() > SHOWN {
                line.push_str("...");
            }
            Self::Text(line)
        })
    }
}

impl fmt::Display for ForeignContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty: fetch it again"),
            Self::Zeros => f.write_str(
                "the file holds only zero bytes, so its download was not finished: fetch it again",
            ),
            Self::WebPage => f.write_str(
                "this is a web page, not the file: the download needs a confirmation or a login",
            ),
            Self::ServerError => f.write_str(
                "this is the error message of a server, not the file: check the address and fetch it again",
            ),
            Self::GitLfsPointer => f.write_str(
                "this is a Git LFS pointer, not the file: run `git lfs pull` where it comes from",
            ),
            Self::GitAnnexPointer => f.write_str(
                "this is a git-annex pointer, not the file: run `git annex get` where it comes from",
            ),
            Self::Compressed(name) => write!(f, "this is {name} data: unpack it first"),
            Self::Hdf5 => f.write_str("this is an HDF5 file (Keras?), which is not read"),
            Self::Text(line) => write!(f, "this is text (\"{line}\"), not the file: fetch it again"),
        }
    }
}

/// The number of bytes of a zip archive that is cut short, that is, without the record that ends every zip archive.
/// `None` when the record is there.
///
/// Zeros at the end of `bytes` are not counted: they are space that was reserved for the file and not filled.
pub fn cut_zip_length(bytes: &[u8]) -> Option<usize> {
    // The record has 22 bytes and a comment of at most 64 KiB.
    const FARTHEST: usize = 22 + (1 << 16);
    let length = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    // The last bytes of the record itself may be zeros.
    let tail = &bytes[length.saturating_sub(FARTHEST)..bytes.len().min(length + 22)];
    let mut starts = tail.windows(4).enumerate();
    let has_end = starts.any(|(at, mark)| {
        let record = &tail[at..];
        let comment = record
            .get(20..22)
            .map(|n| usize::from(n[0]) | usize::from(n[1]) << 8);
        mark == b"PK\x05\x06" && comment.is_some_and(|comment| record.len() >= 22 + comment)
    });
    (!has_end).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_downloads_leave_is_recognized() {
        use ForeignContent as C;
        for (bytes, wanted) in [
            (&b""[..], Some(C::Empty)),
            (&[0; 5000], Some(C::Zeros)),
            (b"\xef\xbb\xbf\r\n <!DOCTYPE HTML><html>", Some(C::WebPage)),
            (b"<!-- saved --><html lang=en>", Some(C::WebPage)),
            (
                b"<?xml version='1.0'?><!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML\">",
                Some(C::WebPage),
            ),
            (
                b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code></Error>",
                Some(C::ServerError),
            ),
            (b"{\"message\":\"Not Found\"}", Some(C::ServerError)),
            (
                b"{\n  \"error\": \"Repository not found\"}",
                Some(C::ServerError),
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
                Some(C::GitLfsPointer),
            ),
            (
                b"/annex/objects/SHA256E-s9--00.pkl\n",
                Some(C::GitAnnexPointer),
            ),
            (b"404: Not Found", Some(C::Text("404: Not Found".into()))),
            (b"\x1f\x8b\x08\0\0", Some(C::Compressed("gzip"))),
            // Files of these tools and of others.
            (b"\x80\x04\x95\x00\x00", None),
            (b"PK\x03\x04\x14\0", None),
            (b"(dp0\nVa\np1\n(I1\nI-2\nF3.5\ntp2\ns.", None),
            (
                b"<?xml version=\"1.0\"?>\n<opencv_storage>\n<cascade>",
                None,
            ),
            (b"\x40\0\0\0\0\0\0\0{\"__metadata__\":{}}", None),
            (b"\xff\xd8\xff\xe0", None),
        ] {
            assert_eq!(
                ForeignContent::of(bytes),
                wanted,
                "{}",
                bytes.escape_ascii()
            );
        }
        for (content, words) in [
            (C::Empty, "empty"),
            (C::WebPage, "this is a web page"),
            (C::GitLfsPointer, "Git LFS pointer"),
            (C::Compressed("xz"), "xz"),
            (C::Text("No".into()), "\"No\""),
        ] {
            assert!(content.to_string().contains(words), "{content}");
        }
        // An empty archive, with a comment, and parts of it.
        let mut zip = b"PK\x05\x06".to_vec();
        zip.resize(22, 0);
        assert_eq!(cut_zip_length(&zip), None);
        zip[20] = 3;
        zip.extend(b"abc");
        assert_eq!(cut_zip_length(&[&[7; 999][..], &zip].concat()), None);
        assert_eq!(cut_zip_length(&zip[..zip.len() - 1]), Some(zip.len() - 1));
        assert_eq!(cut_zip_length(b"PK\x03\x04abc\0\0\0"), Some(7));
        assert_eq!(cut_zip_length(b""), Some(0));
        let wide: Vec<u8> = "\u{feff}<!DOCTYPE html>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(ForeignContent::of(&wide), Some(ForeignContent::WebPage));
        // A character that is cut at the end of the examined bytes.
        let page = format!("<html>{}\u{e9}", "a".repeat(2041));
        assert_eq!(ForeignContent::of(page.as_bytes()), Some(C::WebPage));
    }
}
