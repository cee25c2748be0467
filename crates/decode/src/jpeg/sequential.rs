//! Decodes sequential JPEGs, in which one scan codes all coefficients of a component.

use super::coefficients::Coefficients;
use super::entropy::{BlockDecoder, read_scan, stored_blocks};
use super::frame::Frame;
use super::huffman::{Bits, END_OF_BLOCK, Huffman, extend};
use super::markers::{Scan, Structure};
use super::runs::Runs;
use crate::DecodeError;

/// Checks all scans without keeping their coefficients.
///
/// # Errors
/// Data that are cut or damaged.
pub fn verify(structure: &Structure<'_>) -> Result<(), DecodeError> {
    for scan in needed_scans(structure) {
        let mut blocks = Blocks::<false>::new(&structure.frame, scan, &mut [])?;
        read_scan(&structure.frame, scan, &mut blocks)?;
    }
    Ok(())
}

/// Decodes all scans to the coefficients of each component.
///
/// # Errors
/// Data that are cut or damaged, or a component without a scan.
pub fn decode(structure: &Structure<'_>) -> Result<Vec<Coefficients>, DecodeError> {
    let frame = &structure.frame;
    let mut planes: Vec<Coefficients> = (0..frame.components.len())
        .map(|i| Coefficients::new(stored_blocks(frame, i)))
        .collect();
    for scan in needed_scans(structure) {
        let mut blocks = Blocks::<true>::new(frame, scan, &mut planes)?;
        read_scan(frame, scan, &mut blocks)?;
    }
    check_components(structure)?;
    Ok(planes)
}

/// The scans that make up the image: only the first if it has all components (libjpeg too ignores what follows it),
/// else all.
fn needed_scans<'a, 'b>(structure: &'b Structure<'a>) -> &'b [Scan<'a>] {
    match structure.scans.first() {
        Some(first) if first.parts.len() == structure.frame.components.len() => {
            &structure.scans[..1]
        }
        _ => &structure.scans,
    }
}

/// Whether a sequential file without an end marker ends with the data of the last scan that is needed.
///
/// [`read_scan`] refuses such data unless the last block ends in their last byte, so that no pixel is missing.
pub fn is_whole_without_end(structure: &Structure<'_>) -> bool {
    let last = needed_scans(structure).last();
    !structure.frame.is_progressive && last.is_some_and(|scan| scan.terminator.is_none())
}

/// Refuses files in which some component has no scan, as in a file that was cut between two scans.
fn check_components(structure: &Structure<'_>) -> Result<(), DecodeError> {
    let has_scan = |component| {
        let mut parts = structure.scans.iter().flat_map(|scan| &scan.parts);
        parts.any(|part| part.component == component)
    };
    if (0..structure.frame.components.len()).all(has_scan) {
        return Ok(());
    }
    Err(structure.fault.clone().unwrap_or_else(|| {
        DecodeError::Truncated("JPEG: the scans of some color components are missing".to_owned())
    }))
}

struct Blocks<'a, const KEEP: bool> {
    parts: Vec<PartState>,
    planes: &'a mut [Coefficients],
}

struct PartState {
    component: usize,
    dc: Huffman,
    ac: Huffman,
    /// Lookup table for skipping, present when only completeness is checked (`KEEP` is false).
    runs: Option<Runs>,
    prediction: i32,
}

impl<'a, const KEEP: bool> Blocks<'a, KEEP> {
    fn new(
        frame: &Frame,
        scan: &Scan<'_>,
        planes: &'a mut [Coefficients],
    ) -> Result<Self, DecodeError> {
        let broken = |message: &str| DecodeError::Broken(format!("JPEG: {message}"));
        let mut parts = Vec::with_capacity(scan.parts.len());
        for part in &scan.parts {
            let code = |code: &Option<_>| -> Result<Huffman, DecodeError> {
                Huffman::new(
                    code.as_deref()
                        .ok_or_else(|| broken("a Huffman table is missing"))?,
                )
                .ok_or_else(|| broken("a Huffman table is damaged"))
            };
            let ac = code(&part.ac)?;
            parts.push(PartState {
                component: part.component,
                dc: code(&part.dc).and_then(|code| {
                    if code.is_dc() {
                        Ok(code)
                    } else {
                        Err(broken("a Huffman table is damaged"))
                    }
                })?,
                runs: (!KEEP).then(|| Runs::new(&ac)),
                ac,
                prediction: 0,
            });
        }
        debug_assert!(!KEEP || planes.len() == frame.components.len());
        Ok(Self { parts, planes })
    }
}

impl<const KEEP: bool> BlockDecoder for Blocks<'_, KEEP> {
    fn restart(&mut self) {
        for part in &mut self.parts {
            part.prediction = 0;
        }
    }

    #[inline(always)]
    fn decode(&mut self, bits: &mut Bits<'_>, part: usize, block: usize) -> Option<()> {
        let part = &mut self.parts[part];
        if let Some(runs) = &part.runs {
            // A local copy of the bit reader stays in registers.
            let mut local = *bits;
            local.refill();
            local.consume(u32::from(part.dc.peek(&local)?.n_bits));
            let end = runs.skip_block(&part.ac, &mut local);
            *bits = local;
            return end;
        }
        let block = self.planes[part.component].block(block);
        bits.refill();
        let symbol = part.dc.peek(bits)?;
        bits.consume(u32::from(symbol.n_code));
        let n = u32::from(symbol.raw);
        part.prediction = part.prediction.wrapping_add(extend(bits.take(n), n));
        block[0] = part.prediction as i16;
        let mut position = 1;
        while position < 64 {
            bits.refill();
            let symbol = part.ac.peek(bits)?;
            bits.consume(u32::from(symbol.n_code));
            let n = u32::from(symbol.raw & 15);
            position += usize::from(symbol.advance);
            if n > 0 {
                *block.get_mut(position - 1)? = extend(bits.take(n), n) as i16;
            }
        }
        (position == 64 || position > END_OF_BLOCK as usize).then_some(())
    }
}
