//! Reads and writes numpy's `.npz` and `.npy` files with f32 and f64 arrays.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use files::{ForeignContent, cut_zip_length};

/// Largest number of values of an array, far more than any set of latents has.
const MOST: usize = 1 << 28;

/// Largest size in bytes of a file that is read.
const MAX_BYTES: u64 = 4 << 30;

/// Message for a file with fewer bytes than its header announces.
const CUT: &str = "the file is cut short: fetch it again";

/// An array with its name and values; f64 values are converted to f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Name of the array in the `.npz` file; empty for a `.npy` file.
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Reads all arrays of a `.npz` file, or the array of a `.npy` file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Array>> {
    let bytes = files::read_input(path, MAX_BYTES)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{}: not readable as numpy's", path.display()))
}

fn parse(bytes: &[u8]) -> anyhow::Result<Vec<Array>> {
    parse_within(bytes, 8 * MOST as u64)
}

/// Parses a file whose uncompressed arrays have at most `limit` bytes in total. The limit is enforced while
/// decompressing, because the sizes in the zip directory can be wrong and entries can overlap.
fn parse_within(bytes: &[u8], limit: u64) -> anyhow::Result<Vec<Array>> {
    if bytes.starts_with(b"\x93NUMPY") {
        let (shape, values) = array(bytes)?;
        return Ok(vec![Array {
            name: String::new(),
            shape,
            values,
        }]);
    }
    if let Some(foreign) = ForeignContent::of(bytes) {
        bail!("{foreign}");
    }
    ensure!(
        bytes.starts_with(b"PK"),
        "neither .npz (a zip archive) nor .npy: is it damaged, or of another program?"
    );
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| match cut_zip_length(bytes) {
            Some(length) => anyhow!("the file is cut short at byte {length}: fetch it again"),
            None => anyhow!("the zip archive is damaged ({error}): fetch it again"),
        })?;
    let mut arrays = Vec::new();
    let mut left = limit;
    for i in 0..archive.len() {
        let entry = archive.by_index(i)?;
        let Some(name) = entry.name()?.strip_suffix(".npy").map(str::to_owned) else {
            continue;
        };
        let mut contents = Vec::new();
        entry.take(left + 1).read_to_end(&mut contents)?;
        left = left.checked_sub(contents.len() as u64).with_context(|| {
            format!(
                "with `{}` the arrays have more than {limit} bytes",
                name.chars().take(60).collect::<String>()
            )
        })?;
        let (shape, values) = array(&contents).with_context(|| format!("array `{name}`"))?;
        arrays.push(Array {
            name,
            shape,
            values,
        });
    }
    Ok(arrays)
}

fn array(bytes: &[u8]) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").context("no array")?;
    let (&[major, _], rest) = rest.split_first_chunk().context(CUT)?;
    let (length, rest) = match major {
        1 => {
            let (n, rest) = rest.split_first_chunk().context(CUT)?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        _ => {
            let (n, rest) = rest.split_first_chunk().context(CUT)?;
            (u32::from_le_bytes(*n) as usize, rest)
        }
    };
    let (header, data) = rest.split_at_checked(length).context(CUT)?;
    let header = std::str::from_utf8(header)?;
    let value = |key: &str| {
        let rest = header.split_once(&format!("'{key}':"))?.1;
        Some(rest.trim_start())
    };
    let descr = value("descr").context("no element kind")?;
    ensure!(
        !value("fortran_order").is_some_and(|v| v.starts_with("True")),
        "columns come first (Fortran order): save numpy.ascontiguousarray(...)"
    );
    let shape = value("shape")
        .and_then(|v| v.strip_prefix('(')?.split_once(')'))
        .context("no shape")?
        .0;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().with_context(|| format!("shape ({shape})")))
        .collect::<anyhow::Result<_>>()?;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= MOST)
        .context("the shape is too large")?;
    let width = match descr.as_bytes() {
        [b'\'', b'<', b'f', digit @ (b'4' | b'8'), ..] => usize::from(digit - b'0'),
        _ => 0,
    };
    ensure!(data.len() >= count * width, CUT);
    let values: Vec<f32> = if descr.starts_with("'<f4'") {
        let values = data.chunks_exact(4);
        values
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    } else if descr.starts_with("'<f8'") {
        let values = data.chunks_exact(8);
        values
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect()
    } else {
        let kind = descr.split(',').next().unwrap_or(descr);
        bail!("elements are {kind}, not float32 or float64")
    };
    ensure!(
        values.len() == count,
        "{} values do not fill the shape {shape:?}",
        values.len()
    );
    Ok((shape, values))
}

/// Writes a `.npz` file with one array.
pub fn write(path: &Path, name: &str, shape: &[usize], values: &[f32]) -> anyhow::Result<()> {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // Python writes a tuple of one element with a comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{comma}), }}",
        dims.join(", ")
    );
    // Magic number, version and header length are 10 bytes. The header ends with a newline, and the data begin at a
    // multiple of 64 bytes.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');
    let mut contents = b"\x93NUMPY\x01\x00".to_vec();
    contents.extend((header.len() as u16).to_le_bytes());
    contents.extend(header.as_bytes());
    contents.extend(values.iter().flat_map(|v| v.to_le_bytes()));

    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file(format!("{name}.npy"), options)?;
    archive.write_all(&contents)?;
    archive.set_comment(files::mark::NAME)?;
    let bytes = archive.finish()?.into_inner();
    Ok(files::write_bytes(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.npz");
        for shape in [vec![6], vec![1, 2, 3], vec![]] {
            let n: usize = shape.iter().product();
            let values: Vec<f32> = (0..n).map(|v| v as f32 - 0.25).collect();
            write(&path, "w", &shape, &values).unwrap();
            let array = Array {
                name: "w".to_owned(),
                shape,
                values,
            };
            assert_eq!(read(&path).unwrap(), [array]);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.npz");
        write(&path, "w", &[2, 3], &[1.0; 6]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for n in 0..whole.len() {
            let error = parse(&whole[..n]).unwrap_err().to_string();
            let wanted = match n {
                0 => "empty",
                // A file of the one byte `P` could be of any format.
                1 => "neither .npz",
                _ => "cut short",
            };
            assert!(error.contains(wanted), "{n} of {}: {error}", whole.len());
        }
        let (shape, header) = ([2, 3], whole.windows(6).position(|w| w == b"\x93NUMPY"));
        let array = &whole[header.unwrap()..][..128 + 4 * shape[0] * shape[1]];
        assert_eq!(parse(array).unwrap()[0].shape, shape);
        for n in 6..array.len() {
            let error = parse(&array[..n]).unwrap_err().to_string();
            assert!(error.contains("cut short"), "{n}: {error}");
        }
        let reserved = [&whole[..whole.len() / 2], &[0; 900]].concat();
        assert!(
            parse(&reserved)
                .unwrap_err()
                .to_string()
                .contains("cut short")
        );
        let page = parse(b"<!DOCTYPE html><html>").unwrap_err().to_string();
        assert!(page.contains("web page"), "{page}");
        let error = parse_within(&whole, 151).unwrap_err().to_string();
        assert!(error.contains("more than 151 bytes"), "{error}");
        assert_eq!(parse_within(&whole, 152).unwrap()[0].values, [1.0; 6]);
        let huge = b"\x93NUMPY\x01\x00\x50\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }";
        assert!(parse(huge).is_err());
    }
}
