//! The records of an event file: content length (u64), its checksum, content, the content's checksum; little-endian.
//!
//! Checksums are CRC-32C values, rotated and offset as TensorFlow does ([`masked`]).

use crc::{CRC_32_ISCSI, Crc};

pub(super) const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Size of a record's header in bytes: the length of the content and the checksum of that length.
pub(super) const HEAD: usize = 12;

/// Encodes `content` as a record.
pub(super) fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked(content).to_le_bytes());
    record
}

/// Number of bytes before the first record that is damaged or cut short.
pub(crate) fn whole_length(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Record::Whole(content) = split_record(&bytes[end..]) {
        end += HEAD + content.len() + 4;
    }
    end
}

/// The result of reading a record from the beginning of a byte slice.
pub(super) enum Record<'a> {
    /// A complete record with correct checksums; holds its content.
    Whole(&'a [u8]),
    /// The length is correct, but the checksum of the content is wrong; holds the size of the whole record in bytes.
    Damaged(usize),
    /// The length is correct, but the bytes end before the end of the record.
    Cut,
    /// The bytes do not begin with a record.
    None,
}

/// Reads the record at the beginning of `bytes`.
pub(super) fn split_record(bytes: &[u8]) -> Record<'_> {
    let Some(length) = checked_length(bytes) else {
        return Record::None;
    };
    let content = bytes[HEAD..].split_at_checked(length);
    let Some((content, sum)) = content.and_then(|(c, rest)| Some((c, rest.first_chunk()?))) else {
        return Record::Cut;
    };
    match u32::from_le_bytes(*sum) == masked(content) {
        true => Record::Whole(content),
        false => Record::Damaged(HEAD + length + 4),
    }
}

/// The length in bytes of a record's content, from its header; `None` when its checksum is wrong or bytes are missing.
pub(super) fn checked_length(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<4>()?;
    let fits = u32::from_le_bytes(*sum) == masked(length);
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    // Real records are smaller than 1 TiB, and sums of such lengths cannot overflow.
    (fits && length <= 1 << 40).then_some(length)
}

/// Number of bytes to skip to reach the next complete record; `None` when there is none. `budget` is the number of
/// content bytes whose checksums may still be computed; the search ends when it is used up.
pub(super) fn next_record(bytes: &[u8], budget: &mut usize) -> Option<usize> {
    for at in 1..bytes.len().saturating_sub(HEAD) {
        let rest = &bytes[at..];
        let Some(length) = checked_length(rest).filter(|length| *length <= rest.len()) else {
            continue;
        };
        *budget = budget.checked_sub(length)?;
        if matches!(split_record(rest), Record::Whole(_)) {
            return Some(at);
        }
    }
    None
}

/// The masked CRC-32C checksum, as TensorFlow stores it.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    CRC32C
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
