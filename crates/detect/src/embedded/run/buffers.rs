//! Buffers that are reused between runs.

/// Buffers of earlier runs. Allocating fresh pages would take a fifth of the time of a run.
#[derive(Default)]
pub(super) struct Buffers(Vec<Vec<f32>>);

/// Larger buffers are not kept.
const MAX_KEPT: usize = 1 << 22;

impl Buffers {
    /// A buffer of at least `len` values, with unspecified content: the smallest that fits, otherwise the largest, which
    /// grows.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
        let fit = (0..self.0.len())
            .filter(|&i| self.0[i].len() >= len)
            .min_by_key(|&i| self.0[i].len());
        let pick = fit.or_else(|| (0..self.0.len()).max_by_key(|&i| self.0[i].len()));
        let mut buffer = pick.map_or_else(Vec::new, |i| self.0.swap_remove(i));
        // Only what grows is cleared.
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        buffer
    }

    /// Keeps a buffer for later.
    pub(super) fn give(&mut self, buffer: Vec<f32>) {
        if buffer.len() <= MAX_KEPT {
            self.0.push(buffer);
        }
    }
}
