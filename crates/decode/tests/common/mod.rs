//! Builds test files byte by byte: PNG chunks and TIFF directories.
#![allow(dead_code, reason = "each test program uses a part")]

use decode::{DecodeError, DecodeOptions, decode, decode_stored, read_header};
use image::{Rgb, RgbImage};
use std::io::Write;

/// Decodes with `decode` and `decode_stored`, which must agree, and checks the header.
pub fn both(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    let decoded = decode(bytes, &DecodeOptions::default());
    let stored = decode_stored(bytes);
    match (decoded, stored) {
        (Ok(decoded), Ok(stored)) => {
            assert_eq!(read_header(bytes).unwrap().shape(), stored.shape());
            Ok(decoded.image)
        }
        (Err(a), Err(b)) => {
            assert_eq!(a, b);
            Err(a)
        }
        (a, b) => panic!("two verdicts: {:?} and {:?}", a.err(), b.err()),
    }
}

/// The reason for which both functions refuse a file.
pub fn refused(bytes: &[u8]) -> String {
    match both(bytes) {
        Ok(image) => panic!("decoded to {:?} pixels", image.dimensions()),
        Err(error) => error.to_string(),
    }
}

pub fn is_truncated(bytes: &[u8]) -> bool {
    matches!(both(bytes), Err(DecodeError::Truncated(_)))
}

/// A colorful image of 21 x 13 pixels.
pub fn scene() -> RgbImage {
    RgbImage::from_fn(21, 13, |x, y| {
        Rgb([(x * 12) as u8, (y * 20) as u8, (x * y) as u8])
    })
}

/// Asserts that no value differs by more than `tolerance` levels.
pub fn assert_near(found: &RgbImage, expected: &RgbImage, tolerance: u8, what: &str) {
    assert_eq!(found.dimensions(), expected.dimensions(), "{what}");
    let largest = found
        .as_raw()
        .iter()
        .zip(expected.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(largest <= Some(tolerance), "{what}: off by {largest:?}");
}

/// A color composited on white.
pub fn on_white(color: [u8; 3], alpha: u8) -> [u8; 3] {
    color.map(|v| {
        let alpha = f64::from(alpha) / 255.0;
        (f64::from(v) * alpha + 255.0 * (1.0 - alpha)).round() as u8
    })
}

pub fn deflate(data: &[u8], with_header: bool) -> Vec<u8> {
    let level = flate2::Compression::default();
    if with_header {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    } else {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }
}

pub fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend(&body);
    out.extend(crc32fast::hash(&body).to_be_bytes());
    out
}

/// An EXIF block with one directory entry, the orientation, of this type.
pub fn exif(kind: u16, orientation: u32) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(orientation.to_le_bytes());
    out.extend([0; 4]);
    out
}

/// Values of a TIFF tag.
#[derive(Clone, Debug)]
pub enum Values {
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Fractions(Vec<[u32; 2]>),
}

/// A TIFF with one strip or tile for each entry of `chunks`.
#[derive(Clone, Debug)]
pub struct Tiff {
    pub is_big_endian: bool,
    pub is_big_tiff: bool,
    pub tags: Vec<(u16, Values)>,
    pub is_tiled: bool,
    pub chunks: Vec<Vec<u8>>,
    /// The number of times that the directory lists the only chunk.
    pub shared: Option<usize>,
}

impl Tiff {
    /// A TIFF with one strip and no compression. `color` is the photometric interpretation (tag 262).
    pub fn new(size: (u32, u32), color: u16, samples: u16, bits: u16, data: Vec<u8>) -> Self {
        Self {
            is_big_endian: false,
            is_big_tiff: false,
            tags: vec![
                (256, Values::Longs(vec![size.0])),
                (257, Values::Longs(vec![size.1])),
                (258, Values::Shorts(vec![bits; usize::from(samples)])),
                (259, Values::Shorts(vec![1])),
                (262, Values::Shorts(vec![color])),
                (277, Values::Shorts(vec![samples])),
            ],
            is_tiled: false,
            chunks: vec![data],
            shared: None,
        }
    }

    /// Sets a tag, in place of an earlier value.
    pub fn with(mut self, tag: u16, values: Values) -> Self {
        self.tags.retain(|(other, _)| *other != tag);
        self.tags.push((tag, values));
        self
    }

    pub fn short(self, tag: u16, value: u16) -> Self {
        self.with(tag, Values::Shorts(vec![value]))
    }

    pub fn big_endian(mut self) -> Self {
        self.is_big_endian = true;
        self
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        let bytes = value.to_be_bytes()[8 - size..].to_vec();
        if self.is_big_endian {
            bytes
        } else {
            bytes.into_iter().rev().collect()
        }
    }

    /// Builds the file: header, pixels, values that do not fit into the directory, directory.
    pub fn build(&self) -> Vec<u8> {
        let size = if self.is_big_tiff { 8 } else { 4 };
        let mut out = if self.is_big_endian { b"MM" } else { b"II" }.to_vec();
        if self.is_big_tiff {
            out.extend([43u64, 8, 0].map(|n| self.number(n, 2)).concat());
        } else {
            out.extend(self.number(42, 2));
        }
        let offset_at = out.len();
        out.extend(vec![0; size]);
        let mut offsets = Vec::new();
        for chunk in &self.chunks {
            offsets.push(out.len() as u32);
            out.extend(chunk);
        }
        let mut lengths: Vec<u32> = self.chunks.iter().map(|chunk| chunk.len() as u32).collect();
        if let Some(n) = self.shared {
            offsets.resize(n, offsets[0]);
            lengths.resize(n, lengths[0]);
        }
        let (offset_tag, length_tag) = if self.is_tiled {
            (324, 325)
        } else {
            (273, 279)
        };
        let mut tags = self.tags.clone();
        tags.push((offset_tag, Values::Longs(offsets)));
        tags.push((length_tag, Values::Longs(lengths)));
        tags.sort_by_key(|(tag, _)| *tag);
        let mut directory = self.number(tags.len() as u64, if self.is_big_tiff { 8 } else { 2 });
        for (tag, values) in &tags {
            let (kind, count, bytes) = match values {
                Values::Bytes(v) => (7, v.len(), v.clone()),
                Values::Shorts(v) => {
                    let bytes = v.iter().flat_map(|&n| self.number(n.into(), 2)).collect();
                    (3, v.len(), bytes)
                }
                Values::Longs(v) => {
                    let bytes = v.iter().flat_map(|&n| self.number(n.into(), 4)).collect();
                    (4, v.len(), bytes)
                }
                Values::Fractions(v) => {
                    let halves = v.iter().flatten();
                    let bytes = halves.flat_map(|&n| self.number(n.into(), 4)).collect();
                    (5, v.len(), bytes)
                }
            };
            directory.extend(self.number((*tag).into(), 2));
            directory.extend(self.number(kind, 2));
            directory.extend(self.number(count as u64, size));
            let mut field: Vec<u8> = bytes;
            if field.len() > size {
                let at = out.len() as u64;
                out.extend(field);
                field = self.number(at, size);
            }
            field.resize(size, 0);
            directory.extend(field);
        }
        let at = self.number(out.len() as u64, size);
        out[offset_at..offset_at + size].copy_from_slice(&at);
        out.extend(directory);
        out.extend(vec![0; size]);
        out
    }
}
