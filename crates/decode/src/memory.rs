//! The memory that decoding a file takes, from its header.

use crate::{DecodeOptions, Format, check_size, jpeg, raster};

/// Bytes of memory that decoding a file to RGB takes at its peak, besides the file itself: an upper bound for ordinary
/// files of that size, 0 for those that [`decode`](crate::decode) refuses for their header.
///
/// Measured on images of 100 million pixels of each format and color type (`tools/prep/tests/memory.rs` checks it on
/// smaller ones).
pub fn memory_needed(bytes: &[u8], options: &DecodeOptions) -> u64 {
    let Some(format) = Format::sniff(bytes) else {
        return 0;
    };
    let Some((width, height, per_pixel)) = size_and_cost(bytes, format, options) else {
        return 0;
    };
    match check_size(width, height, options) {
        Ok(()) => width * height * per_pixel,
        Err(_) => 0,
    }
}

/// Width, height and bytes for a pixel.
fn size_and_cost(bytes: &[u8], format: Format, options: &DecodeOptions) -> Option<(u64, u64, u64)> {
    /// The result, and the same once more while it is turned upright.
    const RESULT: u64 = 3 + 3;
    let le16 = |at: usize| {
        Some(u64::from(u16::from_le_bytes([
            *bytes.get(at)?,
            *bytes.get(at + 1)?,
        ])))
    };
    let le32 = |at: usize| Some((le16(at)?, le16(at + 2)?)).map(|(low, high)| low | high << 16);
    match format {
        Format::Jpeg => {
            let (width, height, channels) = jpeg::read_size(bytes).ok()?;
            // Coefficients of 16 bits, full planes of each component.
            Some((width as u64, height as u64, 3 * channels as u64 + RESULT))
        }
        // For these two `raster::header` has to decode.
        Format::Gif => {
            let [width, height] = raster::gif_size(bytes, options).ok()?;
            // The frame in colors and in numbers of colors, and the image around it.
            Some((width.into(), height.into(), 4 + 1 + 4 + RESULT))
        }
        Format::Bmp => {
            let height = le32(22)? as u32 as i32;
            Some((le32(18)?, u64::from(height.unsigned_abs()), 4 + RESULT))
        }
        format => {
            let header = raster::header(bytes, format, options).ok()?;
            let stored = (header.channels * header.bit_depth / 8) as u64;
            // Four channels of 8 bits on the way to three.
            let converted = if stored > 3 { 4 } else { 0 };
            let decoder = match format {
                Format::Webp | Format::Avif => 4,
                Format::Tiff => stored,
                _ => 0,
            };
            let cost = stored + converted + decoder + RESULT;
            Some((header.width as u64, header.height as u64, cost))
        }
    }
}
