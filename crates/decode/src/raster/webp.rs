//! WebP, lossy and lossless.

use super::{Raster, cut, finish, from_error};
use crate::{DecodeError, DecodeOptions, Header, check_size};
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};
use std::io::Cursor;

/// Smallest number of zero bytes at the end of a chunk for which the chunk is checked; fewer zeros are accepted.
const MIN_ZEROS: usize = 256;

pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    check_length(bytes)?;
    // `check_zeros` may decode the file, so the size is checked first.
    if let Err(error @ DecodeError::TooLarge { .. }) = header(bytes, options) {
        return Err(error);
    }
    check_zeros(bytes)?;
    let raster =
        finish("WEBP", WebPDecoder::new(Cursor::new(bytes)), options).map_err(|error| {
            if ends_early(bytes, &error) {
                cut("WEBP")
            } else {
                error
            }
        })?;
    Ok(Raster {
        is_lossless: bytes.windows(4).take(64).any(|w| w == b"VP8L"),
        ..raster
    })
}

pub fn header(bytes: &[u8], options: &DecodeOptions) -> Result<Header, DecodeError> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|e| from_error("WEBP", &e))?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), options)?;
    Ok(Header {
        width: width as usize,
        height: height as usize,
        channels: usize::from(decoder.color_type().channel_count()),
        bit_depth: 8,
    })
}

/// Refuses files that are shorter than their header or one of their chunks says, as libwebp does.
///
/// Without this check, the decoder reads zeros after the end of lossy data.
fn check_length(bytes: &[u8]) -> Result<(), DecodeError> {
    let whole = length_at(bytes, 4).ok_or_else(|| cut("WEBP"))?;
    let mut at = 12;
    while at < whole.saturating_add(8) {
        let length = length_at(bytes, at + 4).ok_or_else(|| cut("WEBP"))?;
        if bytes.len() - (at + 8) < length {
            return Err(cut("WEBP"));
        }
        // The padding of the last chunk may be missing.
        at += 8 + length.next_multiple_of(2);
    }
    Ok(())
}

/// Refuses files whose missing end is filled with zeros, which decode without an error.
///
/// The data of an image with flat parts may end in zeros, too. In lossy data these are less than one byte for each
/// block of 16 x 16 pixels, even from a simple encoder; more than two per block, besides [`MIN_ZEROS`], are filler.
/// Zeros at the end of lossless data are filler if the image decodes without them.
fn check_zeros(bytes: &[u8]) -> Result<(), DecodeError> {
    let Some((at, data)) = pixel_chunk(bytes) else {
        return Ok(());
    };
    let n_zeros = data.iter().rev().take_while(|&&byte| byte == 0).count();
    if n_zeros < MIN_ZEROS {
        return Ok(());
    }
    let is_filling = if bytes[at..].starts_with(b"VP8L") {
        is_lossless_image(&data[..(data.len() - 16).next_multiple_of(2)])
    } else {
        // Frame tag and start code, then 14 bits of width and height.
        let side = |at: usize| {
            let field = data.get(at..at + 2).and_then(|field| field.try_into().ok());
            usize::from(u16::from_le_bytes(field.unwrap_or_default()) & 0x3fff)
        };
        n_zeros > MIN_ZEROS + 2 * side(6).div_ceil(16) * side(8).div_ceil(16)
    };
    if is_filling {
        return Err(DecodeError::Truncated(format!(
            "WEBP: the last {n_zeros} bytes of the image are zeros, as in an unfinished download"
        )));
    }
    Ok(())
}

/// Whether lossless (`VP8L`) data of an even number of bytes decode to a whole image.
fn is_lossless_image(data: &[u8]) -> bool {
    let length = (data.len() as u32).to_le_bytes();
    let whole = (data.len() as u32 + 12).to_le_bytes();
    let file = [b"RIFF", &whole[..], b"WEBPVP8L", &length, data].concat();
    WebPDecoder::new(Cursor::new(file.as_slice()))
        .and_then(DynamicImage::from_decoder)
        .is_ok()
}

/// Whether a decoding error is due to pixel data that end too early although their chunk is complete.
fn ends_early(bytes: &[u8], error: &DecodeError) -> bool {
    const N_ADDED: usize = 1 << 20;
    let is_data = matches!(error, DecodeError::Broken(text) if text.contains("Corrupt bitstream"));
    match pixel_chunk(bytes).filter(|_| is_data) {
        // Lossless data end too early if the image decodes once zeros are appended.
        Some((at, data)) if bytes[at..].starts_with(b"VP8L") => {
            let n_whole = data.len().next_multiple_of(2) + N_ADDED;
            let mut completed = data.to_vec();
            completed.resize(n_whole, 0);
            is_lossless_image(&completed)
        }
        // Any bits are valid lossy data, so the only possible error is that they end too early.
        Some(_) => true,
        None => false,
    }
}

/// The first chunk with pixels (`VP8 ` or `VP8L`): its offset in the file, and its data.
fn pixel_chunk(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut at = 12;
    loop {
        let length = length_at(bytes, at + 4)?;
        let data = bytes.get(at + 8..)?.get(..length)?;
        if matches!(&bytes[at..at + 4], b"VP8 " | b"VP8L") {
            return Some((at, data));
        }
        at += 8 + length.next_multiple_of(2);
    }
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + 4)?;
    usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_headers_are_refused_before_the_pixels_are_looked_at() {
        let mut bytes = Vec::new();
        image::codecs::webp::WebPEncoder::new_lossless(&mut bytes)
            .encode(&[7; 300], 10, 10, image::ExtendedColorType::Rgb8)
            .unwrap();
        // A chunk that ends in zeros.
        bytes.resize(bytes.len() + 2 * MIN_ZEROS, 0);
        let whole = bytes.len() as u32 - 8;
        bytes[4..8].copy_from_slice(&whole.to_le_bytes());
        bytes[16..20].copy_from_slice(&(whole - 12).to_le_bytes());
        let options = DecodeOptions {
            max_pixels: 99,
            ..DecodeOptions::default()
        };
        let error = read(&bytes, &options).err();
        assert!(
            matches!(error, Some(DecodeError::TooLarge { .. })),
            "{error:?}"
        );
        let error = read(&bytes, &DecodeOptions::default()).err();
        assert!(
            matches!(error, Some(DecodeError::Truncated(_))),
            "{error:?}"
        );
    }
}
