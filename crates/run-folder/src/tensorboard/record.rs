//! Records of an event file: length (u64), checksum of it, content, checksum of that.
//!
//! Checksums are CRC-32C, rotated and shifted as TensorFlow does.

use crc::{CRC_32_ISCSI, Crc};

pub(super) const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bytes before the content of a record: its length and the checksum of that.
pub(super) const HEAD: usize = 12;

/// Length, its checksum, content, its checksum.
pub(super) fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked(content).to_le_bytes());
    record
}

/// Bytes up to the end of the last record before which all checksums fit.
pub(crate) fn whole_length(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Record::Whole(content) = split_record(&bytes[end..]) {
        end += HEAD + content.len() + 4;
    }
    end
}

/// The beginning of some bytes, taken for a record.
pub(super) enum Record<'a> {
    /// Both checksums fit; the content.
    Whole(&'a [u8]),
    /// The length is right, the content is not; bytes of all of it.
    Damaged(usize),
    /// The length is right, the file ends before it.
    Cut,
    /// Not the beginning of a record.
    None,
}

/// Takes apart the record that `bytes` begin with.
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

/// The length in front of a record, when its checksum fits.
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
