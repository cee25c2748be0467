//! Converts the coefficients of a component to its samples.

use super::coefficients::Coefficients;
use super::idct::inverse;

/// The samples of one component, before upsampling.
pub struct Plane {
    /// Samples in a row that belong to the image.
    pub width: usize,
    /// Rows that belong to the image.
    pub height: usize,
    stride: usize,
    samples: Vec<u8>,
}

impl Plane {
    /// Transforms all blocks of a component of `width` x `height` samples.
    pub fn new(
        coefficients: &Coefficients,
        quantizers: &[u16; 64],
        (width, height): (usize, usize),
    ) -> Self {
        let stride = 8 * coefficients.stride;
        let mut samples = vec![0; stride * height.next_multiple_of(8)];
        let rows = samples.chunks_exact_mut((8 * stride).max(1));
        for (out, blocks) in rows.zip(coefficients.rows()) {
            for (x, block) in blocks.iter().enumerate() {
                inverse(block, quantizers, &mut out[8 * x..], stride);
            }
        }
        Self {
            width,
            height,
            stride,
            samples,
        }
    }

    /// Row `y` of the samples, `width` values; the last row also stands for all rows below it.
    pub fn row(&self, y: usize) -> &[u8] {
        let start = y.min(self.height - 1) * self.stride;
        &self.samples[start..start + self.width]
    }
}
