//! Recognizes kinds of files by their first bytes: the one table of magic numbers for everything that is not an image.
//!
//! A crate that finds a file of a kind that it does not read chooses its message to the user by the [`FileKind`].

/// A kind of file that is not an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Zip archive, also an empty one.
    Zip,
    /// Tar with a magic number (ustar, GNU, pax).
    Tar,
    /// Gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Bzip2.
    Bzip2,
    /// XZ.
    Xz,
    /// 7-Zip archive.
    SevenZip,
    /// RAR archive.
    Rar,
    /// LHA archive.
    Lha,
    /// Python pickle of protocol 2 or 4.
    Pickle,
    /// Numpy array (`.npy`).
    Numpy,
    /// SQLite database.
    Sqlite,
    /// Parquet table.
    Parquet,
    /// HDF5 file.
    Hdf5,
    /// PDF document.
    Pdf,
    /// Metadata file of macOS (AppleSingle, AppleDouble).
    AppleDouble,
    /// View settings of a folder of macOS (`.DS_Store`).
    DsStore,
    /// OLE compound file: Windows' `Thumbs.db`, old Office documents.
    OleCompound,
}

impl FileKind {
    /// Recognizes a kind by the first bytes of a file, of which 512 are enough.
    ///
    /// ```
    /// use files::FileKind;
    ///
    /// assert_eq!(FileKind::of_head(b"\x1f\x8b\x08\0"), Some(FileKind::Gzip));
    /// assert_eq!(FileKind::of_head(b"\x89PNG\r\n\x1a\n"), None);
    /// ```
    pub fn of_head(head: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], FileKind); 20] = [
            (b"PK\x03\x04", FileKind::Zip),
            (b"PK\x05\x06", FileKind::Zip),
            (b"\x1f\x8b", FileKind::Gzip),
            (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
            (b"BZh", FileKind::Bzip2),
            (b"\xfd7zXZ\0", FileKind::Xz),
            (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
            (b"Rar!", FileKind::Rar),
            (b"\x80\x02", FileKind::Pickle),
            (b"\x80\x04", FileKind::Pickle),
            (b"\x93NUMPY", FileKind::Numpy),
            (b"SQLite format 3\0", FileKind::Sqlite),
            (b"PAR1", FileKind::Parquet),
            (b"\x89HDF\r\n", FileKind::Hdf5),
            (b"%PDF", FileKind::Pdf),
            (b"\0\x05\x16\x07", FileKind::AppleDouble),
            (b"\0\x05\x16\0", FileKind::AppleDouble),
            (b"\0\0\0\x01Bud1", FileKind::DsStore),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind::OleCompound),
            (b"ustar", FileKind::Tar),
        ];
        let by_start = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
        if let Some((_, kind)) = by_start {
            return Some(*kind);
        }
        if head.get(257..262) == Some(b"ustar") {
            Some(Self::Tar)
        } else if head.get(2..5) == Some(b"-lh") {
            Some(Self::Lha)
        } else {
            None
        }
    }
}

/// A kind of text that is often found in place of another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextKind {
    /// The few lines that Git LFS keeps in place of a large file.
    GitLfsPointer,
    /// The path that git-annex keeps in place of a large file.
    GitAnnexPointer,
    /// HTML.
    WebPage,
    /// The error message of a file server: XML or JSON.
    ServerError,
    /// SVG drawing.
    Svg,
    /// Other XML.
    Xml,
    /// Other JSON.
    Json,
}

impl TextKind {
    /// Recognizes a kind by the beginning of a text; `None` for other texts.
    pub fn of(text: &str) -> Option<Self> {
        /// Length in bytes from which a text is not a git-annex pointer. A pointer is a single path; a longer text only
        /// mentions the folder of git-annex.
        const MAX_ANNEX: usize = 1024;
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let lower = text.to_ascii_lowercase();
        let starts = |words: &[&str]| words.iter().any(|word| lower.starts_with(word));
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let is_markup = lower.starts_with('<');
        Some(
            if starts(&["version https://git-lfs", "version https://hawser"]) {
                Self::GitLfsPointer
            } else if text.len() < MAX_ANNEX && has(&["annex/objects/"]) {
                Self::GitAnnexPointer
            } else if starts(&[
                "<!doctype html",
                "<html",
                "<head",
                "<body",
                "<script",
                "<title",
            ]) || is_markup && has(&["<html", "<head>", "<!doctype html"])
            {
                Self::WebPage
            } else if is_markup && has(&["<svg"]) {
                Self::Svg
            } else if is_markup && has(&["<error", "<code>"])
                || lower.starts_with('{') && has(&["\"error", "\"message\"", "\"detail\""])
            {
                Self::ServerError
            } else if starts(&["<?xml"]) {
                Self::Xml
            } else if starts(&["{", "["]) {
                Self::Json
            } else {
                return None;
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_and_documents_are_recognized() {
        let tar = [vec![b'a'; 257], b"ustar".to_vec()].concat();
        for (head, kind) in [
            (&b"PK\x03\x04"[..], Some(FileKind::Zip)),
            (&tar, Some(FileKind::Tar)),
            (b"Rar!\x1a\x07", Some(FileKind::Rar)),
            (b"\x20\x20-lh5-", Some(FileKind::Lha)),
            (b"SQLite format 3\0", Some(FileKind::Sqlite)),
            (b"\0\x05\x16\x07", Some(FileKind::AppleDouble)),
            (b"\xff\xd8\xff\xe0", None),
            (b"", None),
        ] {
            assert_eq!(FileKind::of_head(head), kind, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn texts_in_place_of_files_are_recognized() {
        for (text, kind) in [
            ("\u{feff}\r\n <!DOCTYPE HTML><p>", Some(TextKind::WebPage)),
            (
                "<?xml version='1.0'?><!DOCTYPE html><html>",
                Some(TextKind::WebPage),
            ),
            ("<?xml version='1.0'?><svg></svg>", Some(TextKind::Svg)),
            (
                "<?xml version='1.0'?><Error><Code>AccessDenied",
                Some(TextKind::ServerError),
            ),
            ("{\"message\": \"Not Found\"}", Some(TextKind::ServerError)),
            ("{\"id\": 1}", Some(TextKind::Json)),
            ("<?xml version='1.0'?><opencv_storage>", Some(TextKind::Xml)),
            (
                "version https://git-lfs.github.com/spec/v1",
                Some(TextKind::GitLfsPointer),
            ),
            (
                "/annex/objects/SHA256E-s9--00",
                Some(TextKind::GitAnnexPointer),
            ),
            ("hello", None),
        ] {
            assert_eq!(TextKind::of(text), kind, "{text}");
        }
    }
}
