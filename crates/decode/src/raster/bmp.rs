//! Windows bitmaps.

use super::bmp_rle::{Codes, read_indices};
use super::{Raster, finish};
use crate::{DecodeError, DecodeOptions, check_size};
use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, RgbImage};
use std::io::Cursor;

/// Decodes the image.
///
/// Run lengths are decoded here: the decoder of the `image` crate makes pixels that no run covers black, where they have
/// the first color of the palette in other programs.
pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes));
    match (&decoder, codes(bytes)) {
        (Ok(decoder), Some(codes)) => read_runs(bytes, decoder, codes, options),
        _ => finish("BMP", decoder, options),
    }
}

/// The form of run lengths, where the header has the field and names one.
fn codes(bytes: &[u8]) -> Option<Codes> {
    // Headers of 16 bytes or less have no such field.
    match (number_at(bytes, 14)?, number_at(bytes, 30)?) {
        (40.., 1) => Some(Codes::Bytes),
        (40.., 2) => Some(Codes::HalfBytes),
        _ => None,
    }
}

fn read_runs(
    bytes: &[u8],
    decoder: &BmpDecoder<Cursor<&[u8]>>,
    codes: Codes,
    options: &DecodeOptions,
) -> Result<Raster, DecodeError> {
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), options)?;
    let start = number_at(bytes, 10).and_then(|start| usize::try_from(start).ok());
    let data = start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    let indices = read_indices(data, (width as usize, height as usize), codes)?;
    let palette = decoder.get_palette().unwrap_or_default();
    let color = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();
    let mut pixels = Vec::with_capacity(3 * indices.len());
    // The lowest row comes first.
    for row in indices.chunks_exact(width as usize).rev() {
        pixels.extend(row.iter().flat_map(|&index| color(index)));
    }
    let image = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| DecodeError::Broken("BMP: an image of another size".to_owned()))?;
    Ok(Raster {
        image: DynamicImage::ImageRgb8(image),
        bit_depth: 8,
        icc: None,
        orientation: Orientation::NoTransforms,
        is_lossless: true,
    })
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}
