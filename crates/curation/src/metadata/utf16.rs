//! UTF-16 to UTF-8, piece by piece.

use std::io::{self, Read};

/// The UTF-8 of a text in UTF-16; what is no text becomes U+FFFD.
pub(super) struct Utf16<R> {
    source: R,
    is_little: bool,
    /// UTF-8 that was not taken yet, from `taken`.
    ready: Vec<u8>,
    taken: usize,
    /// An odd byte, or the first half of a character, of the piece before.
    rest: Vec<u8>,
}

const PIECE: usize = 1 << 16;

impl<R: Read> Utf16<R> {
    /// Reads `source`, which begins behind the byte-order mark.
    pub(super) fn new(source: R, is_little: bool) -> Self {
        Self {
            source,
            is_little,
            ready: Vec::new(),
            taken: 0,
            rest: Vec::new(),
        }
    }

    /// Decodes the next piece; whether it was the last.
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = std::mem::take(&mut self.rest);
        let before = bytes.len();
        let n = self
            .source
            .by_ref()
            .take(PIECE as u64)
            .read_to_end(&mut bytes)?;
        let is_end = n == 0;
        if is_end && before == 0 {
            return Ok(true);
        }
        let unit = |pair: &[u8]| match self.is_little {
            true => u16::from_le_bytes([pair[0], pair[1]]),
            false => u16::from_be_bytes([pair[0], pair[1]]),
        };
        let mut whole = bytes.len() / 2 * 2;
        if !is_end && whole >= 2 && (0xd800..0xdc00).contains(&unit(&bytes[whole - 2..whole])) {
            whole -= 2;
        }
        let units = bytes[..whole].chunks_exact(2).map(unit);
        let text: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        if !is_end {
            self.rest = bytes[whole..].to_vec();
        }
        self.ready = text.into_bytes();
        self.taken = 0;
        Ok(is_end)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
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

    #[test]
    fn pieces_join_to_the_text() {
        // Characters of two units at every offset, and pieces of every size that a reader may give.
        let text = format!("a{}é", "\u{1f431}b".repeat(40_000));
        for (is_little, n) in [(true, 1), (false, 3), (true, 70_001), (false, 1 << 20)] {
            let units = text.encode_utf16();
            let bytes: Vec<u8> = units
                .flat_map(|u| {
                    if is_little {
                        u.to_le_bytes()
                    } else {
                        u.to_be_bytes()
                    }
                })
                .collect();
            struct Pieces<'a>(&'a [u8], usize);
            impl Read for Pieces<'_> {
                fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                    let n = bytes.len().min(self.1);
                    self.0.read(&mut bytes[..n])
                }
            }
            let mut decoded = String::new();
            let mut reader = Utf16::new(Pieces(&bytes, n), is_little);
            reader.read_to_string(&mut decoded).unwrap();
            assert!(decoded == text, "{n}");
        }
        let mut decoded = String::new();
        let odd = [b'a', 0, 0x00, 0xd8, b'b', 0, 7];
        Utf16::new(&odd[..], true)
            .read_to_string(&mut decoded)
            .unwrap();
        assert_eq!(decoded, "a\u{fffd}b");
    }
}
