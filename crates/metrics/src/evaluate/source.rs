//! Sources of generated images.

use candle_core::Tensor;

use crate::error::Result;
use crate::name::PathOptions;

/// Any error of a source.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A source of the images that are evaluated: a generator, or a folder of images.
pub trait FakeSource {
    /// Up to `n` more images, `u8`, `[n, 1 or 3, height, width]`; `None` when there are no more.
    ///
    /// # Errors
    /// When they cannot be generated.
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError>;

    /// Whether [`FakeSource::path_pairs`] works: the source has latent paths.
    fn has_paths(&self) -> bool {
        false
    }

    /// Pairs of images on the random paths `start..start + n`: all images at the first positions, then all images one
    /// step further: f32 from -1 to 1, `[2 n, channels, height, width]`.
    ///
    /// # Errors
    /// When they cannot be generated, or there are no paths.
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

/// A source from a function of images; it has no paths.
pub(crate) struct OnlyImages<'a>(
    pub &'a mut dyn FnMut(usize) -> Result<Option<Tensor>, SourceError>,
);

impl FakeSource for OnlyImages<'_> {
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError> {
        (self.0)(n)
    }
}
