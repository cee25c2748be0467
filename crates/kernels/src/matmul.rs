//! The two matrix products that the direct and the Winograd convolution are built on, for scratch memory in blocks of
//! channels.
//!
//! - [`rows_times_weights`]: `c[row][o] = sum over taps, channels of a[row + tap][channel] * b[tap][channel][o]`, a
//!   convolution without its im2col matrix.
//! - [`channels_outer`]: `c[i][o] += sum over rows of a[row][i] * b[row][o]`, a weight gradient.
//!
//! Accumulators stay in registers; the tile size depends on the number of vector registers.

use crate::simd::{Simd, dispatch};

/// Operands of [`rows_times_weights`]. Strides and offsets count f32 values.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// Blocked activations; the value of a row, tap and channel is at
    /// `a + row_offsets[row] + taps[tap] + block * a_block_stride + lane`.
    pub a: *const f32,
    pub a_block_stride: usize,
    /// Offset of each row's first value; padded to a multiple of [`ROW_MULTIPLE`] rows with any valid offset.
    pub row_offsets: &'a [usize],
    /// Offset of each kernel tap, added to the offset of a row.
    pub taps: &'a [usize],
    /// Number of input channels.
    pub channels: usize,
    /// Weights `[out block][tap][channel][lane]`.
    pub b: *const f32,
    /// Number of output channel blocks.
    pub out_blocks: usize,
    /// Result `[out block][row][lane]`; blocks are `c_block_stride` values apart.
    pub c: *mut f32,
    pub c_block_stride: usize,
}

/// The number of rows of a [`Product`] must be a multiple of this.
pub(crate) const ROW_MULTIPLE: usize = 6;

/// `rows` rounded up to a multiple of [`ROW_MULTIPLE`], the length of `row_offsets` and of each block of `c`.
pub(crate) fn padded_rows(rows: usize) -> usize {
    rows.next_multiple_of(ROW_MULTIPLE)
}

dispatch!(
    /// Computes `c[row][o] = sum over taps, channels of a[row + tap][channel] * b[tap][channel][o]`.
    ///
    /// A function of its own, so that the compiler can allocate registers for this loop alone.
    ///
    /// # Safety
    /// The pointers in `p` must be valid for the sizes in `p`.
    pub(crate) unsafe fn rows_times_weights(p: Product) = rows_times_weights_body
);

#[inline(always)]
unsafe fn rows_times_weights_body<S: Simd>(p: Product) {
    let mut block = 0;
    // SAFETY: blocks and rows stay inside the buffers that the caller promises.
    unsafe {
        if S::REGISTERS >= 32 {
            while block + 4 <= p.out_blocks {
                column_of_tiles::<S, 6, 4>(p, block);
                block += 4;
            }
            if block + 3 <= p.out_blocks {
                column_of_tiles::<S, 6, 3>(p, block);
                block += 3;
            }
            while block + 2 <= p.out_blocks {
                column_of_tiles::<S, 12, 2>(p, block);
                block += 2;
            }
            while block < p.out_blocks {
                column_of_tiles::<S, 12, 1>(p, block);
                block += 1;
            }
        } else {
            while block + 2 <= p.out_blocks {
                column_of_tiles::<S, 6, 2>(p, block);
                block += 2;
            }
            while block < p.out_blocks {
                column_of_tiles::<S, 6, 1>(p, block);
                block += 1;
            }
        }
    }
}

