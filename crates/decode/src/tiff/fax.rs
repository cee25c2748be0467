//! Fax decompression, with the code tables of the `fax` crate. Output has one bit per pixel, 1 for black, the highest
//! bit of a byte first; each row starts with a new byte.

use fax::BitReader;
use fax::decoder::decode_g4;
use fax::maps::{black, white};

/// Decompresses rows of runs of white and black pixels (one-dimensional fax). Each row starts at a byte boundary if
/// `starts_bytes`, else after an end-of-line code that may be missing.
///
/// Returns false when the data have fewer rows than `out`.
pub fn rows(data: &[u8], width: usize, starts_bytes: bool, out: &mut [u8]) -> bool {
    let mut bits = Bits { data, at: 0 };
    for row in out.chunks_exact_mut(width.div_ceil(8)) {
        if starts_bytes {
            bits.at = bits.at.next_multiple_of(8);
        } else {
            bits.skip_end_of_line();
        }
        let (mut x, mut is_black) = (0, false);
        while x < width {
            let Some(length) = bits.run(is_black) else {
                return false;
            };
            let end = (x + length).min(width);
            if is_black {
                (x..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
            }
            (x, is_black) = (end, !is_black);
        }
    }
    true
}

/// Decompresses rows that are coded as changes from the row above (Group 4). Returns false when the data do not have
/// `height` rows.
pub fn group4(data: &[u8], width: usize, height: usize, out: &mut [u8]) -> bool {
    let (Ok(columns), Ok(rows)) = (u16::try_from(width), u16::try_from(height)) else {
        return false;
    };
    let mut targets = out.chunks_exact_mut(width.div_ceil(8));
    let mut n_rows = 0;
    decode_g4(data.iter().copied(), columns, Some(rows), |changes| {
        let Some(row) = targets.next() else { return };
        n_rows += 1;
        // White up to the first change, black up to the second.
        for pair in changes.chunks(2) {
            let start = usize::from(pair[0]).min(width);
            let end = pair
                .get(1)
                .map_or(width, |&end| usize::from(end).min(width));
            (start..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
        }
    });
    n_rows == height
}

struct Bits<'a> {
    data: &'a [u8],
    /// Number of bits that have been read.
    at: usize,
}

impl Bits<'_> {
    /// Skips an end-of-line code (at least 11 zeros, then a one), if one is next.
    fn skip_end_of_line(&mut self) {
        if self.peek(11) == Some(0) {
            while self.peek(1) == Some(0) {
                self.at += 1;
            }
            self.at += 1;
        }
    }

    /// The length of the next run in pixels: codes for multiples of 64, then one for the rest; `None` if no code
    /// matches.
    fn run(&mut self, is_black: bool) -> Option<usize> {
        let mut length = 0;
        loop {
            let part = if is_black {
                black::decode(self)?
            } else {
                white::decode(self)?
            };
            length += usize::from(part);
            if part < 64 {
                return Some(length);
            }
        }
    }
}

impl BitReader for Bits<'_> {
    type Error = ();

    /// Returns the next `bits` bits without consuming them, with zeros after the last byte; `None` once all bytes are
    /// consumed.
    fn peek(&self, bits: u8) -> Option<u16> {
        if self.at >= self.data.len() * 8 {
            return None;
        }
        let byte = |i: usize| u32::from(self.data.get(self.at / 8 + i).copied().unwrap_or(0));
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        let all = all << (self.at % 8) & 0xff_ffff;
        Some((all >> (24 - u32::from(bits))) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), ()> {
        self.at += usize::from(bits);
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        ((8 - self.at % 8) % 8) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White 3, black 2, white 3: by Table 2 of ITU-T T.4 1000, 11, 1000.
    #[test]
    fn rows_are_runs() {
        let mut out = [0; 2];
        let bits = [0b1000_1110, 0b0000_0000, 0b1000_1110, 0];
        assert!(rows(&bits, 8, true, &mut out));
        assert_eq!(out, [0b0001_1000; 2]);
        assert!(!rows(&bits[..2], 8, true, &mut out));
        // The same between end-of-line codes: 000000000001 1000 11 1000.
        let bits = [0x00, 0x18, 0xe0, 0x00, 0x06, 0x38];
        let mut out = [0; 2];
        assert!(rows(&bits, 8, false, &mut out));
        assert_eq!(out, [0b0001_1000; 2]);
    }
}
