//! Decodes the entropy-coded data of a scan and checks that they are complete.
//!
//! Data that end before all blocks are decoded are truncated. Data that continue after the last block are damaged:
//! after a lost or flipped bit, decoding nearly always needs more or fewer bytes than there are.

use super::frame::Frame;
use super::huffman::Bits;
use super::markers::Scan;
use crate::DecodeError;

/// Number of bytes after the last block that are tolerated: some cameras write a few too many.
const SPARE_BYTES: usize = 16;

/// Decodes the blocks of one scan in the order in which they are stored.
pub trait BlockDecoder {
    /// Resets DC predictions and end-of-band runs. Called at the start of the scan and after each restart marker.
    fn restart(&mut self);

    /// Decodes the next block of `bits`; `None` where the bits are not a valid block.
    ///
    /// `part` is an index into [`Scan::parts`], `block` the index of the block in its component, counted row by row in
    /// rows of [`stored_blocks`].
    fn decode(&mut self, bits: &mut Bits<'_>, part: usize, block: usize) -> Option<()>;
}

/// Number of blocks of a component in a row and number of such rows, as kept in memory: rounded up to whole MCUs.
pub fn stored_blocks(frame: &Frame, component: usize) -> (usize, usize) {
    let ((columns, rows), (h, v)) = (frame.mcus(), frame.components[component].sampling);
    (columns * h, rows * v)
}

/// Whether the data of a scan have at least one bit for each block. Always true for AC scans of progressive files, for
/// which a few bits can end thousands of blocks.
pub fn has_plausible_length(frame: &Frame, scan: &Scan<'_>) -> bool {
    let blocks: usize = scan
        .parts
        .iter()
        .map(|part| {
            let (width, height) = frame.samples(part.component);
            width.div_ceil(8) * height.div_ceil(8)
        })
        .sum();
    scan.band.0 > 0 || blocks <= 8 * scan.data.len()
}

/// Decodes all blocks of a scan with `decoder` and checks that its data are complete.
///
/// # Errors
/// [`DecodeError::Truncated`] when the data end too early or their end was filled with zeros, [`DecodeError::Broken`]
/// when they are damaged.
pub fn read_scan(
    frame: &Frame,
    scan: &Scan<'_>,
    decoder: &mut impl BlockDecoder,
) -> Result<(), DecodeError> {
    let segments = Segments::new(scan.data);
    let is_interleaved = scan.parts.len() > 1;
    let (columns, rows) = if is_interleaved {
        frame.mcus()
    } else {
        let (width, height) = frame.samples(scan.parts[0].component);
        (width.div_ceil(8), height.div_ceil(8))
    };
    // Of each part: blocks of an MCU horizontally and vertically, and stored blocks in a row.
    let layout: Vec<(usize, usize, usize)> = scan
        .parts
        .iter()
        .map(|part| {
            let (h, v) = frame.components[part.component].sampling;
            let (stride, _) = stored_blocks(frame, part.component);
            if is_interleaved {
                (h, v, stride)
            } else {
                (1, 1, stride)
            }
        })
        .collect();

    let total = columns * rows;
    let mut segment = 0;
    let mut bits = Bits::new(segments.get(0));
    let mut until_restart = scan.restart_interval;
    decoder.restart();
    for y in 0..rows {
        for x in 0..columns {
            let place = Place {
                scan,
                done: y * columns + x,
                total,
                is_last_segment: segment + 1 == segments.len(),
            };
            if scan.restart_interval > 0 && until_restart == 0 {
                place.check_rest(&bits, segments.get(segment))?;
                if !segments.is_restart(segment) {
                    return Err(place.ended_early());
                }
                segment += 1;
                bits = Bits::new(segments.get(segment));
                until_restart = scan.restart_interval;
                decoder.restart();
            }
            until_restart = until_restart.wrapping_sub(1);
            let mut decode = || {
                for (part, &(h, v, stride)) in layout.iter().enumerate() {
                    for block_y in y * v..(y + 1) * v {
                        for block_x in x * h..(x + 1) * h {
                            decoder.decode(&mut bits, part, block_y * stride + block_x)?;
                        }
                    }
                }
                Some(())
            };
            let is_decoded = decode().is_some();
            if !is_decoded || bits.left() < 0 {
                let place = Place {
                    is_last_segment: segment + 1 == segments.len(),
                    ..place
                };
                return Err(place.fault(&bits, segments.get(segment)));
            }
        }
    }
    let place = Place {
        scan,
        done: total,
        total,
        is_last_segment: true,
    };
    place.check_rest(&bits, segments.get(segment))?;
    // A restart marker at the very end, without data after it, is harmless.
    let rest = (segment + 1..segments.len()).map(|i| segments.get(i).len());
    if rest.sum::<usize>() > SPARE_BYTES {
        return Err(place.damaged());
    }
    place.check_end_of_file(&bits, segments.get(segments.len() - 1))
}

/// Position in a scan while it is read: `done` of `total` MCUs (blocks, in a scan of one component) are decoded.
struct Place<'a> {
    scan: &'a Scan<'a>,
    done: usize,
    total: usize,
    is_last_segment: bool,
}

