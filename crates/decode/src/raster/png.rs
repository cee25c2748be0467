//! PNG, APNG and Apple's variant of it.
//!
//! The file is split into chunks here. A missing end chunk is added, the changes of Apple's tools are undone, and the
//! `png` crate decodes the result.

use super::cut;
use crate::exif::orientation_of;
use crate::raster_image::{Raster, max_alloc};
use crate::{DecodeError, DecodeOptions, Header, check_size};
use flate2::read::ZlibDecoder;
use image::{DynamicImage, ImageBuffer};
use png::{BitDepth, ColorType, DecodingError, Reader, Transformations};
use std::borrow::Cow;
use std::io::{Cursor, ErrorKind, Read};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Longest EXIF block, XMP packet or ICC profile that is read, in bytes; those of real files are far shorter.
const MAX_METADATA: u64 = 4 << 20;

/// Decodes the image; of an APNG its default image, which programs without animation show.
pub fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Raster, DecodeError> {
    let chunks = Chunks::split(bytes);
    let mut reader = open(&chunks, options, Transformations::EXPAND)?;
    let (color, depth) = reader.output_color_type();
    let pixels = read_pixels(&mut reader, &chunks)?;
    let info = reader.info();
    let image = to_image(info.width, info.height, color, depth, pixels)
        .ok_or_else(|| DecodeError::Broken("PNG: an unsupported color type".to_owned()))?;
    let image = if chunks.is_apple {
        from_apple(image)?
    } else {
        image
    };
    Ok(Raster {
        image,
        bit_depth: depth as usize,
        icc: chunks.icc(),
        orientation: orientation_of(chunks.exif().as_deref(), chunks.xmp().as_deref()),
        is_lossless: true,
    })
}

/// Size, channels and bit depth after palettes are expanded. The pixels may be missing from `bytes`.
pub fn header(bytes: &[u8], options: &DecodeOptions) -> Result<Header, DecodeError> {
    let chunks = Chunks::split(bytes);
    let reader = open(&chunks, options, Transformations::EXPAND)?;
    let (color, depth) = reader.output_color_type();
    Ok(Header {
        width: reader.info().width as usize,
        height: reader.info().height as usize,
        channels: color.samples(),
        bit_depth: depth as usize,
    })
}

type Source<'a> = Reader<Cursor<Cow<'a, [u8]>>>;

fn open<'a>(
    chunks: &Chunks<'a>,
    options: &DecodeOptions,
    transformations: Transformations,
) -> Result<Source<'a>, DecodeError> {
    let limits = png::Limits {
        bytes: usize::try_from(max_alloc(options)).unwrap_or(usize::MAX),
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(chunks.standard()), limits);
    decoder.set_transformations(transformations);
    decoder.set_ignore_text_chunk(true);
    // A compressed ICC profile could expand to a gigabyte, so `Chunks::icc` reads it within a limit.
    decoder.set_ignore_iccp_chunk(true);
    // Check the size first: for a large image the decoder would report that memory is exhausted.
    let info = decoder.read_header_info().map_err(|e| chunks.failure(&e))?;
    check_size(u64::from(info.width), u64::from(info.height), options)?;
    decoder.read_info().map_err(|e| chunks.failure(&e))
}

fn read_pixels(reader: &mut Source<'_>, chunks: &Chunks<'_>) -> Result<Vec<u8>, DecodeError> {
    let n_bytes = reader
        .output_buffer_size()
        .ok_or_else(|| DecodeError::Broken("PNG: its size overflows".to_owned()))?;
    let mut pixels = vec![0; n_bytes];
    reader
        .next_frame(&mut pixels)
        .map_err(|e| chunks.failure(&e))?;
    Ok(pixels)
}

