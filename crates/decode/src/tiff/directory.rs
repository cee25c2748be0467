//! Reads the tags in the first directory of a TIFF or BigTIFF, that is, of the first image.

use crate::DecodeError;
use std::collections::BTreeMap;

/// Type, number and position of the values of a tag; the values are read on request.
struct Entry {
    kind: u16,
    count: u64,
    /// Position of the field that holds the values or their offset.
    field: usize,
}

/// The tags of the first image in a file.
pub struct Directory<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
    is_big_tiff: bool,
    entries: BTreeMap<u16, Entry>,
}

/// The error for a file that ends before `what`.
pub fn cut(what: &str) -> DecodeError {
    DecodeError::Truncated(format!("TIFF: the file ends before {what}"))
}

/// The error for a file that contradicts itself.
pub fn broken(what: impl std::fmt::Display) -> DecodeError {
    DecodeError::Broken(format!("TIFF: {what}"))
}

/// The error for a file of a kind that is not decoded.
pub fn unsupported(what: impl std::fmt::Display) -> DecodeError {
    DecodeError::Broken(format!(
        "a TIFF with {what}, which is not supported: convert it to PNG"
    ))
}

impl<'a> Directory<'a> {
    /// Reads the header and the tags of the first image.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut directory = Self {
            bytes,
            is_big_endian: bytes.starts_with(b"MM"),
            is_big_tiff: false,
            entries: BTreeMap::new(),
        };
        let version = directory
            .number_at(2, 2)
            .ok_or_else(|| cut("its header does"))?;
        directory.is_big_tiff = version == 43;
        let (offset_at, offset_size, count_size, entry_size) = if directory.is_big_tiff {
            (8, 8, 8, 20)
        } else {
            (4, 4, 2, 12)
        };
        let missing = || cut("the description of the image");
        let offset = directory
            .number_at(offset_at, offset_size)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(missing)?;
        if offset < offset_at {
            return Err(broken("there is no image in the file"));
        }
        let n_entries = directory
            .number_at(offset, count_size)
            .ok_or_else(missing)?;
        let n_entries = usize::try_from(n_entries).unwrap_or(usize::MAX);
        if n_entries > 4096 {
            return Err(broken(format!("{n_entries} tags are too many")));
        }
        for i in 0..n_entries {
            let at = offset + count_size + i * entry_size;
            let read = |at, size| directory.number_at(at, size).ok_or_else(missing);
            let tag = read(at, 2)? as u16;
            let entry = Entry {
                kind: read(at + 2, 2)? as u16,
                count: read(at + 4, offset_size)?,
                field: at + 4 + offset_size,
            };
            read(entry.field, offset_size)?;
            directory.entries.entry(tag).or_insert(entry);
        }
        Ok(directory)
    }

    /// Whether the file is a raw file of a Canon camera (CR2), by the mark after its header.
    pub fn is_canon_raw(&self) -> bool {
        !self.is_big_tiff
            && self.number_at(4, 4) == Some(16)
            && self.bytes.get(8..11) == Some(b"CR\x02")
    }

    /// Whether numbers in the file, samples included, have their high byte first.
    pub fn is_big_endian(&self) -> bool {
        self.is_big_endian
    }

    /// The unsigned number of `size` bytes (1 to 8) at an offset in the file; `None` if the file ends before it.
    fn number_at(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        })
    }

    /// The entry of a tag, the offset of its values in the file and the size of one value in bytes; `None` if the tag
    /// is absent.
    fn place(&self, tag: u16) -> Result<Option<(&Entry, usize, usize)>, DecodeError> {
        let Some(entry) = self.entries.get(&tag) else {
            return Ok(None);
        };
        let size = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            kind => return Err(broken(format!("tag {tag} is of an unknown type {kind}"))),
        };
        let missing = || cut(&format!("the values of tag {tag}"));
        let length = usize::try_from(entry.count)
            .ok()
            .and_then(|count| count.checked_mul(size))
            .filter(|&length| length <= self.bytes.len())
            .ok_or_else(missing)?;
        let field_size = if self.is_big_tiff { 8 } else { 4 };
        let start = if length <= field_size {
            entry.field
        } else {
            self.number_at(entry.field, field_size)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(missing)?
        };
        match start.checked_add(length) {
            Some(end) if end <= self.bytes.len() => Ok(Some((entry, start, size))),
            _ => Err(missing()),
        }
    }

    /// All values of a tag as whole numbers; `None` if the tag is absent, an error if its type is not an integer.
    pub fn numbers(&self, tag: u16) -> Result<Option<Vec<u64>>, DecodeError> {
        let Some((entry, start, size)) = self.place(tag)? else {
            return Ok(None);
        };
        if !matches!(entry.kind, 1 | 3 | 4 | 6 | 7 | 8 | 9 | 13 | 16 | 17 | 18) {
            return Err(broken(format!("tag {tag} holds no whole numbers")));
        }
        let numbers = (0..entry.count as usize).map(|i| self.number_at(start + i * size, size));
        Ok(Some(numbers.map(Option::unwrap_or_default).collect()))
    }

    /// The first value of a tag as a whole number; `None` if the tag is absent.
    pub fn number(&self, tag: u16) -> Result<Option<u64>, DecodeError> {
        Ok(self.numbers(tag)?.and_then(|n| n.first().copied()))
    }

    /// The first value of a tag that must be present; `name` describes it in the error message.
    pub fn required(&self, tag: u16, name: &str) -> Result<u64, DecodeError> {
        self.number(tag)?
            .ok_or_else(|| broken(format!("the {name} is missing")))
    }

    /// All values of a tag of fractions or integers; `None` if the tag is absent.
    pub fn fractions(&self, tag: u16) -> Result<Option<Vec<f32>>, DecodeError> {
        let Some((entry, start, _)) = self.place(tag)? else {
            return Ok(None);
        };
        if entry.kind != 5 {
            let numbers = self.numbers(tag)?.unwrap_or_default();
            return Ok(Some(numbers.into_iter().map(|n| n as f32).collect()));
        }
        let half = |at| self.number_at(at, 4).unwrap_or_default() as f32;
        let fraction = |i: usize| half(start + 8 * i) / half(start + 8 * i + 4);
        Ok(Some((0..entry.count as usize).map(fraction).collect()))
    }

    /// The bytes of the values of a tag as stored; `None` if the tag is absent.
    pub fn bytes(&self, tag: u16) -> Result<Option<&'a [u8]>, DecodeError> {
        let place = self.place(tag)?;
        Ok(place.and_then(|(entry, start, size)| {
            self.bytes.get(start..start + entry.count as usize * size)
        }))
    }

    /// The bytes of a tag that is not needed for the pixels; `None` if the tag is absent or damaged.
    pub fn metadata(&self, tag: u16) -> Option<&'a [u8]> {
        self.bytes(tag).ok().flatten()
    }
}
