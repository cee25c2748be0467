//! TensorBoard's event files: records with checksums around protocol buffers with two kinds of content.

use std::path::PathBuf;

use crc::{CRC_32_ISCSI, Crc};

use crate::error::Result;
use crate::run_dir::GrowingFile;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Appends scalars to an event file.
pub(crate) struct EventWriter {
    file: GrowingFile,
}

impl EventWriter {
    /// Opens a file to append to; a new one gets the version record that readers expect.
    ///
    /// # Errors
    /// `File` when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self> {
        let mut file = GrowingFile::open(path)?;
        if file.len()? == 0 {
            let mut event = Vec::new();
            put_double(&mut event, 1, 0.0);
            put_bytes(&mut event, 3, b"brain.Event:2");
            file.append(&record(&event))?;
        }
        Ok(Self { file })
    }

    /// Makes what was appended survive a power cut.
    ///
    /// # Errors
    /// `File` when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Appends scalars of one step.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        wall_time: f64,
        scalars: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<()> {
        let mut records = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, tag.as_bytes());
            put_float(&mut entry, 2, value as f32);
            let mut summary = Vec::new();
            put_bytes(&mut summary, 1, &entry);
            let mut event = Vec::new();
            put_double(&mut event, 1, wall_time);
            put_varint(&mut event, 2 << 3);
            put_varint(&mut event, step);
            put_bytes(&mut event, 5, &summary);
            records.extend(record(&event));
        }
        self.file.append(&records)
    }
}

/// Bytes up to the end of the last record before which all checksums fit.
pub(crate) fn whole_length(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(length) = record_length(&bytes[end..]) {
        end += length;
    }
    end
}

/// Bytes of the record that `bytes` begin with, when its checksums fit.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (length_sum, rest) = rest.split_at_checked(4)?;
    if length_sum != masked(length).to_le_bytes() {
        return None;
    }
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (content, rest) = rest.split_at_checked(length)?;
    let sum = rest.get(..4)?;
    (sum == masked(content).to_le_bytes()).then_some(8 + 4 + length + 4)
}

/// Length, its checksum, content, its checksum.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked(content).to_le_bytes());
    record
}

/// TensorFlow's way to store a CRC-32C.
fn masked(bytes: &[u8]) -> u32 {
    CRC32C
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u64, value: f64) {
    put_varint(out, field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn put_float(out: &mut Vec<u8>, field: u64, value: f32) {
    put_varint(out, field << 3 | 5);
    out.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_tensorflow() {
        // Origin: torch.utils.tensorboard's record writer on the version event (time 0) of TensorFlow's format.
        assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        EventWriter::open(path.clone()).unwrap();
        let mut writer = EventWriter::open(path.clone()).unwrap();
        writer.scalars(300, 2.5, [("Loss/G/loss", 0.5)]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // The version record is written once: 8 + 4 + 24 + 4 bytes.
        assert_eq!(&bytes[..8], &24u64.to_le_bytes());
        let second = &bytes[40..];
        let event = [
            &[0x09][..],
            &2.5f64.to_le_bytes(),
            &[0x10, 0xac, 0x02, 0x2a, 20, 0x0a, 18, 0x0a, 11],
            b"Loss/G/loss",
            &[0x15],
            &0.5f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(second, record(&event));
        for cut in 0..bytes.len() {
            let whole = if cut < 40 { 0 } else { 40 };
            assert_eq!(whole_length(&bytes[..cut]), whole, "cut at {cut}");
        }
        assert_eq!(whole_length(&bytes), bytes.len());
        let mut zeroed = bytes;
        zeroed[60..].fill(0);
        assert_eq!(whole_length(&zeroed), 40);
    }
}
