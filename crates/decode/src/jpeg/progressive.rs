//! Decodes progressive JPEGs, in which each scan codes some bits of a band of coefficients (T.81, annex G).

use super::coefficients::Coefficients;
use super::entropy::{BlockDecoder, has_plausible_length, read_scan, stored_blocks};
use super::huffman::{Bits, Code, Huffman, extend};
use super::markers::{Scan, Structure};
use crate::DecodeError;

fn broken(message: impl Into<String>) -> DecodeError {
    DecodeError::Broken(format!("JPEG: {}", message.into()))
}

/// Decodes all scans to the coefficients of each component.
///
/// # Errors
/// Data that are cut or damaged, and bits of coefficients that no scan codes, as in a file that was cut between two
/// scans.
pub fn decode(structure: &Structure<'_>) -> Result<Vec<Coefficients>, DecodeError> {
    let frame = &structure.frame;
    // A file that is much too short is refused before coefficients are allocated.
    if let Some(scan) = structure
        .scans
        .first()
        .filter(|s| !has_plausible_length(frame, s))
    {
        let mut nothing = Nothing;
        read_scan(frame, scan, &mut nothing)?;
        return Err(DecodeError::Truncated(
            "JPEG: the image data end before the image does".to_owned(),
        ));
    }
    let mut planes: Vec<Coefficients> = (0..frame.components.len())
        .map(|i| Coefficients::new(stored_blocks(frame, i)))
        .collect();
    let mut precision: Precision = vec![[None; 64]; frame.components.len()];
    for scan in &structure.scans {
        advance(&mut precision, scan)?;
        let mut blocks = Blocks::new(scan, &mut planes)?;
        read_scan(frame, scan, &mut blocks)?;
    }
    check_complete(structure, &precision)?;
    Ok(planes)
}

/// Of each component and coefficient (zigzag index) the lowest bit that a scan has coded; `None` before the first scan
/// of the coefficient.
pub type Precision = Vec<[Option<u8>; 64]>;

/// Refuses files in which bits of coefficients are missing, as in a file that was cut between two scans.
pub fn check_complete(structure: &Structure<'_>, precision: &Precision) -> Result<(), DecodeError> {
    if precision.iter().flatten().all(|&bits| bits == Some(0)) {
        return Ok(());
    }
    Err(structure.fault.clone().unwrap_or_else(|| {
        DecodeError::Truncated(
            "JPEG: the last scans of the progressive image are missing".to_owned(),
        )
    }))
}

/// Records in `precision` the bits that a scan adds.
///
/// # Errors
/// A scan that refines coefficients whose higher bits no scan before it has coded.
pub fn advance(precision: &mut Precision, scan: &Scan<'_>) -> Result<(), DecodeError> {
    let (high, low) = scan.bits;
    for part in &scan.parts {
        for known in &mut precision[part.component][scan.band.0..=scan.band.1] {
            if high > 0 && *known != Some(high) {
                return Err(broken("a scan of the progressive image is missing"));
            }
            *known = Some(low);
        }
    }
    Ok(())
}

struct Nothing;

impl BlockDecoder for Nothing {
    fn restart(&mut self) {}

    fn decode(&mut self, bits: &mut Bits<'_>, _: usize, _: usize) -> Option<()> {
        bits.refill();
        bits.consume(1);
        Some(())
    }
}

/// Of each part of a scan, the index of its component and its Huffman code; `None` in refinement scans of DC, which use
/// no code.
pub type Codes = Vec<(usize, Option<Huffman>)>;

/// Prepares the Huffman codes of a scan.
///
/// # Errors
/// Huffman codes that are missing or damaged.
pub fn codes(scan: &Scan<'_>) -> Result<Codes, DecodeError> {
    let is_dc = scan.band.0 == 0;
    let prepare = |code: &Code| {
        Huffman::new(code)
            .filter(|code| !is_dc || code.is_dc())
            .ok_or_else(|| broken("a Huffman table is damaged"))
    };
    let mut codes = Vec::with_capacity(scan.parts.len());
    for part in &scan.parts {
        let code = if is_dc { &part.dc } else { &part.ac };
        let code = match code {
            _ if is_dc && scan.bits.0 > 0 => None,
            None => return Err(broken("a Huffman table is missing")),
            Some(code) => Some(prepare(code)?),
        };
        codes.push((part.component, code));
    }
    Ok(codes)
}

struct Blocks<'a> {
    parts: Codes,
    predictions: [i32; 4],
    planes: &'a mut [Coefficients],
    band: (usize, usize),
    low: u8,
    is_refinement: bool,
    /// End-of-band run: number of the next blocks for which the scan codes no new coefficients.
    eob_run: u32,
}

