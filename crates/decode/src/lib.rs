//! Any picture file to RGB `u8`: upright, opaque, sRGB. What the bytes *are* decides, never the name.
//!
//! Sizes are read from the header and compared with [`DecodeOptions::max_pixels`] before anything is allocated.

mod color;
mod exif;
mod format;
mod jpeg;
mod raster;
mod stored;

pub use exif::{orientation_from_exif, orientation_of};
pub use format::Format;
pub use jpeg::JpegFacts;
pub use stored::{Header, Image, decode_stored, read_header};

use image::RgbImage;
use serde::{Deserialize, Serialize};

/// How pictures are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeOptions {
    /// Pictures with more pixels than this are refused before they are decoded.
    pub max_pixels: u64,
    /// The colour that transparent pictures are laid on, `[r, g, b]`.
    pub matte: [u8; 3],
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            matte: [255; 3],
        }
    }
}

/// A decoded picture and what its file told.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The pixels.
    pub image: RgbImage,
    /// The kind of file.
    pub format: Format,
    /// Quantisers and subsampling, for a JPEG.
    pub jpeg: Option<JpegFacts>,
    /// Whether the file keeps pixels exactly.
    pub is_lossless: bool,
}

/// Why a file is no picture for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Not a picture format that we know; the text says what it looks like.
    #[error("{0}")]
    NotAPicture(String),
    /// More pixels than [`DecodeOptions::max_pixels`].
    #[error("{width} x {height} is more than {max} pixels (raise --max-pixels to accept it)")]
    TooLarge {
        /// Width in the header.
        width: u64,
        /// Height in the header.
        height: u64,
        /// The limit.
        max: u64,
    },
    /// The file ends before the image does, or what is missing was filled up.
    #[error("{0}")]
    Truncated(String),
    /// Corrupt, or of a kind that the decoder does not support.
    #[error("{0}")]
    Broken(String),
}

/// Decodes a picture file.
///
/// EXIF orientation is applied, palettes are expanded, alpha is laid on the matte, CMYK, YCCK, gray and 16 bit are
/// converted, ICC profiles other than sRGB are converted to sRGB. Of an animation the first frame is taken.
///
/// # Errors
/// [`DecodeError`]; a picture that ends early is broken, not half decoded.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format =
        Format::sniff(bytes).ok_or_else(|| DecodeError::NotAPicture(format::describe(bytes)))?;
    match format {
        Format::Jpeg => jpeg::decode(bytes, options),
        other => raster::decode(bytes, other, options),
    }
}

/// Refuses sizes beyond the limit, and empty ones.
fn check_size(width: u64, height: u64, options: &DecodeOptions) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Broken(format!(
            "the header says {width} x {height}"
        )));
    }
    if width.saturating_mul(height) > options.max_pixels {
        return Err(DecodeError::TooLarge {
            width,
            height,
            max: options.max_pixels,
        });
    }
    Ok(())
}
