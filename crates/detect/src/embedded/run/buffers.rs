//! Buffers that are reused between runs of the network.

/// Unused buffers of earlier runs. Without them, allocating fresh memory pages would take a fifth of the time of a run.
#[derive(Default)]
pub(super) struct Buffers(Vec<Vec<f32>>);

/// Buffers of more values than this are freed instead of kept.
const MAX_KEPT: usize = 1 << 22;

impl Buffers {
    /// Takes out a buffer of at least `len` values with unspecified content.
    ///
    /// It is the smallest kept buffer that is large enough, otherwise the largest, which then grows.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
        let fit = (0..self.0.len())
            .filter(|&i| self.0[i].len() >= len)
            .min_by_key(|&i| self.0[i].len());
        let pick = fit.or_else(|| (0..self.0.len()).max_by_key(|&i| self.0[i].len()));
        let mut buffer = pick.map_or_else(Vec::new, |i| self.0.swap_remove(i));
        // `resize` sets only the added values to 0.
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        buffer
    }

    /// Keeps a buffer for a later [`take`](Self::take), unless it is larger than [`MAX_KEPT`].
    pub(super) fn give(&mut self, buffer: Vec<f32>) {
        if buffer.len() <= MAX_KEPT {
            self.0.push(buffer);
        }
    }
}
