//! Estimates the memory that decoding a file takes, from its header.

use crate::{DecodeOptions, Format, check_size, jpeg, raster};

/// Peak memory in bytes of decoding a file to RGB with [`decode`](crate::decode), not counting the file itself.
///
/// An upper bound for ordinary files of that size; 0 for files that `decode` refuses because of their header.
///
/// The bytes per pixel were measured on images of 100 million pixels, for each format and color type;
/// `tools/prep/tests/memory.rs` checks the bound on smaller images.
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

/// Width, height and peak bytes of memory per pixel; `None` if the header cannot be read.
fn size_and_cost(bytes: &[u8], format: Format, options: &DecodeOptions) -> Option<(u64, u64, u64)> {
    /// Bytes per pixel of the RGB result, and of its copy while the orientation is applied.
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
            // Per component: coefficients of 16 bits and a plane of 8-bit samples at full size.
            Some((width as u64, height as u64, 3 * channels as u64 + RESULT))
        }
        // For GIF and BMP, `raster::header` would decode the pixels; their size is read here instead.
        Format::Gif => {
            let [width, height] = raster::gif_size(bytes, options).ok()?;
            // The frame as RGBA and as palette indices, and the RGBA image that it is placed on.
            Some((width.into(), height.into(), 4 + 1 + 4 + RESULT))
        }
        Format::Bmp => {
            let height = le32(22)? as u32 as i32;
            Some((le32(18)?, u64::from(height.unsigned_abs()), 4 + RESULT))
        }
        format => {
            let header = raster::header(bytes, format, options).ok()?;
            let stored = (header.channels * header.bit_depth / 8) as u64;
            // An 8-bit RGBA copy between the stored pixels and the RGB result.
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
