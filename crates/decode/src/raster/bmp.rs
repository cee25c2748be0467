//! Windows bitmaps.

use super::{Raster, finish};
use crate::{DecodeError, DecodeOptions};
use image::codecs::bmp::BmpDecoder;
use std::io::Cursor;

pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    finish("BMP", BmpDecoder::new(Cursor::new(bytes)), options)
}
