//! The pixels of a file before color, alpha and orientation are applied, and the memory that they may take.

use image::DynamicImage;
use image::metadata::Orientation;

use crate::{DecodeOptions, Header};

/// An image as its file has it.
pub(crate) struct Raster {
    /// Gray or RGB, with or without alpha that is not multiplied in, 8 or 16 bits.
    pub image: DynamicImage,
    /// Bits of a channel in the file: 8 where it has fewer.
    pub bit_depth: usize,
    /// The color profile.
    pub icc: Option<Vec<u8>>,
    /// The turn that makes the image upright.
    pub orientation: Orientation,
    /// Whether the file keeps pixels exactly.
    pub is_lossless: bool,
}

impl Raster {
    /// Size, channels and depth.
    pub fn header(&self) -> Header {
        Header {
            width: self.image.width() as usize,
            height: self.image.height() as usize,
            channels: usize::from(self.image.color().channel_count()),
            bit_depth: self.bit_depth,
        }
    }
}

/// Bytes that decoding may allocate: 16 bit RGBA twice, and space for data beside the pixels.
pub(crate) fn max_alloc(options: &DecodeOptions) -> u64 {
    options
        .max_pixels
        .saturating_mul(16)
        .saturating_add(64 << 20)
}
