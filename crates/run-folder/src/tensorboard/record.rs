//! Records of an event file: length (u64), checksum of it, content, checksum of that.
//!
//! Checksums are CRC-32C, rotated and shifted as TensorFlow does.

use crc::{CRC_32_ISCSI, Crc};

pub(super) const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Number of bytes before the content of a record: its length and the checksum of the length.
pub(super) const HEAD: usize = 12;

/// The bytes of a record.
pub(super) fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked(content).to_le_bytes());
    record
}

/// Number of bytes up to the first record that is damaged or cut.
pub(crate) fn whole_length(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Record::Whole(content) = split_record(&bytes[end..]) {
        end += HEAD + content.len() + 4;
    }
    end
}

/// The record at the beginning of some bytes.
pub(super) enum Record<'a> {
    /// The content of a record whose checksums fit.
    Whole(&'a [u8]),
    /// The checksum of the length fits, that of the content does not; number of bytes of the record.
    Damaged(usize),
    /// The checksum of the length fits, the file ends before the end of the record.
    Cut,
    /// Not the beginning of a record.
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

/// The length of a record's content, when its checksum fits.
pub(super) fn checked_length(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<4>()?;
    let fits = u32::from_le_bytes(*sum) == masked(length);
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    // No real record is larger; sums of this must not overflow.
    (fits && length <= 1 << 40).then_some(length)
}

/// Bytes to skip to the next whole record. `budget` is how many bytes of contents may still be summed.
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

/// The checksum of bytes as TensorFlow stores it.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    CRC32C
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
