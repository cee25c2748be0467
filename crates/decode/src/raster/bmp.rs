//! Windows bitmaps.

use super::bmp_rle::{Codes, read_indices};
use super::{Raster, finish};
use crate::{DecodeError, DecodeOptions, check_size};
use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, RgbImage};
use std::borrow::Cow;
use std::io::Cursor;

/// Decodes a bitmap.
///
/// Run-length encoded bitmaps are decoded here: the `image` crate makes pixels that no run covers black, whereas other
/// programs give them the first color of the palette.
pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let bytes = &of_windows(bytes)?[..];
    let decoder = BmpDecoder::new(Cursor::new(bytes));
    match (&decoder, codes(bytes)) {
        (Ok(decoder), Some(codes)) => read_runs(bytes, decoder, codes, options),
        _ => finish("BMP", decoder, options),
    }
}

/// Rewrites a bitmap of OS/2 2.x as one of Windows: its header of 64 bytes begins with the fields of the Windows header
/// of 40 bytes. Other bitmaps are returned unchanged.
///
/// # Errors
/// When the pixels are compressed in a way that only OS/2 has.
fn of_windows(bytes: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    /// Lengths in bytes of the file header, and of the image headers of OS/2 and Windows.
    const FILE: usize = 14;
    const OS2: usize = 64;
    const WINDOWS: usize = 40;
    if number_at(bytes, FILE) != Some(OS2 as u32) || bytes.len() < FILE + OS2 {
        return Ok(Cow::Borrowed(bytes));
    }
    if number_at(bytes, 30).is_some_and(|packing| packing > 2) {
        return Err(DecodeError::Broken(
            "BMP: of OS/2 and packed in a way that is not supported: convert it to PNG".to_owned(),
        ));
    }
    let removed = (OS2 - WINDOWS) as u32;
    let start = number_at(bytes, 10).unwrap_or_default();
    let mut out = bytes[..FILE + WINDOWS].to_vec();
    out[10..14].copy_from_slice(&start.saturating_sub(removed).to_le_bytes());
    out[FILE..FILE + 4].copy_from_slice(&(WINDOWS as u32).to_le_bytes());
    out.extend_from_slice(&bytes[FILE + OS2..]);
    Ok(Cow::Owned(out))
}

/// The kind of run-length encoding in the header; `None` for all other bitmaps.
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
    // The indices have the lowest row first.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use image::{DynamicImage, ImageFormat, Rgb};

    /// A bitmap of Windows with the header of OS/2 2.x; the formats agree but for its length (OS/2 Presentation Manager
    /// reference, `BITMAPINFOHEADER2`).
    fn of_os2(windows: &[u8]) -> Vec<u8> {
        let start = number_at(windows, 10).unwrap() + 24;
        let mut out = windows[..54].to_vec();
        out[10..14].copy_from_slice(&start.to_le_bytes());
        out[14..18].copy_from_slice(&64_u32.to_le_bytes());
        out.extend([0; 24]);
        out.extend(&windows[54..]);
        out
    }

    #[test]
    fn bitmaps_of_os2_have_the_same_pixels() {
        let rgb = RgbImage::from_fn(7, 5, |x, y| Rgb([(x * 30) as u8, (y * 50) as u8, 9]));
        let gray = DynamicImage::ImageRgb8(rgb.clone()).into_luma8();
        for image in [DynamicImage::ImageRgb8(rgb), DynamicImage::ImageLuma8(gray)] {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, ImageFormat::Bmp).unwrap();
            let file = of_os2(bytes.get_ref());
            let options = DecodeOptions::default();
            assert_eq!(decode(&file, &options).unwrap().image, image.into_rgb8());
            let mut packed = file;
            packed[30] = 4;
            let error = decode(&packed, &options).unwrap_err().to_string();
            assert!(
                error.contains("OS/2") && error.contains("convert"),
                "{error}"
            );
        }
    }
}
