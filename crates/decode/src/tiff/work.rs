//! A bound on the work that the strips or tiles of one image make: all of them can lie in one place of the file.

use super::compression::Compression;
use super::directory::broken;
use super::layout::Layout;
use crate::DecodeError;
use std::cell::Cell;

/// The rest of the budget for reading and decoding.
#[derive(Debug)]
pub(super) struct Work {
    bytes: Cell<u64>,
    pixels: Cell<u64>,
    /// Offsets of the strips or tiles, ascending; empty when the file has their lengths.
    offsets: Vec<u64>,
}

/// Compressed bytes of all strips together, in sizes of the file: tiles of one color may share theirs.
const MAX_READS: u64 = 8;
const ALWAYS_BYTES: u64 = 64 << 20;

/// Pixels of all strips together, in sizes of the image: strips of JPEG are padded, and the last one may be whole.
const MAX_PADDING: u64 = 4;
const ALWAYS_PIXELS: u64 = 16 << 20;

impl Work {
    /// For an image in a file of `n_bytes`.
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

    /// The least offset after `offset`, where lengths are not told.
    pub(super) fn next_offset(&self, offset: u64) -> Option<u64> {
        let behind = self.offsets.partition_point(|&other| other <= offset);
        self.offsets.get(behind).copied()
    }

    /// Pays for reading compressed bytes.
    pub(super) fn spend_bytes(&self, n: usize) -> Result<(), DecodeError> {
        spend(
            &self.bytes,
            n as u64,
            "the strips or tiles share the bytes of the file too often",
        )
    }

    /// Pays for decoding pixels.
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
