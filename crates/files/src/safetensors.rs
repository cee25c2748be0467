//! Writes and checks safetensors files with a checksum of all their bytes, so that damage is noticed wherever it is.
//!
//! The header begins with the metadata, and the metadata with `kaogan.crc32`: eight hexadecimal digits, the CRC-32 of
//! the whole file with zeros in place of these digits. Every safetensors library reads such a file; one that saves it
//! again drops the checksum or moves it. Files without a checksum at this place come from other programs or earlier
//! versions.

use std::fmt;
use std::io::{self, Seek, SeekFrom, Write};

use crc32fast::Hasher;
use serde_json::{Map, Value, json};

/// Metadata key of the checksum, which readers do not return among the metadata of the user.
pub const CHECKSUM_KEY: &str = "kaogan.crc32";

/// Beginning of the JSON header of every file that has a checksum; the digits follow.
const START: &[u8] = b"{\"__metadata__\":{\"kaogan.crc32\":\"";
/// Takes the place of the digits while the checksum is computed.
const NO_DIGITS: &[u8; 8] = b"00000000";
/// Offset of the digits in the file: after the length of the header (8 bytes) and [`START`].
const DIGITS_AT: usize = 8 + START.len();
/// Largest number of bytes in which the beginning of a header may differ from [`START`] for the file to count as
/// damaged. With more differences, the file counts as one without a checksum.
const MOST_DAMAGE: usize = 2;

/// Description of a tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct TensorEntry<'a> {
    /// Its name.
    pub name: &'a str,
    /// Element type as the format names it, such as `F32`.
    pub dtype: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// Number of bytes of its values.
    pub n_bytes: usize,
}

/// Writes a safetensors file with a checksum. `fill` writes the values of all tensors in the order of `tensors`.
///
/// The same metadata and tensors give the same bytes.
///
/// # Errors
/// Those of `fill` and of the file; `InvalidInput` when `fill` writes another number of bytes than the tensors have.
pub fn write_safetensors<W: Write + Seek, E: From<io::Error>>(
    file: &mut W,
    metadata: &[(&str, &str)],
    tensors: &[TensorEntry<'_>],
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let mut texts = Map::new();
    texts.insert(CHECKSUM_KEY.to_owned(), json!("00000000"));
    for (key, text) in metadata.iter().filter(|(key, _)| *key != CHECKSUM_KEY) {
        texts.insert((*key).to_owned(), json!(text));
    }
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(texts));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.n_bytes;
        let entry =
            json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name.to_owned(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut out = Hashed {
        file,
        hasher: Hasher::new(),
        n_bytes: 0,
    };
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let n_header = out.n_bytes;
    fill(&mut out)?;
    let n_values = out.n_bytes - n_header;
    if n_values != end as u64 {
        let text = format!("{n_values} bytes were given for tensors of {end}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
    }
    let digits = digits(out.hasher);
    file.seek(SeekFrom::Start(DIGITS_AT as u64))?;
    file.write_all(&digits)?;
    file.seek(SeekFrom::End(0))?;
    Ok(())
}

/// A writer that computes the checksum of what passes.
struct Hashed<'a, W> {
    file: &'a mut W,
    hasher: Hasher,
    n_bytes: u64,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn digits(hasher: Hasher) -> [u8; 8] {
    let crc = hasher.finalize();
    std::array::from_fn(|i| {
        let digit = (crc >> (28 - 4 * i)) & 15;
        b"0123456789abcdef"[digit as usize]
    })
}

/// Error: the bytes of a file are not those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumMismatch;

impl fmt::Display for ChecksumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file is damaged: its checksum does not fit its contents")
    }
}

impl std::error::Error for ChecksumMismatch {}

