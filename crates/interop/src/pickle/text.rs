//! Decodes the numbers and texts of pickles.

use super::node::Node;

/// Decodes an integer in little-endian two's complement (LONG1, LONG4); [`Node::BigInt`] for more than 8 bytes.
pub(super) fn long<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::BigInt;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut le = [if negative { 0xff } else { 0 }; 8];
    le[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(le))
}

/// Decodes Python 2's `repr` of a byte string, given without its quotes; `None` for an incomplete escape.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.next()? {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'x' => {
                let (hi, lo) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                out.push((hi * 16 + lo) as u8);
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// Decodes Python's `raw-unicode-escape`: latin-1 with `\uXXXX` and `\UXXXXXXXX`; `None` for a bad escape.
pub(super) fn raw_unicode(raw: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let digits = match raw[i..] {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => {
                out.push(char::from(raw[i]));
                i += 1;
                continue;
            }
        };
        let code = raw
            .get(i + 2..i + 2 + digits)?
            .iter()
            .try_fold(0u32, |n, &b| Some((n << 4) | hex(b)?))?;
        out.push(char::from_u32(code)?);
        i += 2 + digits;
    }
    Some(out)
}

fn hex(b: u8) -> Option<u32> {
    char::from(b).to_digit(16)
}

/// The first 40 characters of a text from the file, escaped, for an error message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}
