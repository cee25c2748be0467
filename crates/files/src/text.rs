//! Decodes text in UTF-8, or in UTF-16 with a byte-order mark, as programs of Windows write it.

use std::borrow::Cow;
use std::io::{self, Read};

/// Order of the bytes in a unit of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The low byte first, after the mark FF FE.
    Little,
    /// The high byte first, after the mark FE FF.
    Big,
}

impl ByteOrder {
    /// The byte order that a UTF-16 byte-order mark at the start of `bytes` gives; `None` without one.
    pub fn of_mark(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] => Some(Self::Big),
            _ => None,
        }
    }

    fn unit(self, pair: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        }
    }

    /// Decodes UTF-16. Invalid sequences become U+FFFD; a single byte at the end is left out.
    fn decode(self, bytes: &[u8]) -> String {
        let (pairs, _) = bytes.as_chunks::<2>();
        char::decode_utf16(pairs.iter().map(|&pair| self.unit(pair)))
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

/// Converts the bytes of a text file to UTF-8 without a byte-order mark: UTF-16 with a mark is converted, other bytes
/// are returned as they are and may not be UTF-8.
pub fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match ByteOrder::of_mark(bytes) {
        Some(order) => order.decode(&bytes[2..]).into_bytes().into(),
        None => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).into(),
    }
}

/// Decodes the bytes of a text file, without its byte-order mark. Invalid sequences become U+FFFD.
///
/// ```
/// assert_eq!(files::decode_text(b"\xff\xfea\0b\0"), "ab");
/// ```
pub fn decode_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&to_utf8(bytes)).into_owned()
}

/// Reader that converts UTF-16 to UTF-8 piece by piece, for files that do not fit into memory.
///
/// Invalid sequences become U+FFFD.
#[derive(Debug)]
pub struct Utf16Reader<R> {
    source: R,
    order: ByteOrder,
    /// Decoded UTF-8; the bytes from index `taken` on are not read yet.
    ready: Vec<u8>,
    taken: usize,
    /// A single byte, or the first half of a surrogate pair, at the end of the previous piece.
    rest: Vec<u8>,
}

/// Number of bytes that are decoded at a time.
const PIECE: u64 = 1 << 16;

impl<R: Read> Utf16Reader<R> {
    /// A reader of `source`, which begins after the byte-order mark.
    pub fn new(source: R, order: ByteOrder) -> Self {
        Self {
            source,
            order,
            ready: Vec::new(),
            taken: 0,
            rest: Vec::new(),
        }
    }

    /// Decodes the next piece. Returns whether it was the last.
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = std::mem::take(&mut self.rest);
        let n = self.source.by_ref().take(PIECE).read_to_end(&mut bytes)?;
        let is_end = n == 0;
        let mut whole = bytes.len() / 2 * 2;
        let is_first_half = |pair: &[u8]| {
            let unit = self.order.unit([pair[0], pair[1]]);
            (0xd800..0xdc00).contains(&unit)
        };
        if !is_end && whole >= 2 && is_first_half(&bytes[whole - 2..whole]) {
            whole -= 2;
        }
        if !is_end {
            self.rest = bytes[whole..].to_vec();
        }
        self.ready = self.order.decode(&bytes[..whole]).into_bytes();
        self.taken = 0;
        Ok(is_end)
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            if self.fill()? {
                break;
            }
        }
        let n = bytes.len().min(self.ready.len() - self.taken);
        bytes[..n].copy_from_slice(&self.ready[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |unit: u16| match order {
            ByteOrder::Little => unit.to_le_bytes(),
            ByteOrder::Big => unit.to_be_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// A reader that returns at most so many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.1);
            self.0.read(&mut bytes[..n])
        }
    }

    #[test]
    fn pieces_join_to_the_text() {
        // Characters of two units at every offset, and pieces of every size that a reader may give.
        let text = format!("a{}é", "\u{1f431}b".repeat(40_000));
        for (order, n) in [
            (ByteOrder::Little, 1),
            (ByteOrder::Big, 3),
            (ByteOrder::Little, 70_001),
            (ByteOrder::Big, 1 << 20),
        ] {
            let bytes = encode(&text, order);
            let mut decoded = String::new();
            let mut reader = Utf16Reader::new(Pieces(&bytes, n), order);
            reader.read_to_string(&mut decoded).unwrap();
            assert!(decoded == text, "{n}");
        }
    }

    #[test]
    fn halves_of_characters_and_of_units_are_replaced_or_left_out() {
        let odd = [b'a', 0, 0x00, 0xd8, b'b', 0, 7];
        let mut decoded = String::new();
        Utf16Reader::new(&odd[..], ByteOrder::Little)
            .read_to_string(&mut decoded)
            .unwrap();
        assert_eq!(decoded, "a\u{fffd}b");
        assert_eq!(
            decode_text(&[&[0xff, 0xfe], &odd[..]].concat()),
            "a\u{fffd}b"
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_stay() {
        assert_eq!(*to_utf8(b"\xef\xbb\xbfa"), *b"a");
        assert_eq!(*to_utf8(b"a\xe9"), *b"a\xe9");
        assert_eq!(decode_text(b"a\xe9"), "a\u{fffd}");
    }
}
