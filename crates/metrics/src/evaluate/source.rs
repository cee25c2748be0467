//! Where fakes come from.

use candle_core::Tensor;

use crate::error::Result;
use crate::name::PathOptions;

/// Whatever went wrong while images were made.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the images that are judged: a generator, or a folder of pictures.
pub trait FakeSource {
    /// Up to `n` more images, `u8`, `[n, 1 or 3, height, width]`; `None` when there are no more.
    ///
    /// # Errors
    /// When they cannot be made.
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError>;

    /// Whether there are latent paths.
    fn has_paths(&self) -> bool {
        false
    }

    /// Images at the positions `start..start + n` of an endless list of random paths, and the same a step further: f32
    /// from -1 to 1, `[2 n, channels, height, width]`.
    ///
    /// # Errors
    /// When they cannot be made, or there are no paths.
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

/// Images from a function: no paths.
pub(crate) struct OnlyImages<'a>(
    pub &'a mut dyn FnMut(usize) -> Result<Option<Tensor>, SourceError>,
);

impl FakeSource for OnlyImages<'_> {
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError> {
        (self.0)(n)
    }
}
