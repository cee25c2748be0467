//! Skips AC coefficients, several Huffman codes per table lookup, where their values are not needed.

use super::huffman::{Bits, END_OF_BLOCK, Huffman};

/// Number of bits that one table lookup resolves.
const WINDOW: u32 = 12;

/// Lookup table of AC codes, indexed by the next 12 bits. An entry covers all codes that fit into these bits together
/// with their values.
pub struct Runs {
    /// For each entry: number of bits of its codes and values (0 if the first code with its value does not fit), and
    /// number of coefficients that they cover, plus [`END_OF_BLOCK`] if they end the block.
    table: Vec<(u8, u8)>,
}

impl Runs {
    /// Builds the table of an AC code.
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

    /// Skips the AC coefficients of a block; `None` where the bits are not a valid block.
    #[inline(always)]
    pub fn skip_block(&self, code: &Huffman, bits: &mut Bits<'_>) -> Option<()> {
        let mut position = 1;
        while position < 64 {
            bits.refill();
            let (n_bits, advance) = self.table[bits.peek(WINDOW) as usize];
            let next = position + u32::from(advance);
            // An entry that goes beyond the last coefficient holds codes of the next block; then one code is read
            // alone.
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
