//! One launch over many arrays of any sizes: a table of their addresses, their values shared out in chunks.

use candle_core::Result;
#[cfg(feature = "cuda")]
use candle_core::{Device, Tensor};

use super::plan::Params;

/// Arrays that a row has a place for.
pub(super) const ARRAYS: usize = 4;
/// Threads that work on a chunk, and its values: as `LANES` and `CHUNK` in `kernels/update.cu`.
const LANES: usize = 256;
const CHUNK: usize = 1 << 14;

/// A table as kernels read it, and what they get beside it.
pub(super) struct Table {
    /// Rows of addresses (0 for none), the length of each array, and the number of chunks in the rows before.
    pub words: Vec<u64>,
    pub params: Params,
}

impl Table {
    /// A table of arrays of one length for each row.
    ///
    /// # Errors
    /// When there is more than one launch can do.
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

/// Tensors of one shape.
#[cfg(feature = "cuda")]
pub(crate) struct Row([Option<Tensor>; ARRAYS]);

#[cfg(feature = "cuda")]
impl Row {
    /// Those that are not contiguous are copied: they can be read only.
    pub(crate) fn of(tensors: [Option<&Tensor>; ARRAYS]) -> Result<Row> {
        let mut row = [const { None }; ARRAYS];
        for (place, tensor) in row.iter_mut().zip(tensors) {
            *place = tensor.map(Tensor::contiguous).transpose()?;
        }
        Ok(Row(row))
    }

    pub(super) fn device(&self) -> Option<&Device> {
        self.tensors().flatten().next().map(Tensor::device)
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = Option<&Tensor>> {
        self.0.iter().map(Option::as_ref)
    }
}
