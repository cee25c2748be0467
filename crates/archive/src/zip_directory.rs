//! Reads the central directory of a zip, which is found by searching back from the end of the file. Each record of the
//! directory becomes a member.
//!
//! The `zip` crate is not used for this, because it keeps only one record for each name: other members of that name
//! could not be read.

use crate::error::ArchiveError;
use crate::names::CodePage;
use crate::shared_file::SharedFile;

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const END64_LOCATOR: &[u8] = b"PK\x06\x07";
const RECORD: &[u8] = b"PK\x01\x02";
const SIGNATURE: &[u8] = b"PK\x05\x05";
const RECORD_BYTES: usize = 46;

/// Largest directory in bytes, which is read into memory as a whole: 20 million members with names of 60 bytes.
const MAX_BYTES: u64 = 2 << 30;

/// The name of a zip member as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipName {
    /// Its bytes, from the Info-ZIP Unicode path field where there is one.
    pub raw: Vec<u8>,
    /// Code page of the name where its bytes are not UTF-8.
    pub page: CodePage,
}

/// One record of the directory of a zip.
#[derive(Clone, Debug)]
pub struct ZipMember {
    /// Its name.
    pub name: ZipName,
    /// Number of bytes when unpacked.
    pub size: u64,
    /// Number of bytes in the zip, packed.
    pub packed_size: u64,
    /// CRC-32 of the unpacked bytes.
    pub crc32: u32,
    /// Compression method: 0 stored, 8 deflate.
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) is_link: bool,
    /// Offset of its local header in the file.
    pub(crate) header: u64,
    /// Whether its bytes overlap those of the next member, which no valid zip has.
    pub(crate) is_overlapping: bool,
}

impl ZipMember {
    /// Whether the member is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.name.raw.last(), Some(b'/' | b'\\')) && self.size == 0
    }
}

/// Reads the directory of a zip.
///
/// Data before the zip (as in a self-extracting program) and a comment after it are accepted.
///
/// `None` when the file does not have the record that ends a zip.
pub(crate) fn read_directory(file: &SharedFile) -> Result<Option<Vec<ZipMember>>, ArchiveError> {
    let Some(end) = find_end(file)? else {
        return Ok(None);
    };
    let start = end
        .before
        .checked_sub(end.size)
        .ok_or_else(|| ArchiveError::CutShort("the beginning of the zip is missing".to_owned()))?;
    let shift = start.checked_sub(end.offset).ok_or_else(|| {
        ArchiveError::CutShort("some of the zip is missing before its end".to_owned())
    })?;
    if end.size > MAX_BYTES {
        return Err(ArchiveError::Damaged(format!(
            "its directory is said to have {} bytes, and at most {} MiB are read",
            end.size,
            MAX_BYTES >> 20
        )));
    }
    let directory = file.read_range(start, end.size)?;
    let mut members = Vec::with_capacity((end.size as usize / (RECORD_BYTES + 20)).min(1 << 24));
    let mut rest = directory.as_slice();
    // A signature of the whole directory may follow the records.
    while !rest.is_empty() && !rest.starts_with(SIGNATURE) {
        let (member, behind) = read_record(rest, shift).ok_or_else(|| {
            ArchiveError::Damaged(format!(
                "record {} of the zip's directory is no record",
                members.len()
            ))
        })?;
        members.push(member);
        rest = behind;
    }
    mark_overlapping(&mut members);
    Ok(Some(members))
}

/// Marks members whose bytes overlap those of the next one. Such zips can unpack to any multiple of their size, even
/// where each member alone is packed to a plausible size.
///
/// The length of the name in a local header is not known here, so each member is taken to have only the fixed part of
/// that header and its packed bytes.
fn mark_overlapping(members: &mut [ZipMember]) {
    const LOCAL_HEADER: u64 = 30;
    let mut order: Vec<usize> = (0..members.len()).collect();
    // A folder at the same position as a file comes before it.
    order.sort_by_key(|&i| (members[i].header, members[i].packed_size, i));
    for pair in order.windows(2) {
        let next = members[pair[1]].header;
        let member = &mut members[pair[0]];
        let end = member.header.saturating_add(LOCAL_HEADER);
        member.is_overlapping = end.saturating_add(member.packed_size) > next;
    }
}

/// Size and position of the directory, from the record that ends a zip.
struct End {
    /// Offset in the file at which the directory ends.
    before: u64,
    size: u64,
    /// Offset of the directory, counted from the start of the zip.
    offset: u64,
}