#[inline(always)]
unsafe fn column_of_tiles<S: Simd, const ROWS: usize, const BLOCKS: usize>(
    p: Product,
    block: usize,
) {
    let mut row = 0;
    // SAFETY: `row_offsets` is padded to a multiple of ROW_MULTIPLE, the buffers by the caller's promise.
    unsafe {
        while row + ROWS <= p.row_offsets.len() {
            tile::<S, ROWS, BLOCKS>(p, row, block);
            row += ROWS;
        }
        while row < p.row_offsets.len() {
            tile::<S, ROW_MULTIPLE, BLOCKS>(p, row, block);
            row += ROW_MULTIPLE;
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const BLOCKS: usize>(
    p: Product,
    row: usize,
    block: usize,
) {
    let b_block = p.taps.len() * p.channels * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        let mut at = [p.a; ROWS];
        for (i, at) in at.iter_mut().enumerate() {
            *at = p.a.add(*p.row_offsets.get_unchecked(row + i));
        }
        let b = p.b.add(block * b_block);
        let c = p.c.add(block * p.c_block_stride + row * S::LANES);
        let mut sums = [[S::zero(); BLOCKS]; ROWS];
        let mut b = b;
        for &tap in p.taps {
            let mut offset = tap;
            let mut left = p.channels;
            while left > 0 {
                let lanes = left.min(S::LANES);
                let mut from = at;
                for from in &mut from {
                    *from = from.add(offset);
                }
                for lane in 0..lanes {
                    let mut weights = [S::zero(); BLOCKS];
                    for j in 0..BLOCKS {
                        weights[j] = S::load(b.add(j * b_block));
                    }
                    for i in 0..ROWS {
                        let value = S::splat(*from[i].add(lane));
                        for j in 0..BLOCKS {
                            sums[i][j] = S::fma(value, weights[j], sums[i][j]);
                        }
                    }
                    b = b.add(S::LANES);
                }
                offset += p.a_block_stride;
                left -= lanes;
            }
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                S::store(c.add(j * p.c_block_stride + i * S::LANES), *sum);
            }
        }
    }
}

/// Operands of [`channels_outer`]. Strides count f32 values.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    /// Blocked activations `[in block][row][lane]`; rows are `a_row_stride` values apart.
    pub a: *const f32,
    pub a_block_stride: usize,
    pub a_row_stride: usize,
    pub channels: usize,
    /// Blocked output gradients `[out block][row][lane]`.
    pub b: *const f32,
    pub b_block_stride: usize,
    pub b_row_stride: usize,
    pub out_blocks: usize,
    pub rows: usize,
    /// Sums `[out block][input channel][lane]`; input channels are padded to whole blocks.
    pub c: *mut f32,
    pub c_block_stride: usize,
}

dispatch!(
    /// Computes `c[i][o] += sum over rows of a[row][i] * b[row][o]`.
    ///
    /// # Safety
    /// The pointers in `p` must be valid for the sizes in `p`, with `c` and `a` padded to whole blocks of channels.
    pub(crate) unsafe fn channels_outer(p: Outer) = channels_outer_body
);

#[inline(always)]
unsafe fn channels_outer_body<S: Simd>(p: Outer) {
    let mut block = 0;
    // SAFETY: as the caller promises.
    unsafe {
        if S::REGISTERS >= 32 {
            while block + 4 <= p.out_blocks {
                outer_tiles::<S, 4, 4>(p, block);
                block += 4;
            }
            if block + 3 <= p.out_blocks {
                outer_tiles::<S, 8, 3>(p, block);
                block += 3;
            }
        }
        while block + 2 <= p.out_blocks {
            if S::REGISTERS >= 32 {
                outer_tiles::<S, 8, 2>(p, block);
            } else {
                outer_tiles::<S, 4, 2>(p, block);
            }
            block += 2;
        }
        while block < p.out_blocks {
            outer_tiles::<S, 8, 1>(p, block);
            block += 1;
        }
    }
}

#[inline(always)]
unsafe fn outer_tiles<S: Simd, const CHANNELS: usize, const BLOCKS: usize>(p: Outer, block: usize) {
    let mut channel = 0;
    while channel < p.channels {
        // SAFETY: tiles divide a channel block, and channels are padded to whole blocks.
        unsafe {
            let mut a =
                p.a.add(channel / S::LANES * p.a_block_stride + channel % S::LANES);
            let mut b = p.b.add(block * p.b_block_stride);
            let c = p.c.add(block * p.c_block_stride + channel * S::LANES);
            let mut sums = [[S::zero(); BLOCKS]; CHANNELS];
            for (i, row) in sums.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = S::load(c.add(j * p.c_block_stride + i * S::LANES));
                }
            }
            for _ in 0..p.rows {
                let mut gradients = [S::zero(); BLOCKS];
                for (j, gradient) in gradients.iter_mut().enumerate() {
                    *gradient = S::load(b.add(j * p.b_block_stride));
                }
                for i in 0..CHANNELS {
                    let value = S::splat(*a.add(i));
                    for j in 0..BLOCKS {
                        sums[i][j] = S::fma(value, gradients[j], sums[i][j]);
                    }
                }
                a = a.add(p.a_row_stride);
                b = b.add(p.b_row_stride);
            }
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    S::store(c.add(j * p.c_block_stride + i * S::LANES), *sum);
                }
            }
        }
        channel += CHANNELS;
    }
}
