//! The orientation of an image, from its EXIF block or its XMP packet.

use image::metadata::Orientation;

/// The orientation in an EXIF block.
///
/// Accepts blocks with or without the leading `Exif\0\0`, in either byte order, with the value stored as one element of
/// any integer or floating-point type. Returns [`Orientation::NoTransforms`] for a block that cannot be read or a value
/// outside of 1 to 8.
pub fn orientation_from_exif(exif: &[u8]) -> Orientation {
    value_in_exif(exif)
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// The orientation in the EXIF block or, if that has no valid value, in the XMP packet (`tiff:Orientation`);
/// [`Orientation::NoTransforms`] if neither has one.
pub fn orientation_of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    exif.and_then(value_in_exif)
        .or_else(|| xmp.and_then(value_in_xmp))
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// The value of tag 274 (orientation), 1 to 8, in the first directory (IFD0) of an EXIF block.
fn value_in_exif(exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x112;
    // Some writers repeat the `Exif\0\0` marker.
    let mut tiff = exif;
    while let Some(rest) = tiff.strip_prefix(b"Exif\0\0") {
        tiff = rest;
    }
    let numbers = Numbers {
        bytes: tiff,
        is_big_endian: match tiff.get(..2)? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        },
    };
    let directory = usize::try_from(numbers.u32(4)?).ok()?;
    let n_entries = usize::from(numbers.u16(directory)?);
    // Of a directory that is cut off, the entries that remain are read; of repeated tags the last one counts.
    (0..n_entries)
        .map_while(|i| {
            let at = directory.checked_add(2 + 12 * i)?;
            Some((at, numbers.u16(at)?))
        })
        .filter(|&(_, tag)| tag == ORIENTATION)
        .last()
        .and_then(|(at, _)| numbers.value(at))
}

struct Numbers<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
}

impl Numbers<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut array: [u8; N] = self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
        if !self.is_big_endian {
            array.reverse();
        }
        Some(array)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// The value of the directory entry at offset `at`; `None` unless it is a single whole number of 1 to 8.
    fn value(&self, at: usize) -> Option<u8> {
        if self.u32(at + 4)? != 1 {
            return None;
        }
        let field = at + 8;
        let elsewhere = || usize::try_from(self.u32(field)?).ok();
        let value = match self.u16(at + 2)? {
            // BYTE, SBYTE.
            1 | 6 => f64::from(*self.bytes.get(field)?),
            // SHORT, SSHORT.
            3 | 8 => f64::from(self.u16(field)?),
            // LONG, SLONG, IFD.
            4 | 9 | 13 => f64::from(self.u32(field)?),
            // RATIONAL, SRATIONAL.
            5 | 10 => {
                let place = elsewhere()?;
                f64::from(self.u32(place)?) / f64::from(self.u32(place + 4)?)
            }
            // FLOAT, DOUBLE.
            11 => f64::from(f32::from_bits(self.u32(field)?)),
            12 => self.array(elsewhere()?).map(f64::from_be_bytes)?,
            _ => return None,
        };
        (1.0..=8.0)
            .contains(&value)
            .then_some(value as u8)
            .filter(|&whole| f64::from(whole) == value)
    }
}

