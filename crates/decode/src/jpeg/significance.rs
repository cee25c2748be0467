//! Checks whether progressive files are complete, without keeping their coefficients.
//!
//! In a truncated file, scans are missing or the last scan is cut, so it suffices to read the last scan to its end. If
//! this scan refines AC coefficients, its length depends on which coefficients of its component are nonzero; only then
//! the AC scans of this component before it are read, too.

use super::entropy::{BlockDecoder, read_scan, stored_blocks};
use super::huffman::{Bits, Huffman};
use super::markers::{Scan, Structure};
use super::progressive::{Codes, Precision, advance, check_complete, codes};
use crate::DecodeError;

/// Checks that all scans of a progressive file are there and complete.
///
/// # Errors
/// As `progressive::decode`.
pub fn verify(structure: &Structure<'_>) -> Result<(), DecodeError> {
    let frame = &structure.frame;
    let mut precision: Precision = vec![[None; 64]; frame.components.len()];
    for scan in &structure.scans {
        advance(&mut precision, scan)?;
    }
    check_complete(structure, &precision)?;
    let Some((last, earlier)) = structure.scans.split_last() else {
        return Ok(());
    };
    let component = last.parts[0].component;
    let mut known: Vec<u64> = Vec::new();
    if last.band.0 > 0 {
        let (columns, rows) = stored_blocks(frame, component);
        known = vec![0; columns * rows];
    }
    let is_ac_refinement = last.band.0 > 0 && last.bits.0 > 0;
    let tells = |scan: &&Scan<'_>| scan.band.0 > 0 && scan.parts[0].component == component;
    let needed = earlier
        .iter()
        .filter(|scan| is_ac_refinement && tells(scan));
    for scan in needed.chain([last]) {
        let mut blocks = Blocks {
            codes: codes(scan)?,
            known: &mut known,
            start: scan.band.0,
            band: (u64::MAX >> (63 - scan.band.1)) & (u64::MAX << scan.band.0),
            is_refinement: scan.bits.0 > 0,
            eob_run: 0,
        };
        read_scan(frame, scan, &mut blocks)?;
    }
    Ok(())
}

struct Blocks<'a> {
    codes: Codes,
    /// Of each block a mask over its coefficients in zigzag order: 1 for those known to be nonzero.
    known: &'a mut [u64],
    start: usize,
    /// Mask over the coefficients that the scan codes.
    band: u64,
    is_refinement: bool,
    /// End-of-band run: number of the next blocks for which the scan codes no new coefficients.
    eob_run: u32,
}

impl BlockDecoder for Blocks<'_> {
    fn restart(&mut self) {
        self.eob_run = 0;
    }

    #[inline(always)]
    fn decode(&mut self, bits: &mut Bits<'_>, part: usize, block: usize) -> Option<()> {
        let (_, code) = &self.codes[part];
        match (self.start, code) {
            (0, Some(code)) => {
                bits.refill();
                bits.consume(u32::from(code.peek(bits)?.n_bits));
                Some(())
            }
            (0, None) => {
                bits.skip(1);
                Some(())
            }
            (_, Some(code)) => {
                let known = self.known.get_mut(block)?;
                // Local copies stay in registers.
                let (mut local, mut eob_run) = (*bits, self.eob_run);
                let end = if self.is_refinement {
                    refine(&mut local, code, known, self.band, &mut eob_run)
                } else {
                    first(&mut local, code, known, self.band, &mut eob_run)
                };
                (*bits, self.eob_run) = (local, eob_run);
                end
            }
            (_, None) => None,
        }
    }
}

/// Reads the first scan of an AC band for one block, and adds its nonzero coefficients to `known`.
#[inline(always)]
fn first(
    bits: &mut Bits<'_>,
    code: &Huffman,
    known: &mut u64,
    band: u64,
    eob_run: &mut u32,
) -> Option<()> {
    if *eob_run > 0 {
        *eob_run -= 1;
        return Some(());
    }
    let mut at = band.trailing_zeros();
    let end = 64 - band.leading_zeros();
    while at < end {
        bits.refill();
        let symbol = code.peek(bits)?;
        bits.consume(u32::from(symbol.n_bits));
        let (run, size) = (u32::from(symbol.raw >> 4), symbol.raw & 15);
        if size > 0 {
            at += run;
            if at >= end {
                return None;
            }
            *known |= 1 << at;
            at += 1;
        } else if run == 15 {
            at += 16;
        } else {
            *eob_run = (1 << run) - 1 + bits.take(run);
            break;
        }
    }
    Some(())
}

/// Reads a refinement scan of an AC band for one block, and adds its new nonzero coefficients to `known`.
#[inline(always)]
fn refine(
    bits: &mut Bits<'_>,
    code: &Huffman,
    known: &mut u64,
    band: u64,
    eob_run: &mut u32,
) -> Option<()> {
    // Mask over the coefficients of the band that are still to come.
    let mut rest = band;
    while *eob_run == 0 && rest != 0 {
        bits.refill();
        let symbol = code.peek(bits)?;
        bits.consume(u32::from(symbol.n_code));
        let (run, size) = (u32::from(symbol.raw >> 4), symbol.raw & 15);
        match (run, size) {
            (15, 0) => {}
            (_, 0) => {
                *eob_run = (1 << run) + bits.take(run);
                break;
            }
            (_, 1) => bits.consume(1),
            _ => return None,
        }
        // Find the coefficient after the run of `run` zero coefficients.
        let mut zeros = rest & !*known;
        for _ in 0..run {
            zeros &= zeros.wrapping_sub(1);
        }
        if zeros == 0 {
            // A new coefficient must find its place before the end of the band.
            if size != 0 {
                return None;
            }
            bits.skip((rest & *known).count_ones());
            rest = 0;
            break;
        }
        let place = zeros & zeros.wrapping_neg();
        bits.skip((rest & *known & (place - 1)).count_ones());
        if size != 0 {
            *known |= place;
        }
        rest &= !(place | (place - 1));
    }
    if *eob_run > 0 {
        bits.skip((rest & *known).count_ones());
        *eob_run -= 1;
    }
    Some(())
}
