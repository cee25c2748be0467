//! The interface for sources of generated images.

use candle_core::Tensor;

use crate::error::Result;
use crate::name::PathOptions;

/// Any error of a source of images.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A source of the generated images ("fakes") that are evaluated: a generator, or a folder of images.
pub trait FakeSource {
    /// Returns up to `n` more images, `u8`, `[n, 1 or 3, height, width]`; `None` when there are no more.
    ///
    /// # Errors
    /// When the images cannot be generated or read.
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError>;

    /// Whether the source has latent paths, so that [`FakeSource::path_pairs`] works.
    fn has_paths(&self) -> bool {
        false
    }

    /// Generates a pair of images on each of the random latent paths `start..start + n`, at two positions that differ
    /// by `step` (a fraction of the path). Returns first the `n` images at the first positions, then those at the
    /// second: f32 from -1 to 1, `[2 n, channels, height, width]`.
    ///
    /// # Errors
    /// When the images cannot be generated, or the source has no paths.
    fn path_pairs(
        &mut self,
        path: PathOptions,
        step: f64,
        start: usize,
        n: usize,
    ) -> Result<Tensor, SourceError> {
        let _ = (path, step, start, n);
        Err("these images lie on no path of latents".into())
    }
}

/// A source whose images come from a function; it has no latent paths.
pub(crate) struct OnlyImages<'a>(
    pub &'a mut dyn FnMut(usize) -> Result<Option<Tensor>, SourceError>,
);

impl FakeSource for OnlyImages<'_> {
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError> {
        (self.0)(n)
    }
}
