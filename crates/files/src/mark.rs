//! A mark in images, videos, HTML pages and arrays, by which a program distinguishes a file that it wrote earlier from
//! a file of the user.
//!
//! | format | mark |
//! |---|---|
//! | PNG, APNG | the first text chunk, with the keyword `Software` and a text that begins with `kaogan` |
//! | GIF | a comment at the end |
//! | WebP | an unknown chunk at the end |
//! | MP4 | a `free` box at the end |
//! | `.npz` | the comment of the archive |
//! | HTML | `<meta name="generator">` at its place in the first line of the head |
//! | CSV of a plot or of runs | its header, `series,...,error` |
//! | Markdown | a comment in its first line |
//!
//! Other programs that save such a file again drop the mark or move it, so that an edited copy counts as a file of the
//! user.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The text in every mark: the beginning of a PNG's `Software`, the comment of a `.npz`.
pub const NAME: &str = "kaogan";
/// The last bytes of a marked GIF: a comment and the trailer.
pub const GIF_END: &[u8] = b"!\xfe\x06kaogan\0;";
/// The last chunk of a marked WebP file.
pub const WEBP_CHUNK: &[u8] = b"KAOG\x06\0\0\0kaogan";
/// The last box of a marked MP4 file.
pub const MP4_BOX: &[u8] = b"\0\0\0\x0efreekaogan";
/// The first bytes of a marked HTML page.
pub const HTML_START: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" content=\"kaogan\">";
/// The first column in the header of a CSV file of a plot.
pub const CSV_START: &str = "series,";
/// The last column in the header of a CSV file of a plot.
pub const CSV_END: &str = ",error";

/// The first line of a marked Markdown file.
pub const MARKDOWN_START: &str = "<!-- kaogan -->\n";

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Number of bytes of the signature and the header chunk (`IHDR`) of a PNG.
const PNG_HEAD: usize = 8 + 25;
/// Number of bytes at the beginning of a file that contain the mark of a PNG, an HTML page or a table.
const HEAD: u64 = 1024;
/// Number of bytes at the end of a file that contain the marks of other formats.
const TAIL: u64 = 64;

/// Whether a file has the mark of its format. False for a folder, or a file that cannot be read.
pub fn is_marked(path: &Path) -> bool {
    let read = || -> io::Result<(Vec<u8>, Vec<u8>)> {
        // Opening a pipe would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut file = File::open(path)?;
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        file.by_ref().take(HEAD).read_to_end(&mut head)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        file.take(TAIL).read_to_end(&mut tail)?;
        Ok((head, tail))
    };
    read().is_ok_and(|(head, tail)| has_mark(&head, &tail))
}

fn has_mark(head: &[u8], tail: &[u8]) -> bool {
    if head.starts_with(PNG_MAGIC) {
        return is_png_marked(head);
    }
    if head.starts_with(b"GIF8") {
        return tail.ends_with(GIF_END);
    }
    if head.starts_with(b"RIFF") {
        return head.get(8..12) == Some(b"WEBP") && tail.ends_with(WEBP_CHUNK);
    }
    if head.get(4..8) == Some(b"ftyp") {
        return tail.ends_with(MP4_BOX);
    }
    if head.starts_with(b"PK\x03\x04") {
        let comment = [&[NAME.len() as u8, 0], NAME.as_bytes()].concat();
        return tail.ends_with(&comment);
    }
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
    head.starts_with(HTML_START.as_bytes())
        || head.starts_with(MARKDOWN_START.as_bytes())
        || (first_line.starts_with(CSV_START.as_bytes())
            && first_line.ends_with(CSV_END.as_bytes())
            && first_line.len() < head.len())
}

fn is_png_marked(head: &[u8]) -> bool {
    const ANIMATION_CHUNK: usize = 20;
    let chunk = |at: usize| head.get(at + 4..at + 8);
    let at = match chunk(PNG_HEAD) {
        Some(b"acTL") => PNG_HEAD + ANIMATION_CHUNK,
        _ => PNG_HEAD,
    };
    let text = [b"Software\0", NAME.as_bytes()].concat();
    chunk(at) == Some(b"tEXt") && head[at + 8..].starts_with(&text)
}

/// A copy of a PNG with the mark. Bytes that are not a PNG are returned unchanged.
pub fn mark_png(png: &[u8]) -> Vec<u8> {
    let Some((head, rest)) = png
        .split_at_checked(PNG_HEAD)
        .filter(|(head, _)| head.starts_with(PNG_MAGIC))
    else {
        return png.to_vec();
    };
    let chunk = [&b"tEXtSoftware\0"[..], NAME.as_bytes()].concat();
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let crc = crc32fast::hash(&chunk).to_be_bytes();
    [head, &length, &chunk, &crc, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        is_marked(file.path())
    }

    /// One black pixel. Origin: Pillow 13.0.0, `Image.new("L", (1, 1)).save(...)`.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82";

    #[test]
    fn marks_are_known_in_every_format() {
        let long = vec![7; 5000];
        for bytes in [
            mark_png(PNG),
            [b"GIF89a", &long[..], GIF_END].concat(),
            [b"RIFF\0\0\0\0WEBP", &long[..], WEBP_CHUNK].concat(),
            [b"\0\0\0\x20ftypisom", &long[..], MP4_BOX].concat(),
            [b"PK\x03\x04", &long[..], b"\x06\0kaogan"].concat(),
            [HTML_START.as_bytes(), &long].concat(),
            b"series,kimg,fid50k_full,error\na,1,2,\n".to_vec(),
        ] {
            assert!(of(&bytes), "{}", bytes[..20].escape_ascii());
            // Change one byte of the mark, which is at the end or near the beginning.
            let at = bytes.windows(6).rposition(|w| w == b"kaogan");
            if let Some(at) = at {
                let mut other = bytes.clone();
                other[at] = b'K';
                assert!(!of(&other), "{}", bytes[..20].escape_ascii());
            }
        }
    }

    #[test]
    fn files_of_the_user_are_not_taken_for_ours() {
        for bytes in [
            &b""[..],
            PNG,
            b"notes about kaogan",
            b"<!doctype html>\n<html><head><meta name=\"generator\" content=\"kaogan\">",
            b"GIF89a;",
            b"series,kimg",
            b"series,a,error",
            b"kimg,fid,error\n",
            b"PK\x05\x06\0\0",
            b"RIFF\0\0\0\0WAVEKAOG\x06\0\0\0kaogan",
        ] {
            assert!(!of(bytes), "{}", bytes.escape_ascii());
        }
        // ImageMagick, when it saves our PNG again, writes its own chunks first.
        let marked = mark_png(PNG);
        let (head, rest) = marked.split_at(PNG_HEAD);
        let gamma = b"\0\0\0\x04gAMA\0\0\xb1\x8f\x0b\xfc\x61\x05";
        assert!(!of(&[head, gamma, rest].concat()));
        assert!(!is_marked(Path::new("/")) && !is_marked(Path::new("no such file")));
    }

    #[test]
    fn the_mark_of_a_png_is_a_text_of_the_format() {
        let marked = mark_png(PNG);
        assert_eq!(marked.len(), PNG.len() + 12 + 15);
        // Origin: zlib.crc32(b"tEXtSoftware\0kaogan").
        let at = PNG_HEAD + 8 + 15;
        assert_eq!(marked[at..at + 4], 0xef4c_d2b6u32.to_be_bytes());
        assert_eq!(marked[at + 4..], PNG[PNG_HEAD..]);
        assert_eq!(mark_png(b"text"), b"text");
    }
}
