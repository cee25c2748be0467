//! WebP, lossy and lossless.

use super::{Raster, cut, finish, from_error};
use crate::{DecodeError, DecodeOptions, Header, check_size};
use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;
use std::io::Cursor;

/// Compressed data of a whole image do not end in so many zeros, not even those of a flat one.
const MIN_ZEROS: usize = 256;

pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    check_length(bytes)?;
    let raster = finish("WEBP", WebPDecoder::new(Cursor::new(bytes)), options)?;
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

/// Refuses files whose data are missing, be they cut or filled up with zeros.
///
/// The decoder reads past the end of lossy data as if zeros stood there, and takes zeros for codes.
fn check_length(bytes: &[u8]) -> Result<(), DecodeError> {
    let length_at = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
    };
    let whole = length_at(4).ok_or_else(|| cut("WEBP"))?.saturating_add(8);
    let mut at = 12;
    while at < whole {
        let (Some(name), Some(length)) = (bytes.get(at..at + 4), length_at(at + 4)) else {
            return Err(cut("WEBP"));
        };
        let data = &bytes[at + 8..];
        let data = data.get(..length).ok_or_else(|| cut("WEBP"))?;
        let n_zeros = data.iter().rev().take_while(|&&byte| byte == 0).count();
        if matches!(name, b"VP8 " | b"VP8L") && n_zeros >= MIN_ZEROS {
            return Err(DecodeError::Truncated(format!(
                "WEBP: the last {n_zeros} bytes of the image are zeros, as in an unfinished download"
            )));
        }
        // The padding of the last chunk may be missing.
        at += 8 + length.next_multiple_of(2);
    }
    Ok(())
}