fn find_end(file: &SharedFile) -> Result<Option<End>, ArchiveError> {
    const BYTES: usize = 22;
    const MAX_COMMENT: u64 = u16::MAX as u64;
    let tail_start = file.len().saturating_sub(BYTES as u64 + MAX_COMMENT);
    let tail = file.read_range(tail_start, file.len() - tail_start)?;
    let reaches_end = |at: &usize| {
        let comment = u16_at(&tail[*at..], 20).map_or(0, usize::from);
        at + BYTES + comment <= tail.len()
    };
    let mut positions = (0..tail.len().saturating_sub(BYTES - 1)).rev();
    let Some(at) = positions.find(|at| tail[*at..].starts_with(END) && reaches_end(at)) else {
        return Ok(None);
    };
    let field = |at: usize| u16_at(&tail, at).unwrap_or_default();
    let long = |at: usize| u32_at(&tail, at).map(u64::from).unwrap_or_default();
    let position = tail_start + at as u64;
    if let Some(end) = find_end64(file, position)? {
        return Ok(Some(end));
    }
    if field(at + 4) != 0 || field(at + 6) != 0 || field(at + 8) != field(at + 10) {
        return Err(multi_part());
    }
    Ok(Some(End {
        before: position,
        size: long(at + 12),
        offset: long(at + 16),
    }))
}

/// Reads the end of a zip64 from the two zip64 records before the plain end record, which is at offset `end`; `None`
/// when there are no such records.
fn find_end64(file: &SharedFile, end: u64) -> Result<Option<End>, ArchiveError> {
    let Some(locator_at) = end.checked_sub(20) else {
        return Ok(None);
    };
    let locator = file.read_range(locator_at, 20)?;
    if !locator.starts_with(END64_LOCATOR) {
        return Ok(None);
    }
    // The record is at the stated offset or, where other data come before the zip, right before its locator.
    let told = u64_at(&locator, 8).unwrap_or_default();
    for at in [told, locator_at.saturating_sub(56)] {
        let record = file.read_range(at, 56)?;
        if !record.starts_with(END64) {
            continue;
        }
        let field = |at| u64_at(&record, at).unwrap_or_default();
        if u64_at(&record, 16) != Some(0) || field(24) != field(32) {
            return Err(multi_part());
        }
        return Ok(Some(End {
            before: at,
            size: field(40),
            offset: field(48),
        }));
    }
    Err(ArchiveError::CutShort(
        "some of the zip is missing before its end".to_owned(),
    ))
}

fn multi_part() -> ArchiveError {
    ArchiveError::Unsupported(
        "one part of a zip in several parts: join them first (zip -s 0 parts.zip --out whole.zip)"
            .to_owned(),
    )
}

/// Reads a record at the beginning of `bytes`; returns the member and the bytes after the record. `shift` is the offset
/// of the zip in the file.
fn read_record(bytes: &[u8], shift: u64) -> Option<(ZipMember, &[u8])> {
    let bytes = bytes.strip_prefix(RECORD)?;
    let field = |at: usize| u16_at(bytes, at - RECORD.len());
    let long = |at: usize| u32_at(bytes, at - RECORD.len());
    let (name, extra, comment) = (field(28)?, field(30)?, field(32)?);
    let rest = bytes.get(RECORD_BYTES - RECORD.len()..)?;
    let (raw, rest) = rest.split_at_checked(name.into())?;
    let (extra, rest) = rest.split_at_checked(extra.into())?;
    let (_comment, rest) = rest.split_at_checked(comment.into())?;

    const UTF8: u16 = 1 << 11;
    const UNIX: u16 = 3;
    let flags = field(8)?;
    let mode = long(38)? >> 16;
    let mut member = ZipMember {
        name: ZipName {
            raw: raw.to_vec(),
            page: if flags & UTF8 == 0 {
                CodePage::Dos
            } else {
                CodePage::Unknown
            },
        },
        size: long(24)?.into(),
        packed_size: long(20)?.into(),
        crc32: long(16)?,
        method: field(10)?,
        flags,
        is_link: field(4)? >> 8 == UNIX && mode & 0o170_000 == 0o120_000,
        header: long(42)?.into(),
        is_overlapping: false,
    };
    read_extra(&mut member, extra);
    member.header = member.header.checked_add(shift)?;
    Some((member, rest))
}

/// Applies the extra fields of a record: sizes and positions beyond 4 GiB (zip64), and a name in UTF-8. Damaged and
/// unknown fields are skipped.
fn read_extra(member: &mut ZipMember, mut extra: &[u8]) {
    const ZIP64: u16 = 1;
    const UNICODE_PATH: u16 = 0x7075;
    while let (Some(id), Some(size)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(size)) else {
            return;
        };
        extra = &extra[4 + usize::from(size)..];
        match id {
            ZIP64 => {
                let mut at = 0;
                let wide = [
                    &mut member.size,
                    &mut member.packed_size,
                    &mut member.header,
                ];
                for value in wide {
                    if *value == u64::from(u32::MAX)
                        && let Some(wide) = u64_at(field, at)
                    {
                        *value = wide;
                        at += 8;
                    }
                }
            }
            UNICODE_PATH => {
                // Valid only if its checksum is that of the name in the record: a program that renamed the member may
                // have left an old field.
                let is_current = field.first() == Some(&1)
                    && u32_at(field, 1) == Some(crc32fast::hash(&member.name.raw));
                if let Some(name) = field.get(5..).filter(|_| is_current)
                    && std::str::from_utf8(name).is_ok_and(|name| !name.is_empty())
                {
                    member.name.raw = name.to_vec();
                }
            }
            _ => {}
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
