//! Archives recognized by content, and descriptions of other files.

use std::io::{self, Read};
use std::path::Path;

use files::{FileKind, TextKind};

use crate::shared_file::SharedFile;
use crate::zip_directory::read_directory;

/// A kind of archive that is read without unpacking it to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Zip, also zip64 and with data before it.
    Zip,
    /// Tar: v7, ustar, GNU and pax.
    Tar,
}

impl ArchiveKind {
    /// Recognizes an archive by its content; `None` for other files. Other data may come before the zip in a file
    /// called `.zip` or `.cbz`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        let kind = Self::of_head(&head(path)?);
        let is_named = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("zip") || e.eq_ignore_ascii_case("cbz"));
        if kind.is_none()
            && is_named
            && matches!(read_directory(&SharedFile::open(path)?), Ok(Some(_)))
        {
            return Ok(Some(Self::Zip));
        }
        Ok(kind)
    }

    /// Recognizes an archive by its first 512 bytes; `None` for other content.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        match FileKind::of_head(head) {
            Some(FileKind::Zip) => Some(Self::Zip),
            Some(FileKind::Tar) => Some(Self::Tar),
            _ => is_tar_header(head).then_some(Self::Tar),
        }
    }
}

/// Whether the first 512 bytes are a tar header with a correct checksum. Tars before ustar have no magic number.
fn is_tar_header(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else {
        return false;
    };
    let is_octal = |b: &u8| matches!(b, b'0'..=b'7' | b' ' | 0);
    let field = &header[148..156];
    if header[0] == 0 || !field.iter().all(is_octal) {
        return false;
    }
    let digits = field.iter().filter(|b| b.is_ascii_digit());
    let told = digits.fold(0u32, |sum, b| sum * 8 + u32::from(b - b'0'));
    let others = header[..148].iter().chain(&header[156..]);
    let sum = others.fold(8 * u32::from(b' '), |sum, b| sum + u32::from(*b));
    told == sum
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    files::open_input(path)?.take(512).read_to_end(&mut head)?;
    Ok(head)
}

/// Describes a file as [`describe`] does, or returns the error message of the system if the file cannot be read.
pub fn describe_file(path: &Path) -> String {
    let told = || -> io::Result<String> {
        let length = std::fs::metadata(path)?.len();
        Ok(describe(&head(path)?, length))
    };
    told().unwrap_or_else(|error| error.to_string())
}

/// Describes a file that should be a zip and is not, and says what to do: a phrase that follows "it is".
///
/// `head` holds its first bytes, up to 512; `length` is its whole length in bytes.
pub fn describe(head: &[u8], length: u64) -> String {
    let text = String::from_utf8_lossy(head);
    let what = if length == 0 {
        "an empty file: download or copy it again"
    } else if head.iter().all(|b| *b == 0) {
        "a file that begins with zero bytes, as one whose download was not finished: download it again"
    } else if let Some(kind) = FileKind::of_head(head).and_then(describe_kind) {
        kind
    } else if let Some(kind) = TextKind::of(&text).and_then(describe_text) {
        kind
    } else if is_tar_header(head) {
        "a tar archive: unpack it first"
    } else if matches!(head, [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..])
        || head.starts_with(b"GIF8")
    {
        "a single image"
    } else if head.starts_with(b"PK") {
        "a damaged zip: download or copy it again"
    } else if std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true) {
        "text"
    } else {
        "a file of an unknown kind"
    };
    what.to_owned()
}

fn describe_kind(kind: FileKind) -> Option<&'static str> {
    Some(match kind {
        FileKind::Tar => "a tar archive: unpack it first",
        FileKind::SevenZip => "a 7z archive: unpack it first",
        FileKind::Rar => "a RAR archive: unpack it first",
        FileKind::Lha => "an LHA archive: unpack it first",
        FileKind::Gzip => "gzip data, perhaps a .tar.gz: unpack it first",
        FileKind::Bzip2 | FileKind::Xz | FileKind::Zstd => {
            "data packed by bzip2, xz or zstd: unpack it first"
        }
        FileKind::Zip => "a damaged zip: download or copy it again",
        FileKind::Pdf => "a PDF document",
        _ => return None,
    })
}

fn describe_text(kind: TextKind) -> Option<&'static str> {
    Some(match kind {
        TextKind::WebPage => {
            "a web page (HTML) instead of an archive: the server sent a page, perhaps an error or a login; download the file itself"
        }
        TextKind::GitLfsPointer => "a Git LFS pointer: fetch the file itself with `git lfs pull`",
        TextKind::GitAnnexPointer => {
            "a git-annex pointer: fetch the file itself with `git annex get`"
        }
        TextKind::ServerError => {
            "the error message of a server (XML or JSON) instead of an archive: download it again"
        }
        TextKind::Xml | TextKind::Svg => {
            "XML text instead of an archive, perhaps the error message of a server: download it again"
        }
        TextKind::Json => {
            "JSON text instead of an archive, perhaps the error message of a server: download it again"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_archives_are_described() {
        for (head, word) in [
            (b"\r\n <!DOCTYPE html><html>".as_slice(), "web page"),
            (b"\xef\xbb\xbf<html lang='en'>", "web page"),
            (b"<?xml version='1.0'?><html>", "web page"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML"),
            (b"{\"error\": \"quota\"}", "JSON"),
            (
                b"version https://git-lfs.github.com/spec/v1",
                "git lfs pull",
            ),
            (b"7z\xbc\xaf\x27\x1c", "7z"),
            (b"Rar!\x1a\x07\x01\0", "RAR"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\0\0\0\0\0\0", "not finished"),
            (b"PK nothing", "damaged zip"),
            (b"some words", "text"),
            (b"\xfe\x01\x99", "unknown"),
        ] {
            assert!(describe(head, 9999).contains(word), "{head:x?}");
        }
        assert!(describe(b"", 0).contains("empty"));
    }

    #[test]
    fn tars_without_a_magic_number_are_told_by_checksum() {
        let mut header = tar::Header::new_old();
        header.set_path("a.png").unwrap();
        header.set_size(3);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        assert_eq!(ArchiveKind::of_head(&bytes), Some(ArchiveKind::Tar));
        bytes[0] ^= 1;
        assert_eq!(ArchiveKind::of_head(&bytes), None);
        assert_eq!(ArchiveKind::of_head(&[b' '; 512]), None);
        assert_eq!(ArchiveKind::of_head(&[0; 512]), None);
    }
}
