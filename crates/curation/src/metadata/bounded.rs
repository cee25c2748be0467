//! Limits on metadata files: on the length of one JSON value, and on the size that a compressed file expands to.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Largest length of one JSON value in bytes. A post has less than 100 kB, a page of an API with a thousand posts a few
/// MB; a dump that is a single object keyed by id is read as one value.
pub(super) const MAX_POST_BYTES: u64 = 256 << 20;

/// Largest number of elements in one JSON value, estimated by counting its commas. Each element takes 32 to 100 bytes
/// of memory, however short its text is.
pub(super) const MAX_POST_VALUES: u64 = 16_000_000;

/// Number of bytes and of elements that may still follow in the JSON value being read; clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Rc<Cell<(u64, u64)>>);

impl Allowance {
    /// Restores both counts for the next value.
    pub(super) fn renew(&self) {
        self.0.set((MAX_POST_BYTES, MAX_POST_VALUES));
    }

    /// Whether the value being read has used up one of the counts.
    pub(super) fn is_spent(&self) -> bool {
        let (bytes, values) = self.0.get();
        bytes == 0 || values == 0
    }
}

/// A reader of JSON text that fails when one value is longer than allowed.
pub(super) struct Bounded<R> {
    text: R,
    allowance: Allowance,
}

impl<R> Bounded<R> {
    pub(super) fn new(text: R) -> (Self, Allowance) {
        let allowance = Allowance(Rc::new(Cell::new((MAX_POST_BYTES, MAX_POST_VALUES))));
        let bounded = Self {
            text,
            allowance: allowance.clone(),
        };
        (bounded, allowance)
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.allowance.is_spent() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
        }
        // The JSON reader asks for one byte at a time, so that no byte of the next value is counted here.
        let n = self.text.read(bytes)?;
        let commas = bytes[..n].iter().filter(|b| **b == b',').count() as u64;
        let (left, values) = self.allowance.0.get();
        let left = left.saturating_sub(n as u64);
        self.allowance.0.set((left, values.saturating_sub(commas)));
        Ok(n)
    }
}

/// A reader of a compressed file's content, which fails when the content is far too large for the size of the file.
pub(super) struct Unpacked<R> {
    decoder: R,
    n_left: u64,
}

/// Largest ratio of content to compressed size, not counting the first [`ALWAYS`] bytes of content; posts compress 10
/// to 50 times.
const MAX_RATIO: u64 = 300;
/// Bytes of content that are allowed whatever the compressed size.
const ALWAYS: u64 = 1 << 30;

impl<R> Unpacked<R> {
    /// Reads the content that `decoder` extracts from a file of `packed_size` bytes.
    pub(super) fn new(decoder: R, packed_size: u64) -> Self {
        let n_left = packed_size.saturating_mul(MAX_RATIO).saturating_add(ALWAYS);
        Self { decoder, n_left }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.decoder.read(bytes)?;
        match self.n_left.checked_sub(n as u64) {
            Some(left) => {
                self.n_left = left;
                Ok(n)
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it expands to more than {MAX_RATIO} times its size"),
            )),
        }
    }
}