/// Compares the bytes of a safetensors file with its checksum. Returns true if the file has a checksum that fits, and
/// false if it has none, as bytes of any other kind.
///
/// # Errors
/// When the checksum does not fit.
pub fn check_safetensors(bytes: &[u8]) -> Result<bool, ChecksumMismatch> {
    let Some((head, values)) = bytes.split_at_checked(DIGITS_AT + NO_DIGITS.len()) else {
        return Ok(false);
    };
    let (start, stored) = head.split_at(DIGITS_AT);
    let n_damaged = std::iter::zip(&start[8..], START)
        .filter(|(a, b)| a != b)
        .count();
    match n_damaged {
        0 => {}
        // A file with a damaged key must not count as one without a checksum.
        1..=MOST_DAMAGE => return Err(ChecksumMismatch),
        _ => return Ok(false),
    }
    let mut hasher = Hasher::new();
    hasher.update(start);
    hasher.update(NO_DIGITS);
    hasher.update(values);
    match digits(hasher) == *stored {
        true => Ok(true),
        false => Err(ChecksumMismatch),
    }
}

/// Whether the product of the sides of a shape fits into `isize`, with sides of 0 counted as 1.
///
/// The format allows shapes such as `[0, n, n]` with any n: such a tensor has no elements, but its strides can
/// overflow.
pub fn is_countable(shape: &[usize]) -> bool {
    const MOST: usize = isize::MAX as usize;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &side| n.checked_mul(side.max(1)));
    count.is_some_and(|n| n <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn write(values: &[u8], shape: &[usize]) -> io::Result<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        let tensors = [
            TensorEntry {
                name: "a",
                dtype: "U8",
                shape,
                n_bytes: shape.iter().product(),
            },
            TensorEntry {
                name: "\"b\"",
                dtype: "F32",
                shape: &[],
                n_bytes: 4,
            },
        ];
        let metadata = [("note", "a \"text\""), (CHECKSUM_KEY, "of another file")];
        write_safetensors(&mut file, &metadata, &tensors, |out| {
            out.write_all(values)?;
            out.write_all(&1f32.to_le_bytes())
        })?;
        Ok(file.into_inner())
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = write(&[7, 8, 9], &[3]).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0);
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(
            header["a"],
            json!({"dtype": "U8", "shape": [3], "data_offsets": [0, 3]})
        );
        assert_eq!(header["\"b\""]["data_offsets"], json!([3, 7]));
        assert_eq!(header["__metadata__"]["note"], "a \"text\"");
        assert_eq!(bytes[8 + length..], [7, 8, 9, 0, 0, 0x80, 0x3f]);

        // The checksum, bit by bit: CRC-32 of IEEE 802.3.
        let stored = header["__metadata__"][CHECKSUM_KEY].as_str().unwrap();
        let mut zeroed = bytes.clone();
        let at = bytes.windows(8).position(|w| w == stored.as_bytes());
        assert_eq!(at, Some(41));
        zeroed[41..49].fill(b'0');
        let crc = zeroed.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        });
        assert_eq!(stored, format!("{:08x}", !crc));
        assert_eq!(write(&[7, 8, 9], &[3]).unwrap(), bytes);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = write(&[5; 40], &[40]).unwrap();
        assert_eq!(check_safetensors(&bytes), Ok(true));
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                check_safetensors(&damaged),
                Err(ChecksumMismatch),
                "bit {bit}"
            );
        }
        for n in 49..bytes.len() {
            assert_eq!(
                check_safetensors(&bytes[..n]),
                Err(ChecksumMismatch),
                "{n} bytes"
            );
        }
    }

    #[test]
    fn files_of_others_have_no_checksum() {
        let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        for bytes in [
            vec![],
            vec![0; 100],
            header(r#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}          "#),
            header(r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1]}}"#),
            // Files of earlier versions.
            header(r#"{"__metadata__":{"kaogan.config":"{\"D\":{}}","format":"pt"}}  "#),
            // Saved again by another program.
            header(r#"{"__metadata__":{"format":"pt","kaogan.crc32":"01234567"}}     "#),
        ] {
            assert_eq!(check_safetensors(&bytes), Ok(false));
        }
    }

    #[test]
    fn values_of_another_size_are_refused() {
        let error = write(&[1, 2], &[3]).unwrap_err().to_string();
        assert!(
            error.contains("6 bytes were given for tensors of 7"),
            "{error}"
        );
    }
}
