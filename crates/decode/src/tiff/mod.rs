//! TIFF and BigTIFF: the first image of the file.
//!
//! The `tiff` crate decodes no palettes and no YCbCr outside of JPEG, and does not distinguish premultiplied from
//! straight alpha. Therefore all kinds of TIFF are read here, by the same rules; decompression uses the crates that
//! `tiff` itself uses.

mod compression;
mod directory;
mod fax;
mod layout;
mod pixels;
mod samples;
mod work;

use crate::raster_image::Raster;
use crate::{DecodeError, DecodeOptions, Header, orientation_of};
use compression::Compression;
use directory::Directory;
use image::metadata::Orientation;
use layout::Layout;

/// Decodes the first image of a file.
pub(crate) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let directory = Directory::read(bytes)?;
    let layout = Layout::read(&directory, options)?;
    let samples = samples::read(bytes, &directory, &layout, options)?;
    let image = pixels::to_image(samples, &directory, &layout)?;
    Ok(Raster {
        image,
        bit_depth: layout.bit_depth(),
        icc: directory.metadata(34675).map(<[u8]>::to_vec),
        orientation: match directory.number(274) {
            Ok(Some(number)) => u8::try_from(number)
                .ok()
                .and_then(Orientation::from_exif)
                .unwrap_or(Orientation::NoTransforms),
            _ => orientation_of(None, directory.metadata(700)),
        },
        is_lossless: !matches!(
            layout.compression,
            Compression::Jpeg | Compression::OldJpeg | Compression::WebP
        ),
    })
}

/// Size, channels and bit depth of the first image. `bytes` must contain its directory, but not its pixels.
pub(crate) fn header(bytes: &[u8], options: &DecodeOptions) -> Result<Header, DecodeError> {
    let layout = Layout::read(&Directory::read(bytes)?, options)?;
    Ok(Header {
        width: layout.width,
        height: layout.height,
        channels: layout.n_channels(),
        bit_depth: layout.bit_depth(),
    })
}