fn to_image(
    width: u32,
    height: u32,
    color: ColorType,
    depth: BitDepth,
    pixels: Vec<u8>,
) -> Option<DynamicImage> {
    use DynamicImage as D;
    if depth != BitDepth::Sixteen {
        return match color {
            ColorType::Grayscale => ImageBuffer::from_raw(width, height, pixels).map(D::ImageLuma8),
            ColorType::GrayscaleAlpha => {
                ImageBuffer::from_raw(width, height, pixels).map(D::ImageLumaA8)
            }
            ColorType::Rgb => ImageBuffer::from_raw(width, height, pixels).map(D::ImageRgb8),
            ColorType::Rgba => ImageBuffer::from_raw(width, height, pixels).map(D::ImageRgba8),
            ColorType::Indexed => None,
        };
    }
    let deep = pixels
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    match color {
        ColorType::Grayscale => ImageBuffer::from_raw(width, height, deep).map(D::ImageLuma16),
        ColorType::GrayscaleAlpha => {
            ImageBuffer::from_raw(width, height, deep).map(D::ImageLumaA16)
        }
        ColorType::Rgb => ImageBuffer::from_raw(width, height, deep).map(D::ImageRgb16),
        ColorType::Rgba => ImageBuffer::from_raw(width, height, deep).map(D::ImageRgba16),
        ColorType::Indexed => None,
    }
}

/// Converts pixels as Apple's tools store 8-bit colors for their devices (blue, green, red, premultiplied with alpha)
/// to RGB and straight alpha.
fn from_apple(image: DynamicImage) -> Result<DynamicImage, DecodeError> {
    match image {
        DynamicImage::ImageRgb8(mut image) => {
            image.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
            Ok(DynamicImage::ImageRgb8(image))
        }
        DynamicImage::ImageRgba8(mut image) => {
            for pixel in image.pixels_mut() {
                let [blue, green, red, alpha] = pixel.0;
                pixel.0 = match alpha {
                    0 => [0; 4],
                    _ => {
                        let divided = [red, green, blue].map(|v| {
                            let alpha = u32::from(alpha);
                            ((u32::from(v) * 255 + alpha / 2) / alpha).min(255) as u8
                        });
                        [divided[0], divided[1], divided[2], alpha]
                    }
                };
            }
            Ok(DynamicImage::ImageRgba8(image))
        }
        gray @ (DynamicImage::ImageLuma8(_) | DynamicImage::ImageLumaA8(_)) => Ok(gray),
        _ => Err(DecodeError::Broken(
            "Apple's CgBI PNG with 16 bits a channel, which is not supported: convert it to PNG"
                .to_owned(),
        )),
    }
}

/// One chunk: its type, its data, and the whole chunk with length, type and checksum.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    whole: &'a [u8],
}

/// The chunks of a file.
struct Chunks<'a> {
    bytes: &'a [u8],
    list: Vec<Chunk<'a>>,
    /// Data of a last `IDAT` chunk that the end of the file cuts off.
    rest: Option<&'a [u8]>,
    is_apple: bool,
    has_end: bool,
}

impl<'a> Chunks<'a> {
    fn split(bytes: &'a [u8]) -> Self {
        let mut chunks = Self {
            bytes,
            list: Vec::new(),
            rest: None,
            is_apple: false,
            has_end: false,
        };
        let mut at = SIGNATURE.len();
        while let Some(&[a, b, c, d, k0, k1, k2, k3]) = bytes.get(at..at + 8) {
            let kind = [k0, k1, k2, k3];
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let data = &bytes[at + 8..];
            // Not a chunk: zeros or other data after the pixels.
            if !kind.iter().all(u8::is_ascii_alphabetic) {
                break;
            }
            if data.len() < length + 4 {
                chunks.rest = (&kind == b"IDAT").then(|| &data[..data.len().min(length)]);
                break;
            }
            chunks.list.push(Chunk {
                kind,
                data: &data[..length],
                whole: &bytes[at..at + 12 + length],
            });
            at += 12 + length;
            if &kind == b"IEND" {
                chunks.has_end = true;
                break;
            }
        }
        chunks.is_apple = matches!(chunks.list.first(), Some(chunk) if &chunk.kind == b"CgBI");
        chunks
    }

