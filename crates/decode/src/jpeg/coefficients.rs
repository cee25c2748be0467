//! Coefficients of a component in memory.

/// Blocks of 64 quantized coefficients in zigzag order, rows from the top.
pub struct Coefficients {
    /// Blocks in a row.
    pub stride: usize,
    blocks: Vec<[i16; 64]>,
}

impl Coefficients {
    /// Zeros.
    pub fn new((stride, rows): (usize, usize)) -> Self {
        Self {
            stride,
            blocks: vec![[0; 64]; stride * rows],
        }
    }

    /// The block at an index, for writing.
    #[inline(always)]
    pub fn block(&mut self, i: usize) -> &mut [i16; 64] {
        &mut self.blocks[i]
    }

    /// All blocks in rows.
    pub fn rows(&self) -> impl Iterator<Item = &[[i16; 64]]> {
        self.blocks.chunks_exact(self.stride.max(1))
    }
}
