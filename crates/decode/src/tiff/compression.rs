//! Decompresses one strip or tile of a TIFF to samples as stored.

use super::directory::{broken, unsupported};
use crate::{DecodeError, DecodeOptions};
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};
use std::io::{Cursor, Read};

/// Compression of strips and tiles (tag 259).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    /// Fax compression (number 2) in which each row starts at a byte boundary.
    FaxRows,
    Group3,
    Group4,
    Lzw,
    Jpeg,
    OldJpeg,
    Deflate,
    PackBits,
    WebP,
}

impl Compression {
    /// The compression with this number in tag 259; an error that names the compression if it is not supported.
    pub fn from_number(number: u64) -> Result<Self, DecodeError> {
        let name = match number {
            1 => return Ok(Self::None),
            2 => return Ok(Self::FaxRows),
            3 => return Ok(Self::Group3),
            4 => return Ok(Self::Group4),
            5 => return Ok(Self::Lzw),
            6 => return Ok(Self::OldJpeg),
            7 => return Ok(Self::Jpeg),
            8 | 32946 => return Ok(Self::Deflate),
            32773 => return Ok(Self::PackBits),
            50001 => return Ok(Self::WebP),
            32771 => "word-aligned fax",
            9 | 10 | 34661 => "JBIG",
            32766 => "NeXT",
            32809 => "ThunderScan",
            32895..=32898 => "IT8",
            32908 => "Pixar film",
            32909 => "Pixar log",
            33003 | 33004 | 33005 | 34712 => "JPEG 2000",
            34676 | 34677 => "SGI log",
            34887 => "LERC",
            34925 => "LZMA",
            34933 => "PNG",
            34892 => "lossy JPEG of a camera's raw format",
            50000 => "Zstandard",
            50002 | 52546 => "JPEG XL",
            _ => return Err(unsupported(format!("compression number {number}"))),
        };
        Err(unsupported(format!("{name} compression")))
    }
}

/// The size of a strip or tile: `width` and `height` in pixels.
pub struct Shape {
    pub width: usize,
    pub height: usize,
    /// Samples per pixel.
    pub samples: usize,
    /// Number of bytes after decompression.
    pub n_bytes: usize,
}

/// Decompresses a strip or tile to `shape.n_bytes` bytes; `None` when its data are too short or damaged.
///
/// Always returns `None` for JPEG, which [`jpeg`] decompresses, since its decoder also converts colors.
pub fn expand(data: &[u8], compression: Compression, shape: &Shape) -> Option<Vec<u8>> {
    let mut out = vec![0; shape.n_bytes];
    let is_whole = match compression {
        Compression::None => {
            out.copy_from_slice(data.get(..shape.n_bytes)?);
            true
        }
        Compression::Lzw => lzw(data, &mut out),
        Compression::Deflate => flate2::read::ZlibDecoder::new(data)
            .read_exact(&mut out)
            .is_ok(),
        Compression::PackBits => pack_bits(data, &mut out),
        Compression::FaxRows => super::fax::rows(data, shape.width, true, &mut out),
        Compression::Group3 => super::fax::rows(data, shape.width, false, &mut out),
        Compression::Group4 => super::fax::group4(data, shape.width, shape.height, &mut out),
        Compression::WebP => return webp(data, shape),
        Compression::Jpeg | Compression::OldJpeg => false,
    };
    is_whole.then_some(out)
}

