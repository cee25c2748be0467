//! Reads the lines of `records.jsonl`, skipping damaged ones.

use super::checksummed_line::without_checksum;
use crate::record::{Blob, Record};
use std::collections::HashMap;
use std::io::{self, BufRead};

/// Longest line in bytes; records are far shorter. A longer line is read in pieces, each of which counts as a damaged
/// line.
const MAX_LINE: usize = 64 << 20;

/// The records in the lines of `records.jsonl`.
pub(super) struct Lines {
    pub records: HashMap<String, Record>,
    pub n_damaged: usize,
    /// Offset in bytes of the end of the last valid line.
    pub end: u64,
    /// Offset in `blobs.bin` of the end of the last blob that a record names.
    pub blob_end: u64,
}

/// Reads all lines after the header, which ends at offset `start`.
///
/// Lines that are damaged, or whose blobs lie beyond the end of `blobs.bin` at `blob_size`, are counted and skipped.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_records(
    reader: &mut impl BufRead,
    start: u64,
    blob_size: u64,
) -> io::Result<Lines> {
    let mut lines = Lines {
        records: HashMap::new(),
        n_damaged: 0,
        end: start,
        blob_end: 0,
    };
    let (mut line, mut position) = (Vec::new(), start);
    while read_line(reader, &mut line)? {
        position += line.len() as u64;
        let Some(record) = without_checksum::<Record>(&line) else {
            lines.n_damaged += 1;
            continue;
        };
        let end = blobs_of(&record)
            .map(|blob| blob.offset.saturating_add(u64::from(blob.length)))
            .max()
            .unwrap_or(0);
        if end > blob_size {
            lines.n_damaged += 1;
            continue;
        }
        lines.end = position;
        lines.blob_end = lines.blob_end.max(end);
        lines.records.insert(record.source.clone(), record);
    }
    Ok(lines)
}

/// Reads up to and including the next line feed, at most [`MAX_LINE`] bytes; returns `false` at the end of the file.
pub(super) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    io::Read::take(reader, MAX_LINE as u64).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

/// All blobs that a record names: the thumb of the image, the thumb and the PNG file of each crop.
pub(super) fn blobs_of(record: &Record) -> impl Iterator<Item = Blob> {
    let mut blobs = Vec::new();
    if let Some(image) = record.image() {
        blobs.push(image.thumb);
        for crop in image.faces.iter().filter_map(|face| face.crop.as_ref()) {
            blobs.extend([crop.thumb, crop.png]);
        }
    }
    blobs.into_iter()
}
