//! The input of kernels that process many arrays in one launch: a table of array addresses. Each array is split into
//! chunks, and each chunk is processed by a group of threads.

use candle_core::Result;

use super::plan::Params;

/// The largest number of arrays in a row of the table.
pub(super) const ARRAYS: usize = 4;
/// The number of threads that process a chunk, and the number of values in it; equal to those in `kernels/update.cu`.
const LANES: usize = 256;
const CHUNK: usize = 1 << 14;

/// A table of arrays in the format that a kernel reads, with the kernel's parameters.
pub(super) struct Table {
    /// Per row: [`ARRAYS`] addresses (0 for none), the length of its arrays, and the number of chunks in earlier rows.
    pub words: Vec<u64>,
    pub params: Params,
}

impl Table {
    /// Builds the table from rows of addresses and the length of their arrays. Rows of length 0 are left out.
    ///
    /// # Errors
    /// When there are more values than one launch can process.
    pub(super) fn new(
        rows: impl Iterator<Item = ([u64; ARRAYS], usize)>,
        floats: &[f32],
    ) -> Result<Table> {
        let mut words = Vec::new();
        let (mut count, mut chunks) = (0, 0);
        for (addresses, len) in rows.filter(|(_, len)| *len > 0) {
            words.extend(addresses);
            words.extend([len as u64, chunks as u64]);
            chunks += len.div_ceil(CHUNK);
            count += 1;
        }
        let params = Params::new(chunks * LANES, &[count], floats)?;
        Ok(Table { words, params })
    }
}
