//! Limits the work of decoding the strips or tiles of one image: in a hostile file, all of them can share the same
//! bytes.

use super::compression::Compression;
use super::directory::broken;
use super::layout::Layout;
use crate::DecodeError;
use std::cell::Cell;

/// Compressed bytes and pixels that may still be read and decoded for an image.
#[derive(Debug)]
pub(super) struct Work {
    bytes: Cell<u64>,
    pixels: Cell<u64>,
    /// Offsets of the strips or tiles, ascending; empty when their lengths are known.
    offsets: Vec<u64>,
}

/// Limit on the compressed bytes of all strips together: `MAX_READS` times the size of the file, as tiles of one color
/// may share their bytes, plus `ALWAYS_BYTES`.
const MAX_READS: u64 = 8;
const ALWAYS_BYTES: u64 = 64 << 20;

/// Limit on the pixels of all strips together: `MAX_PADDING` times those of the image, as strips of JPEG are padded and
/// the last one may have its full height, plus `ALWAYS_PIXELS`.
const MAX_PADDING: u64 = 4;
const ALWAYS_PIXELS: u64 = 16 << 20;

impl Work {
    /// The whole budget for an image in a file of `n_bytes` bytes.
    pub(super) fn new(n_bytes: usize, layout: &Layout) -> Self {
        let has_lengths = layout.lengths.as_ref().is_some_and(|l| !l.contains(&0));
        let mut offsets = match has_lengths || layout.compression == Compression::None {
            true => Vec::new(),
            false => layout.offsets.clone(),
        };
        offsets.sort_unstable();
        let n_planes = if layout.is_planar { layout.samples } else { 1 };
        let pixels = (layout.width * layout.height * n_planes) as u64;
        Self {
            bytes: Cell::new((n_bytes as u64) * MAX_READS + ALWAYS_BYTES),
            pixels: Cell::new(pixels.saturating_mul(MAX_PADDING) + ALWAYS_PIXELS),
            offsets,
        }
    }

    /// The smallest offset of a strip or tile after `offset`; `None` if there is none or the lengths are known.
    pub(super) fn next_offset(&self, offset: u64) -> Option<u64> {
        let behind = self.offsets.partition_point(|&other| other <= offset);
        self.offsets.get(behind).copied()
    }

    /// Subtracts `n` compressed bytes from the budget; an error if there are not enough left.
    pub(super) fn spend_bytes(&self, n: usize) -> Result<(), DecodeError> {
        spend(
            &self.bytes,
            n as u64,
            "the strips or tiles share the bytes of the file too often",
        )
    }

    /// Subtracts `n` pixels from the budget; an error if there are not enough left.
    pub(super) fn spend_pixels(&self, n: u64) -> Result<(), DecodeError> {
        spend(
            &self.pixels,
            n,
            "the strips or tiles are together far larger than the image",
        )
    }
}

fn spend(budget: &Cell<u64>, n: u64, words: &str) -> Result<(), DecodeError> {
    let left = budget.get().checked_sub(n).ok_or_else(|| broken(words))?;
    budget.set(left);
    Ok(())
}
