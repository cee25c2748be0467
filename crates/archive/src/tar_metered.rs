//! Limits the size of the extended headers of one tar member.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Largest total size in bytes of the extended headers (GNU `L` and `K`, pax) in front of one member, as the `tar`
/// crate keeps all of them in memory. Systems limit names to 4096 bytes and extended attributes to 64 KiB each.
const MAX_BYTES: u64 = 4 << 20;

/// Number of bytes of a block. Plain headers are read one block at a time.
const BLOCK: usize = 512;

/// A reader that fails once the extended headers of one member exceed `MAX_BYTES`.
#[derive(Debug)]
pub(crate) struct Metered<R> {
    source: R,
    n_read: Rc<Cell<u64>>,
}

/// Handle of a [`Metered`] that restarts its count when the next member begins.
#[derive(Debug)]
pub(crate) struct Meter(Rc<Cell<u64>>);

impl Meter {
    pub(crate) fn reset(&self) {
        self.0.set(0);
    }
}

impl<R> Metered<R> {
    pub(crate) fn new(source: R) -> (Self, Meter) {
        let n_read = Rc::new(Cell::new(0));
        let meter = Meter(n_read.clone());
        (Self { source, n_read }, meter)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.n_read.get() > MAX_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the name or the extended header of the next file has more than {} MiB",
                    MAX_BYTES >> 20
                ),
            ));
        }
        let wanted = bytes.len();
        let n = self.source.read(bytes)?;
        // Reads of one block are not counted: plain headers, and any number of zero blocks after a tar.
        if wanted > BLOCK {
            self.n_read.set(self.n_read.get() + n as u64);
        }
        Ok(n)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}