impl Place<'_> {
    fn percent(&self) -> usize {
        100 * self.done / self.total.max(1)
    }

    fn is_end_of_file(&self) -> bool {
        self.is_last_segment && matches!(self.scan.terminator, None | Some(0xd9))
    }

    fn ended_early(&self) -> DecodeError {
        if self.is_end_of_file() {
            DecodeError::Truncated(format!(
                "JPEG: the image data end after {} % of a scan",
                self.percent()
            ))
        } else {
            self.damaged()
        }
    }

    fn damaged(&self) -> DecodeError {
        DecodeError::Broken(format!(
            "JPEG: the image data are damaged (noticed after {} % of a scan)",
            self.percent()
        ))
    }

    fn filled(&self) -> DecodeError {
        DecodeError::Truncated("JPEG: the end of the image data is missing (zeros)".to_owned())
    }

    /// The error for bits that do not form a block.
    fn fault(&self, bits: &Bits<'_>, data: &[u8]) -> DecodeError {
        // With fewer than 32 bits left, the invalid code may be one that the end of the data cuts off.
        if bits.left() < 32 {
            return self.ended_early();
        }
        let rest = &data[data.len() - bits.left() as usize / 8..];
        if self.is_end_of_file() && rest.iter().all(|&b| b == 0) {
            return self.filled();
        }
        self.damaged()
    }

    /// Checks data that end at the end of the file, without a marker after them.
    ///
    /// They are complete when the last block ends in their last byte. A last byte of 0 may be filler: encoders fill the
    /// last byte up with ones, so it is accepted as data only if the last block uses all of its bits.
    fn check_end_of_file(&self, bits: &Bits<'_>, data: &[u8]) -> Result<(), DecodeError> {
        let is_whole = match data {
            [.., 0, 0] | [0] | [] => false,
            [.., 0] => bits.left() == 0,
            _ => bits.left() < 8,
        };
        if is_whole || self.scan.terminator.is_some() {
            return Ok(());
        }
        Err(DecodeError::Truncated(
            "JPEG: the file ends before its end marker".to_owned(),
        ))
    }

    /// Checks the bytes between the last decoded block of a segment and the end of the segment.
    fn check_rest(&self, bits: &Bits<'_>, data: &[u8]) -> Result<(), DecodeError> {
        let n_bytes = bits.left().max(0) as usize / 8;
        let (used, rest) = data.split_at(data.len() - n_bytes);
        if n_bytes > 0 && rest.iter().all(|&b| b == 0) {
            // Zeros after the image are harmless padding; zeros that were decoded as a part of it are missing data.
            return if self.is_end_of_file() && used.last() == Some(&0) {
                Err(self.filled())
            } else {
                Ok(())
            };
        }
        // A marker that was cut after its first byte and filled with zeros (`ff 00`) reads like a stuffed data byte.
        let is_cut_marker = matches!(rest, [0xff, zeros @ ..] if zeros.iter().all(|&b| b == 0));
        if is_cut_marker && self.is_end_of_file() && self.done < self.total {
            return Err(self.filled());
        }
        if n_bytes > SPARE_BYTES {
            return Err(self.damaged());
        }
        Ok(())
    }
}

/// Entropy-coded bytes with the stuffed zeros removed, split at the restart markers.
struct Segments {
    bytes: Vec<u8>,
    /// Of each segment: the offset of its end in `bytes`, and the number (0 to 7) of the restart marker after it.
    ends: Vec<(usize, Option<u8>)>,
}

impl Segments {
    fn new(data: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(data.len());
        let mut ends = Vec::new();
        let mut rest = data;
        while let Some(found) = memchr::memchr(0xff, rest) {
            bytes.extend_from_slice(&rest[..found]);
            let fill = rest[found..].iter().take_while(|&&b| b == 0xff).count();
            match rest.get(found + fill) {
                Some(0) => bytes.push(0xff),
                Some(&code) => ends.push((bytes.len(), Some(code & 7))),
                None => {}
            }
            rest = rest.get(found + fill + 1..).unwrap_or_default();
        }
        bytes.extend_from_slice(rest);
        ends.push((bytes.len(), None));
        Self { bytes, ends }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.bytes[start..self.ends[i].0]
    }

    /// Whether the restart marker after segment `i` is there and has the number that is due.
    fn is_restart(&self, i: usize) -> bool {
        self.ends[i]
            .1
            .is_some_and(|number| usize::from(number) == i % 8)
    }
}
