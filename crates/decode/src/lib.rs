//! Decodes image files to 8-bit sRGB, with the orientation applied and alpha composited. The format is recognized by
//! the first bytes of a file, not by its name.
//!
//! [`decode`] applies orientation, color profile and alpha; [`decode_stored`] returns the pixels as stored. Both use
//! the same decoders, so that every tool accepts and refuses the same files.
//!
//! Sizes are read from the header and compared with [`DecodeOptions::max_pixels`] before anything is allocated.
//!
//! ```
//! use decode::{DecodeOptions, Format, decode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut file = std::io::Cursor::new(Vec::new());
//! image::RgbImage::new(4, 3).write_to(&mut file, image::ImageFormat::Png)?;
//! let decoded = decode(file.get_ref(), &DecodeOptions::default())?;
//! assert_eq!((decoded.format, decoded.image.dimensions()), (Format::Png, (4, 3)));
//! # Ok(())
//! # }
//! ```

mod color;
mod describe;
mod exif;
mod format;
mod gray;
mod icc;
mod jpeg;
mod memory;
mod pixels;
mod raster;
mod raster_image;
mod stored;
mod tiff;

pub use describe::describe;
pub use exif::{orientation_from_exif, orientation_of};
pub use format::Format;
pub use jpeg::JpegFacts;
pub use memory::memory_needed;
pub use pixels::{Header, Image};
pub use stored::{decode_stored, read_header};

use image::{ColorType, DynamicImage, RgbImage};
use raster_image::Raster;
use serde::{Deserialize, Serialize};

/// Default of [`DecodeOptions::max_pixels`]: 100 million pixels.
const MAX_PIXELS: u64 = 100_000_000;

/// Options of [`decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeOptions {
    /// Largest accepted width times height; a larger image is refused before it is decoded, with
    /// [`DecodeError::TooLarge`]. Default: 100 million.
    pub max_pixels: u64,
    /// Background color that transparent pixels are composited on, `[r, g, b]` in sRGB. Default: white.
    pub matte: [u8; 3],
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            max_pixels: MAX_PIXELS,
            matte: [255; 3],
        }
    }
}

/// A decoded image and properties of its file.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The pixels, upright and in sRGB.
    pub image: RgbImage,
    /// Format of the file.
    pub format: Format,
    /// Estimated quality and chroma subsampling of a JPEG; `None` for other formats.
    pub jpeg: Option<JpegFacts>,
    /// Whether the file stores pixels exactly: PNG, GIF, BMP, lossless WebP, and TIFF without JPEG or WebP compression.
    pub is_lossless: bool,
}

/// The reason for which a file cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Not an image of a known format; the text describes the content.
    #[error("{0}")]
    NotAnImage(String),
    /// More pixels than [`DecodeOptions::max_pixels`].
    #[error("{width} x {height} is more than {max} pixels")]
    TooLarge {
        /// Width in the header.
        width: u64,
        /// Height in the header.
        height: u64,
        /// [`DecodeOptions::max_pixels`].
        max: u64,
    },
    /// The file ends before the image does, or its missing end was filled with zeros. The text is the whole message.
    #[error("{0}")]
    Truncated(String),
    /// The file is corrupt, or of a kind that the decoder does not support. The text is the whole message.
    #[error("{0}")]
    Broken(String),
}

/// Decodes an image file to upright 8-bit sRGB.
///
/// The orientation is taken from EXIF or, if EXIF has no valid one, from XMP. Palettes are expanded; CMYK, YCCK, gray
/// and 16-bit images are converted; gray and RGB images with an ICC profile are converted to sRGB; then alpha is
/// composited on [`DecodeOptions::matte`]. Of an animation the first frame is decoded.
///
/// # Errors
/// [`DecodeError`]; a file whose end is missing gives [`DecodeError::Truncated`], never a partly decoded image.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let format = format_of(bytes)?;
    if format == Format::Jpeg {
        return jpeg::decode(bytes, options);
    }
    let raster = read_raster(bytes, format, options)?;
    let image = color::convert(raster.image, raster.icc.as_deref());
    let mut image = DynamicImage::ImageRgb8(color::flatten(image, options.matte));
    image.apply_orientation(raster.orientation);
    Ok(Decoded {
        image: image.into_rgb8(),
        format,
        jpeg: None,
        is_lossless: raster.is_lossless,
    })
}

/// Decodes an image file as [`decode`] does, but keeps the alpha channel and the gray of the file.
///
/// Returns an 8-bit image: gray or RGB, each with or without alpha. A JPEG is always returned as RGB.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_alpha(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<DynamicImage, DecodeError> {
    let format = format_of(bytes)?;
    if format == Format::Jpeg {
        return Ok(DynamicImage::ImageRgb8(jpeg::decode(bytes, options)?.image));
    }
    let raster = read_raster(bytes, format, options)?;
    let mut image = color::convert(raster.image, raster.icc.as_deref());
    image.apply_orientation(raster.orientation);
    Ok(match image.color() {
        ColorType::L8 | ColorType::L16 => DynamicImage::ImageLuma8(image.into_luma8()),
        ColorType::La8 | ColorType::La16 => DynamicImage::ImageLumaA8(image.into_luma_alpha8()),
        color if color.has_alpha() => DynamicImage::ImageRgba8(image.into_rgba8()),
        _ => DynamicImage::ImageRgb8(image.into_rgb8()),
    })
}

fn format_of(bytes: &[u8]) -> Result<Format, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    Format::sniff(bytes).ok_or_else(|| {
        if describe::is_cut_head(bytes) {
            DecodeError::Truncated("the file ends after the first bytes of an image".to_owned())
        } else {
            DecodeError::NotAnImage(describe(bytes))
        }
    })
}

fn read_raster(
    bytes: &[u8],
    format: Format,
    options: &DecodeOptions,
) -> Result<Raster, DecodeError> {
    raster::read(bytes, format, options).map_err(|error| match (error, zeros_at_end(bytes)) {
        (DecodeError::Broken(message), Some(n_zeros)) => DecodeError::Truncated(format!(
            "{message}; the last {n_zeros} bytes of the file are zeros, as in an unfinished download"
        )),
        (other, _) => other,
    })
}

/// The number of zero bytes at the end of a file if there are at least 256, a sign that its data are missing.
fn zeros_at_end(bytes: &[u8]) -> Option<usize> {
    const MIN_ZEROS: usize = 256;
    let n_zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    (n_zeros >= MIN_ZEROS).then_some(n_zeros)
}

/// Refuses images without pixels and images with more than [`DecodeOptions::max_pixels`].
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
