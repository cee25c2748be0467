//! Hexadecimal text.

use std::fmt::Write;

/// The bytes as lower-case hexadecimal digits, two for each byte.
///
/// ```
/// assert_eq!(files::hex(&[0, 0xab]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
