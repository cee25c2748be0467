//! The pixels of a file before color, alpha and orientation are converted, and a limit on the memory of decoding.

use image::DynamicImage;
use image::metadata::Orientation;

use crate::{DecodeOptions, Header};

/// A decoded image before conversion, with the metadata that conversion needs.
pub(crate) struct Raster {
    /// Gray or RGB of 8 or 16 bits, with straight (not premultiplied) alpha or none.
    pub image: DynamicImage,
    /// Bits per channel in the file; 8 where the file has fewer.
    pub bit_depth: usize,
    /// The ICC profile, if the file has one.
    pub icc: Option<Vec<u8>>,
    /// The transform that makes the image upright; not applied to `image` yet.
    pub orientation: Orientation,
    /// Whether the file stores pixels exactly.
    pub is_lossless: bool,
}

impl Raster {
    /// Size, channels and bit depth as in the file.
    pub fn header(&self) -> Header {
        Header {
            width: self.image.width() as usize,
            height: self.image.height() as usize,
            channels: usize::from(self.image.color().channel_count()),
            bit_depth: self.bit_depth,
        }
    }
}

/// Largest number of bytes that decoding may allocate: 16 per pixel (two copies in 16-bit RGBA), and 64 MiB for other
/// data.
pub(crate) fn max_alloc(options: &DecodeOptions) -> u64 {
    options
        .max_pixels
        .saturating_mul(16)
        .saturating_add(64 << 20)
}