    /// The file as a standard PNG with the same pixels and an end chunk.
    fn standard(&self) -> Cow<'a, [u8]> {
        if self.has_end && !self.is_apple {
            return Cow::Borrowed(self.bytes);
        }
        let mut out = self.bytes[..self.bytes.len().min(SIGNATURE.len())].to_vec();
        let mut data = Vec::new();
        for chunk in &self.list {
            match &chunk.kind {
                b"CgBI" | b"IEND" => {}
                b"IDAT" if self.is_apple => data.extend_from_slice(chunk.data),
                _ => out.extend_from_slice(chunk.whole),
            }
        }
        data.extend_from_slice(self.rest.unwrap_or_default());
        if self.is_apple && !data.is_empty() {
            // Apple's deflate data lack the header and the checksum of zlib; the checksum is not verified.
            data = [b"\x78\x01", data.as_slice(), &[0; 4]].concat();
        }
        if !data.is_empty() {
            put_chunk(&mut out, b"IDAT", &data);
        }
        put_chunk(&mut out, b"IEND", &[]);
        Cow::Owned(out)
    }

    /// Converts an error of the decoder: [`DecodeError::Truncated`] if the file is too short, else
    /// [`DecodeError::Broken`].
    fn failure(&self, error: &DecodingError) -> DecodeError {
        if !self.has_end {
            return cut("PNG");
        }
        match error {
            DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => cut("PNG"),
            DecodingError::Format(e) if is_end_of_data(&e.to_string()) => cut("PNG"),
            _ if self.is_apple => DecodeError::Broken(format!("Apple's CgBI PNG: {error}")),
            _ => DecodeError::Broken(format!("PNG: {error}")),
        }
    }

    fn find(&self, kind: &[u8; 4]) -> impl Iterator<Item = &'a [u8]> {
        let matching = self.list.iter().filter(move |chunk| chunk.kind == *kind);
        matching
            .map(|chunk| chunk.data)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The EXIF block: from an `eXIf` chunk before or after the pixels or, as older programs wrote it, from a text
    /// chunk.
    fn exif(&self) -> Option<Vec<u8>> {
        self.find(b"eXIf").next().map(<[u8]>::to_vec).or_else(|| {
            ["exif", "APP1"]
                .iter()
                .find_map(|name| hex_profile(&self.text(&format!("Raw profile type {name}"))?))
        })
    }

    /// The ICC profile, unless it is damaged or not shorter than `MAX_METADATA`.
    fn icc(&self) -> Option<Vec<u8>> {
        let data = self.find(b"iCCP").next()?;
        let name = data.iter().position(|&byte| byte == 0)?;
        // The byte after the name is the compression method, of which there is only one.
        let profile = inflate(data.get(name + 2..)?)?;
        ((profile.len() as u64) < MAX_METADATA).then_some(profile)
    }

    fn xmp(&self) -> Option<Vec<u8>> {
        self.text("XML:com.adobe.xmp")
    }

    /// The text under a keyword, from a `tEXt`, `zTXt` or `iTXt` chunk.
    fn text(&self, keyword: &str) -> Option<Vec<u8>> {
        let after = |data: &'a [u8]| {
            data.strip_prefix(keyword.as_bytes())
                .and_then(|data| data.strip_prefix(b"\0"))
        };
        self.find(b"tEXt")
            .find_map(after)
            .map(<[u8]>::to_vec)
            .or_else(|| inflate(self.find(b"zTXt").find_map(after)?.get(1..)?))
            .or_else(|| {
                let data = self.find(b"iTXt").find_map(after)?;
                // The language tag and the translated keyword come before the text.
                let mut parts = data.get(2..)?.splitn(3, |&byte| byte == 0);
                let text = parts.nth(2)?;
                match data.first()? {
                    0 => Some(text.to_vec()),
                    _ => inflate(text),
                }
            })
    }
}

/// Whether an error message says that the compressed data, or the rows in them, end too early although no chunk is cut.
fn is_end_of_data(message: &str) -> bool {
    message.contains("not have enough data") || message.contains("InsufficientInput")
}

fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(data)
        .take(MAX_METADATA)
        .read_to_end(&mut text)
        .ok()?;
    Some(text)
}

/// Decodes a metadata block as ImageMagick writes it to a text: a line with its name, a line with its length, then
/// hexadecimal digits.
fn hex_profile(text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = text
        .split(|&byte| byte == b'\n')
        .skip_while(|line| line.is_empty());
    let (_name, _length) = (lines.next()?, lines.next()?);
    let digits: Vec<u8> = lines
        .flatten()
        .filter_map(|&byte| char::from(byte).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

fn put_chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let Ok(length) = u32::try_from(data.len()) else {
        return;
    };
    out.extend(length.to_be_bytes());
    let start = out.len();
    out.extend(kind);
    out.extend(data);
    let crc = crc32fast::hash(&out[start..]);
    out.extend(crc.to_be_bytes());
}
