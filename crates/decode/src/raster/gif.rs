//! GIF: the first frame, placed on the logical screen.

use super::cut;
use crate::exif::orientation_of;
use crate::raster_image::{Raster, max_alloc};
use crate::{DecodeError, DecodeOptions, check_size};
use gif::{ColorOutput, MemoryLimit};
use image::{DynamicImage, RgbaImage};
use std::io::{ErrorKind, Read};
use std::num::NonZeroU64;

/// The first frame of a file, found but not decoded.
struct FirstFrame<R: Read> {
    decoder: gif::Decoder<R>,
    /// Left, top, width and height of the frame within the image, in pixels.
    frame: [u32; 4],
    /// Width and height of the image, in pixels.
    size: [u32; 2],
}

/// Finds the first frame.
///
/// The image is as large as the logical screen, which grows to hold the frame (also from 0 x 0), as in browsers and
/// Pillow.
fn first_frame<'a>(
    bytes: &'a [u8],
    options: &DecodeOptions,
) -> Result<FirstFrame<impl Read + use<'a>>, DecodeError> {
    let (&[a, b, c, d], true) = (
        bytes
            .get(6..10)
            .and_then(|size| size.try_into().ok())
            .unwrap_or(&[0; 4]),
        bytes.len() >= 13,
    ) else {
        return Err(cut("GIF"));
    };
    let screen = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
    check_size(
        u64::from(screen[0]).max(1),
        u64::from(screen[1]).max(1),
        options,
    )?;
    // The decoder refuses a screen of 0 pixels, so the sides in its header are raised to 1.
    let mut head = [0; 13];
    head.copy_from_slice(&bytes[..13]);
    for (at, side) in [(6, screen[0]), (8, screen[1])] {
        head[at..at + 2].copy_from_slice(&side.max(1).to_le_bytes());
    }
    let mut settings = gif::DecodeOptions::new();
    settings.set_color_output(ColorOutput::RGBA);
    if let Some(limit) = NonZeroU64::new(max_alloc(options)) {
        settings.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let mut decoder = settings
        .read_info(std::io::Cursor::new(head).chain(&bytes[13..]))
        .map_err(failed)?;
    let frame = decoder
        .next_frame_info()
        .map_err(failed)?
        .ok_or_else(|| DecodeError::Broken("GIF: there is no image in the file".to_owned()))?;
    let frame = [frame.left, frame.top, frame.width, frame.height].map(u32::from);
    let size = [0, 1].map(|axis| u32::from(screen[axis]).max(frame[axis] + frame[axis + 2]));
    check_size(u64::from(size[0]), u64::from(size[1]), options)?;
    check_size(u64::from(frame[2]), u64::from(frame[3]), options)?;
    Ok(FirstFrame {
        decoder,
        frame,
        size,
    })
}

/// Width and height of the image, without decoding it.
///
/// # Errors
/// As [`read`], except for damaged pixels.
pub fn size(bytes: &[u8], options: &DecodeOptions) -> Result<[u32; 2], DecodeError> {
    first_frame(bytes, options).map(|first| first.size)
}

/// Decodes the first frame. The rest of the file is ignored. Pixels that the frame does not cover are transparent; an
/// image that is opaque everywhere has no alpha channel.
pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let FirstFrame {
        mut decoder,
        frame: [left, top, frame_width, frame_height],
        size: [width, height],
    } = first_frame(bytes, options)?;
    let mut pixels = vec![0; frame_width as usize * frame_height as usize * 4];
    decoder.read_into_buffer(&mut pixels).map_err(failed)?;
    let frame = RgbaImage::from_raw(frame_width, frame_height, pixels)
        .ok_or_else(|| DecodeError::Broken("GIF: a frame of another size".to_owned()))?;
    let image = if (left, top) == (0, 0) && frame.dimensions() == (width, height) {
        frame
    } else {
        let mut canvas = RgbaImage::new(width, height);
        image::imageops::replace(&mut canvas, &frame, i64::from(left), i64::from(top));
        canvas
    };
    let is_opaque = image.pixels().all(|pixel| pixel[3] == 255);
    let image = DynamicImage::ImageRgba8(image);
    Ok(Raster {
        image: if is_opaque {
            DynamicImage::ImageRgb8(image.into_rgb8())
        } else {
            image
        },
        bit_depth: 8,
        icc: decoder.icc_profile().map(<[u8]>::to_vec),
        orientation: orientation_of(None, decoder.xmp_metadata()),
        is_lossless: true,
    })
}

fn failed(error: gif::DecodingError) -> DecodeError {
    match &error {
        gif::DecodingError::UnexpectedEof => cut("GIF"),
        gif::DecodingError::Io(e) if e.kind() == ErrorKind::UnexpectedEof => cut("GIF"),
        gif::DecodingError::Format(e) if e.to_string().contains("truncated") => cut("GIF"),
        _ => DecodeError::Broken(format!("GIF: {error}")),
    }
}
