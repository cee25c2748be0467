//! Decodes image files to RGB `u8`: upright, opaque, sRGB. Formats are told by content, never by name.
//!
//! [`decode`] converts orientation, color and alpha; [`decode_stored`] keeps them as in the file. Both use the same
//! decoders, so that every tool accepts and refuses the same files.
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

/// Default of [`DecodeOptions::max_pixels`].
const MAX_PIXELS: u64 = 100_000_000;

/// Options of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeOptions {
    /// Images with more pixels than this are refused before they are decoded.
    pub max_pixels: u64,
    /// The color that transparent images are laid on, `[r, g, b]`.
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
    /// The pixels.
    pub image: RgbImage,
    /// Format of the file.
    pub format: Format,
    /// Quantizers and subsampling, for a JPEG.
    pub jpeg: Option<JpegFacts>,
    /// Whether the file keeps pixels exactly.
    pub is_lossless: bool,
}

/// Why a file cannot be decoded.
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

/// Decodes an image file.
///
/// The orientation of EXIF or else XMP is applied, palettes are expanded, alpha is laid on the matte, CMYK, YCCK, gray and
/// 16 bit are converted, ICC profiles of gray and RGB are converted to sRGB before that. Of an animation the first frame is
/// taken.
///
/// # Errors
/// [`DecodeError`]; an image that ends early is truncated, not half decoded.
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

/// As [`decode`], with the alpha channel where the file has one: 8 bit gray or RGB.
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

/// The number of zeros that a file ends in, where there are so many that its data are missing.
fn zeros_at_end(bytes: &[u8]) -> Option<usize> {
    const MIN_ZEROS: usize = 256;
    let n_zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    (n_zeros >= MIN_ZEROS).then_some(n_zeros)
}

/// Refuses empty images and images beyond the limit.
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
