//! Lines of JSON that carry their own checksum.

use serde::{Deserialize, Serialize};
use std::io;

/// Text between the other members of an object and its checksum.
pub(super) const CHECKSUM_FIELD: &[u8] = b",\"crc\":\"";

/// Writes an object as a line of JSON whose last member, `crc`, is the CRC-32 of the text before it.
///
/// # Errors
/// When `value` cannot be written as JSON.
pub(crate) fn with_checksum(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.pop();
    let crc = crc32fast::hash(&line);
    line.extend_from_slice(CHECKSUM_FIELD);
    line.extend_from_slice(format!("{crc:08x}\"}}\n").as_bytes());
    Ok(line)
}

/// Reads a line that [`with_checksum`] wrote; `None` when it does not match its checksum or does not hold a `T`.
pub(crate) fn without_checksum<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let line = line.strip_suffix(b"\"}\n")?;
    let (line, crc) = line.split_at_checked(line.len().checked_sub(8)?)?;
    let line = line.strip_suffix(CHECKSUM_FIELD)?;
    if format!("{:08x}", crc32fast::hash(line)).as_bytes() != crc {
        return None;
    }
    let mut object = line.to_vec();
    object.push(b'}');
    serde_json::from_slice(&object).ok()
}
