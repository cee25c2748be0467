//! A zip whose directory is read once, so that many threads can read its members.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::DeflateDecoder;

use crate::error::ArchiveError;
use crate::kind::{ArchiveKind, describe};
use crate::shared_file::SharedFile;
use crate::zip_directory::{ZipMember, read_directory};

/// A zip on disk. Clones share the open file and the directory.
#[derive(Clone, Debug)]
pub struct ZipFile {
    file: SharedFile,
    members: Arc<Vec<ZipMember>>,
}

impl ZipFile {
    /// Opens a zip and reads its directory.
    ///
    /// # Errors
    /// [`ArchiveError`] when the file cannot be read, is of another kind, cut short or damaged.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = SharedFile::open(path)?;
        let Some(members) = read_directory(&file)? else {
            // The record that ends a zip is missing. The first bytes tell whether the file is the beginning of a zip.
            let head = file.read_range(0, 512)?;
            return Err(match ArchiveKind::of_head(&head) {
                Some(ArchiveKind::Zip) => ArchiveError::CutShort(
                    "the list of its members, which is the end of a zip, is missing".to_owned(),
                ),
                _ if head.starts_with(b"PK\x07\x08") => ArchiveError::Unsupported(
                    "the first part of a zip in several parts: join them first".to_owned(),
                ),
                _ => ArchiveError::NotAnArchive(describe(&head, file.len())),
            });
        };
        Ok(Self {
            file,
            members: Arc::new(members),
        })
    }

    /// All records of the directory in its order, including folders.
    pub fn members(&self) -> &[ZipMember] {
        &self.members
    }

    /// The unpacked bytes of a member, checked against its checksum.
    ///
    /// # Errors
    /// [`ArchiveError`] when it is damaged, encrypted, a link, or packed by a method other than deflate.
    ///
    /// # Panics
    /// When `index` is not an index into [`members`](Self::members).
    pub fn read(&self, index: usize) -> Result<Vec<u8>, ArchiveError> {
        self.read_limited(index, u64::MAX)
    }

    /// The first `limit` unpacked bytes of a member; they are checked against its checksum only when `limit` is larger
    /// than its size.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn read_limited(&self, index: usize, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let member = &self.members[index];
        refuse(member)?;
        let start = self.data_start(member)?;
        let is_all = limit > member.size;
        let wanted = member.size.min(limit);
        let bytes = if member.method == STORED {
            self.file.read_range(start, wanted)?
        } else {
            // Read one byte more than the stated size, to notice members that are longer.
            let source = self.file.at(start).take(member.packed_size);
            let decoder = DeflateDecoder::new(BufReader::with_capacity(32 << 10, source));
            let mut bytes = Vec::with_capacity((wanted.min(16 << 20) + 1) as usize);
            decoder
                .take(wanted + u64::from(is_all))
                .read_to_end(&mut bytes)
                .map_err(|e| match e.raw_os_error() {
                    Some(_) => ArchiveError::from(e),
                    None => ArchiveError::Damaged(format!("it cannot be unpacked ({e})")),
                })?;
            bytes
        };
        if bytes.len() as u64 != wanted {
            let found = bytes.len();
            return Err(ArchiveError::Damaged(format!(
                "{found} bytes instead of the {wanted} that the zip's directory tells"
            )));
        }
        if is_all && crc32fast::hash(&bytes) != member.crc32 {
            return Err(ArchiveError::Damaged(
                "its checksum is not that of the zip's directory".to_owned(),
            ));
        }
        Ok(bytes)
    }

    /// Offset in the file of the first packed byte of a member.
    fn data_start(&self, member: &ZipMember) -> Result<u64, ArchiveError> {
        const BYTES: u64 = 30;
        let header = self.file.read_range(member.header, BYTES)?;
        let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        if header.len() as u64 != BYTES || !header.starts_with(b"PK\x03\x04") {
            return Err(ArchiveError::Damaged(
                "there is no member where the zip's directory tells".to_owned(),
            ));
        }
        let start = member.header + BYTES + length(26) + length(28);
        let end = start.checked_add(member.packed_size);
        if end.is_none_or(|end| end > self.file.len()) {
            return Err(ArchiveError::CutShort(
                "the zip ends before this member does".to_owned(),
            ));
        }
        Ok(start)
    }
}

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

fn refuse(member: &ZipMember) -> Result<(), ArchiveError> {
    const ENCRYPTED: u16 = 1;
    const AES: u16 = 99;
    let unsupported = |text: String| Err(ArchiveError::Unsupported(text));
    if member.flags & ENCRYPTED != 0 || member.method == AES {
        return unsupported("encrypted: unpack the zip with its password first".to_owned());
    }
    if !matches!(member.method, STORED | DEFLATED) {
        let method = match member.method {
            1 => "Shrink",
            2..=5 => "Reduce",
            6 => "Implode",
            9 => "Deflate64",
            12 => "bzip2",
            14 => "LZMA",
            20 | 93 => "Zstandard",
            95 => "XZ",
            96 => "JPEG recompression",
            97 => "WavPack",
            98 => "PPMd",
            _ => "an unknown method",
        };
        return unsupported(format!(
            "packed by {method} (method {}), which is not supported: pack the zip anew with deflate",
            member.method
        ));
    }
    if member.is_overlapping {
        return Err(ArchiveError::Damaged(
            "its bytes are also those of the next member".to_owned(),
        ));
    }
    if member.is_link {
        return unsupported("a link to another file: pack that file itself".to_owned());
    }
    if member.method == STORED && member.size != member.packed_size {
        return Err(ArchiveError::Damaged(
            "two sizes for one stored member".to_owned(),
        ));
    }
    Ok(())
}