/// The digit written as `tiff:Orientation="6"` or `<tiff:Orientation>6<`; of several the first counts.
fn value_in_xmp(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    memchr::memmem::find_iter(xmp, NAME).find_map(|at| {
        let rest = xmp[at + NAME.len()..].trim_ascii_start();
        let value = match rest.split_first()? {
            (b'>', element) => element,
            (b'=', attribute) => match attribute.trim_ascii_start().split_first()? {
                (b'"' | b'\'', value) => value,
                _ => return None,
            },
            _ => return None,
        };
        match value.trim_ascii_start() {
            [digit @ b'0'..=b'9', next, ..] if !next.is_ascii_digit() => Some(digit - b'0'),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF header and a directory with one orientation entry of this type, count and value field, then the offset of
    /// the next directory (0): 26 bytes.
    fn block(is_big_endian: bool, kind: u16, count: u32, field: [u8; 4]) -> Vec<u8> {
        let mut bytes = if is_big_endian {
            b"MM".to_vec()
        } else {
            b"II".to_vec()
        };
        let mut put = |value: &[u8]| {
            let mut value = value.to_vec();
            if !is_big_endian {
                value.reverse();
            }
            bytes.extend(value);
        };
        put(&42u16.to_be_bytes());
        put(&8u32.to_be_bytes());
        put(&1u16.to_be_bytes());
        put(&0x112u16.to_be_bytes());
        put(&kind.to_be_bytes());
        put(&count.to_be_bytes());
        bytes.extend(field);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn every_type_and_byte_order_is_read() {
        let turned = Orientation::Rotate90;
        for (exif, expected) in [
            (block(false, 3, 1, [6, 0, 0, 0]), turned),
            (block(true, 3, 1, [0, 6, 0, 0]), turned),
            (block(false, 4, 1, [6, 0, 0, 0]), turned),
            (block(true, 4, 1, [0, 0, 0, 6]), turned),
            (block(true, 1, 1, [6, 0, 0, 0]), turned),
            (block(false, 9, 1, [6, 0, 0, 0]), turned),
            (block(false, 11, 1, 6f32.to_le_bytes()), turned),
            (block(false, 3, 1, [0, 0, 0, 0]), Orientation::NoTransforms),
            (block(false, 3, 1, [9, 0, 0, 0]), Orientation::NoTransforms),
            (block(false, 4, 1, [6, 1, 0, 0]), Orientation::NoTransforms),
            (block(false, 3, 2, [6, 0, 6, 0]), Orientation::NoTransforms),
            (block(false, 2, 1, [6, 0, 0, 0]), Orientation::NoTransforms),
        ] {
            assert_eq!(orientation_from_exif(&exif), expected, "{exif:?}");
            let marked = [b"Exif\0\0".as_slice(), &exif].concat();
            assert_eq!(orientation_from_exif(&marked), expected, "{exif:?}");
        }
        let mut rational = block(false, 5, 1, [26, 0, 0, 0]);
        rational.extend([6, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(orientation_from_exif(&rational), turned);
    }

    #[test]
    fn damage_turns_nothing() {
        let whole = block(false, 4, 1, [6, 0, 0, 0]);
        for length in 0..22 {
            let orientation = orientation_from_exif(&whole[..length]);
            assert_eq!(orientation, Orientation::NoTransforms, "{length} bytes");
        }
        for noise in [
            &b"Exif\0\0"[..],
            b"II*\0\xff\xff\xff\xff",
            b"MM\0*\xff\xff\xff\xfe\0\0",
        ] {
            assert_eq!(orientation_from_exif(noise), Orientation::NoTransforms);
        }
    }

    #[test]
    fn xmp_counts_where_exif_is_silent() {
        let exif = block(false, 3, 1, [6, 0, 0, 0]);
        for (exif, xmp, expected) in [
            (
                None,
                Some(&b"<x tiff:Orientation=\"3\"/>"[..]),
                Orientation::Rotate180,
            ),
            (
                None,
                Some(b"<tiff:Orientation>8</tiff:Orientation>"),
                Orientation::Rotate270,
            ),
            (
                Some(exif.as_slice()),
                Some(b"tiff:Orientation=\"3\""),
                Orientation::Rotate90,
            ),
            (
                None,
                Some(b"<tiff:Orientation>\n 6\n</tiff:Orientation>"),
                Orientation::Rotate90,
            ),
            (
                None,
                Some(b"<tiff:Orientation /><x tiff:Orientation = '5'/>"),
                Orientation::Rotate90FlipH,
            ),
            (
                None,
                Some(b"tiff:Orientation=\"66\""),
                Orientation::NoTransforms,
            ),
            (None, Some(b"tiff:Orientation"), Orientation::NoTransforms),
            (None, None, Orientation::NoTransforms),
        ] {
            assert_eq!(orientation_of(exif, xmp), expected);
        }
    }
}
