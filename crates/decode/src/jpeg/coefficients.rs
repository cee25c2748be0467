//! The DCT coefficients of one component in memory.

/// The quantized DCT coefficients of one component: blocks of 64 in zigzag order, row by row from the top.
pub struct Coefficients {
    /// Blocks in a row.
    pub stride: usize,
    blocks: Vec<[i16; 64]>,
}

impl Coefficients {
    /// Makes `rows` rows of `stride` blocks in which all coefficients are 0.
    pub fn new((stride, rows): (usize, usize)) -> Self {
        Self {
            stride,
            blocks: vec![[0; 64]; stride * rows],
        }
    }

    /// The block with index `i`, counted row by row.
    #[inline(always)]
    pub fn block(&mut self, i: usize) -> &mut [i16; 64] {
        &mut self.blocks[i]
    }

    /// The rows of blocks from the top, each with `stride` blocks.
    pub fn rows(&self) -> impl Iterator<Item = &[[i16; 64]]> {
        self.blocks.chunks_exact(self.stride.max(1))
    }
}