impl<'a> Blocks<'a> {
    fn new(scan: &Scan<'_>, planes: &'a mut [Coefficients]) -> Result<Self, DecodeError> {
        Ok(Self {
            parts: codes(scan)?,
            predictions: [0; 4],
            planes,
            band: scan.band,
            low: scan.bits.1,
            is_refinement: scan.bits.0 > 0,
            eob_run: 0,
        })
    }
}

impl BlockDecoder for Blocks<'_> {
    fn restart(&mut self) {
        self.predictions = [0; 4];
        self.eob_run = 0;
    }

    #[inline(always)]
    fn decode(&mut self, bits: &mut Bits<'_>, part: usize, block: usize) -> Option<()> {
        let (component, code) = &self.parts[part];
        let block = self.planes[*component].block(block);
        let (start, end) = self.band;
        match (start, code) {
            (0, Some(code)) => {
                bits.refill();
                let symbol = code.peek(bits)?;
                bits.consume(u32::from(symbol.n_code));
                let n = u32::from(symbol.raw);
                let prediction = &mut self.predictions[part];
                *prediction = prediction.wrapping_add(extend(bits.take(n), n));
                block[0] = (*prediction << self.low) as i16;
                Some(())
            }
            (0, None) => {
                if bits.take_bit() {
                    block[0] |= 1 << self.low;
                }
                Some(())
            }
            (_, Some(code)) if self.is_refinement => refine(
                bits,
                code,
                &mut block[..=end],
                start,
                self.low,
                &mut self.eob_run,
            ),
            (_, Some(code)) => first(
                bits,
                code,
                &mut block[..=end],
                start,
                self.low,
                &mut self.eob_run,
            ),
            (_, None) => None,
        }
    }
}

/// Decodes the first scan of an AC band for one block.
///
/// `block` ends with the last coefficient of the band, `start` is the index of its first one, `low` the lowest bit that
/// the scan codes.
#[inline(always)]
fn first(
    bits: &mut Bits<'_>,
    code: &Huffman,
    block: &mut [i16],
    start: usize,
    low: u8,
    eob_run: &mut u32,
) -> Option<()> {
    if *eob_run > 0 {
        *eob_run -= 1;
        return Some(());
    }
    let mut at = start;
    while at < block.len() {
        bits.refill();
        let symbol = code.peek(bits)?;
        bits.consume(u32::from(symbol.n_code));
        let (run, size) = (usize::from(symbol.raw >> 4), u32::from(symbol.raw & 15));
        if size > 0 {
            at += run;
            *block.get_mut(at)? = (extend(bits.take(size), size) << low) as i16;
            at += 1;
        } else if run == 15 {
            at += 16;
        } else {
            *eob_run = (1 << run) - 1 + bits.take(run as u32);
            break;
        }
    }
    Some(())
}

/// Decodes one more bit of an AC band for one block: correction bits of nonzero coefficients, mixed with new
/// coefficients. Arguments as in [`first`].
#[inline(always)]
fn refine(
    bits: &mut Bits<'_>,
    code: &Huffman,
    block: &mut [i16],
    start: usize,
    low: u8,
    eob_run: &mut u32,
) -> Option<()> {
    let one = 1i16 << low;
    let correct = |bits: &mut Bits<'_>, value: &mut i16| {
        if bits.take_bit() && *value & one == 0 {
            *value = value.wrapping_add(if *value > 0 { one } else { -one });
        }
    };
    let mut at = start;
    while *eob_run == 0 && at < block.len() {
        bits.refill();
        let symbol = code.peek(bits)?;
        bits.consume(u32::from(symbol.n_code));
        let (mut zeros, size) = (symbol.raw >> 4, symbol.raw & 15);
        let new = match (zeros, size) {
            (15, 0) => 0,
            (run, 0) => {
                *eob_run = (1 << run) + bits.take(u32::from(run));
                break;
            }
            (_, 1) if bits.take_bit() => one,
            (_, 1) => -one,
            _ => return None,
        };
        loop {
            // A new coefficient must find its place before the end of the band.
            let Some(value) = block.get_mut(at) else {
                if new != 0 {
                    return None;
                }
                break;
            };
            at += 1;
            if *value != 0 {
                correct(bits, value);
            } else if zeros == 0 {
                *value = new;
                break;
            } else {
                zeros -= 1;
            }
        }
    }
    if *eob_run > 0 {
        for value in block[at..].iter_mut().filter(|value| **value != 0) {
            correct(bits, value);
        }
        *eob_run -= 1;
    }
    Some(())
}
