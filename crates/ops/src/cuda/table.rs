//! One launch over many arrays of any sizes: a table of their addresses, with their values split into chunks.

use candle_core::Result;

use super::plan::Params;

/// The most arrays in a row.
pub(super) const ARRAYS: usize = 4;
/// Threads that work on a chunk, and its values: as `LANES` and `CHUNK` in `kernels/update.cu`.
const LANES: usize = 256;
const CHUNK: usize = 1 << 14;

/// A table of arrays as a kernel reads it, and the kernel's parameters.
pub(super) struct Table {
    /// For each row: [`ARRAYS`] addresses (0 for none), the length of its arrays, the number of chunks in earlier rows.
    pub words: Vec<u64>,
    pub params: Params,
}

impl Table {
    /// A table from rows of addresses with the length of their arrays. Empty rows are left out.
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