fn lzw(data: &[u8], out: &mut [u8]) -> bool {
    use weezl::{BitOrder, LzwStatus, decode::Decoder};
    // Before TIFF 5.0, LZW codes were packed from the lowest bit of a byte on.
    let is_old = matches!(data, [0, second, ..] if second & 1 == 1);
    let mut decoder = if is_old {
        Decoder::new(BitOrder::Lsb, 8)
    } else {
        Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let step = decoder.decode_bytes(&data[read..], &mut out[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            _ => break,
        }
    }
    written == out.len()
}

fn pack_bits(mut data: &[u8], out: &mut [u8]) -> bool {
    let mut written = 0;
    while written < out.len() {
        let Some((&head, rest)) = data.split_first() else {
            return false;
        };
        let left = out.len() - written;
        match head {
            0..=127 => {
                let length = usize::from(head) + 1;
                if rest.len() < length.min(left) {
                    return false;
                }
                let kept = length.min(left);
                out[written..written + kept].copy_from_slice(&rest[..kept]);
                written += kept;
                data = rest.get(length..).unwrap_or_default();
            }
            128 => data = rest,
            _ => {
                let Some((&value, rest)) = rest.split_first() else {
                    return false;
                };
                let length = (257 - usize::from(head)).min(left);
                out[written..written + length].fill(value);
                written += length;
                data = rest;
            }
        }
    }
    true
}

fn webp(data: &[u8], shape: &Shape) -> Option<Vec<u8>> {
    let decoder = WebPDecoder::new(Cursor::new(data)).ok()?;
    let (width, height) = decoder.dimensions();
    if (width as usize, height as usize) != (shape.width, shape.height) {
        return None;
    }
    let image = DynamicImage::from_decoder(decoder).ok()?;
    let samples = match shape.samples {
        3 => image.into_rgb8().into_raw(),
        4 => image.into_rgba8().into_raw(),
        _ => return None,
    };
    // WebP has 8 bits a sample and no subsampling, whatever the tags say.
    (samples.len() == shape.n_bytes).then_some(samples)
}

/// Decompresses a JPEG strip or tile to RGB, cropped to `shape`. Returns the RGB values and the number of pixels before
/// cropping.
///
/// `tables` is the value of tag 347, a JPEG with tables only. `transform` is 1 if the components are YCbCr, 0 if they
/// are red, green and blue, `None` if the markers of the JPEG decide.
pub fn jpeg(
    data: &[u8],
    tables: Option<&[u8]>,
    transform: Option<u8>,
    shape: &Shape,
    options: &DecodeOptions,
) -> Result<(Vec<u8>, u64), DecodeError> {
    const START: &[u8] = b"\xff\xd8";
    /// The Adobe marker segment without its last byte, which is the color transform.
    const ADOBE: &[u8] = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0";
    let body = data
        .strip_prefix(START)
        .ok_or_else(|| broken("a strip that should be a JPEG is none"))?;
    let tables = tables.map_or(&[][..], |tables| {
        let tables = tables.strip_prefix(START).unwrap_or(tables);
        tables.strip_suffix(b"\xff\xd9").unwrap_or(tables)
    });
    let marker = transform.map_or_else(Vec::new, |transform| [ADOBE, &[transform]].concat());
    let stream = [START, &marker, tables, body].concat();
    let image = crate::jpeg::decode(&stream, options)?.image;
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width < shape.width || height < shape.height {
        return Err(broken(format!(
            "a JPEG strip of {width} x {height} pixels, not {} x {}",
            shape.width, shape.height
        )));
    }
    let rows = image.as_raw().chunks_exact(width * 3).take(shape.height);
    let rgb = rows.flat_map(|row| &row[..shape.width * 3]).copied();
    Ok((rgb.collect(), width as u64 * height as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(n_bytes: usize) -> Shape {
        Shape {
            width: n_bytes,
            height: 1,
            samples: 1,
            n_bytes,
        }
    }

    #[test]
    fn runs_and_literals_are_unpacked() {
        let packed = [0xfe, 7, 0x80, 1, 8, 9, 0xff, 1];
        let expand = |n| expand(&packed, Compression::PackBits, &shape(n));
        assert_eq!(expand(7).unwrap(), [7, 7, 7, 8, 9, 1, 1]);
        assert_eq!(expand(4).unwrap(), [7, 7, 7, 8]);
        assert_eq!(expand(8), None);
    }

    #[test]
    fn webp_strips_have_eight_bits_a_sample() {
        let mut bytes = Vec::new();
        image::codecs::webp::WebPEncoder::new_lossless(&mut bytes)
            .encode(&[7; 12], 2, 2, image::ExtendedColorType::Rgb8)
            .unwrap();
        let expand = |n_bytes| {
            let shape = Shape {
                width: 2,
                height: 2,
                samples: 3,
                n_bytes,
            };
            expand(&bytes, Compression::WebP, &shape)
        };
        assert_eq!(expand(12), Some(vec![7; 12]));
        // Tags that say 16 bits, 1 bit.
        assert_eq!((expand(24), expand(2)), (None, None));
    }

    #[test]
    fn unknown_compressions_are_named() {
        for (number, name) in [
            (34925, "LZMA"),
            (50000, "Zstandard"),
            (32771, "fax"),
            (999, "999"),
        ] {
            let error = Compression::from_number(number).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("PNG"), "{error}");
        }
    }
}
