//! AC codes several at a time, where their values do not matter.

use super::huffman::{Bits, END_OF_BLOCK, Huffman};

/// Bits that are resolved with one table lookup.
const WINDOW: u32 = 12;

/// Lookup table by the next bits: the whole codes among them, with their values.
pub struct Runs {
    /// Bits of these codes (0: the first one is longer than the window), and coefficients to go on by.
    table: Vec<(u8, u8)>,
}

impl Runs {
    /// Prepares the table.
    pub fn new(code: &Huffman) -> Self {
        let table = (0..1u32 << WINDOW).map(|window| {
            let (mut n_bits, mut advance) = (0, 0);
            while n_bits < WINDOW && advance < END_OF_BLOCK {
                let Some(symbol) = code.short(window << (32 - WINDOW) << n_bits) else {
                    break;
                };
                let ends = u32::from(symbol.advance) == END_OF_BLOCK;
                let is_inside = n_bits + u32::from(symbol.n_bits) <= WINDOW;
                if !is_inside || (!ends && advance + u32::from(symbol.advance) > 63) {
                    break;
                }
                n_bits += u32::from(symbol.n_bits);
                advance += u32::from(symbol.advance);
            }
            (n_bits as u8, advance as u8)
        });
        Self {
            table: table.collect(),
        }
    }

    /// Goes through the AC coefficients of a block; none where the bits are no valid block.
    #[inline(always)]
    pub fn skip_block(&self, code: &Huffman, bits: &mut Bits<'_>) -> Option<()> {
        let mut position = 1;
        while position < 64 {
            bits.refill();
            let (n_bits, advance) = self.table[bits.peek(WINDOW) as usize];
            let next = position + u32::from(advance);
            // Codes after the last coefficient of the block belong to the next one.
            let is_inside = next <= 64 || (END_OF_BLOCK..END_OF_BLOCK + 64).contains(&next);
            if n_bits > 0 && is_inside {
                bits.consume(u32::from(n_bits));
                position = next;
            } else {
                let symbol = code.peek(bits)?;
                bits.consume(u32::from(symbol.n_bits));
                position += u32::from(symbol.advance);
            }
        }
        (position == 64 || position > END_OF_BLOCK).then_some(())
    }
}
