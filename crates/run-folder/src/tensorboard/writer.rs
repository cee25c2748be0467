//! Writes scalars to a TensorBoard event file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protobuf::Message;

use super::record::record;
use crate::error::{Error, Result};
use crate::growing_file::GrowingFile;

/// The path of a run's event file: that of the existing file (the first by name), or of a new file with the current
/// time in its name.
///
/// # Errors
/// `File` when the folder cannot be read.
pub fn events_path(run_dir: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(run_dir).map_err(Error::file(run_dir))?;
    let mut existing: Option<String> = None;
    for entry in entries {
        let entry = entry.map_err(Error::file(run_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_first = existing.as_ref().is_none_or(|known| name < *known);
        if name.contains(".tfevents.") && is_first {
            existing = Some(name);
        }
    }
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_secs());
    Ok(run_dir.join(match existing {
        Some(name) => name,
        None => format!("events.out.tfevents.{seconds}.kaogan"),
    }))
}

/// Appends scalars to an event file.
#[derive(Debug)]
pub struct EventWriter {
    file: GrowingFile,
}

impl EventWriter {
    /// Opens an event file for appending. An empty file first gets the version record that readers expect.
    ///
    /// # Errors
    /// `File` when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self> {
        let mut file = GrowingFile::open(path)?;
        if file.n_bytes()? == 0 {
            let event = Message::default().double(1, 0.0).bytes(3, "brain.Event:2");
            file.append(&record(&event.into_bytes()))?;
        }
        Ok(Self { file })
    }

    /// Waits until all appended records are on the disk, so that a power failure does not lose them.
    ///
    /// # Errors
    /// `File` when they cannot be written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Appends the scalars of one step, given as names and values. This program passes kimg as `step` and seconds since
    /// the start of the run as `wall_time`.
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
            let entry = Message::default().bytes(1, tag).float(2, value as f32);
            let summary = Message::default().bytes(1, entry);
            let event = Message::default()
                .double(1, wall_time)
                .uint(2, step)
                .bytes(5, summary);
            records.extend(record(&event.into_bytes()));
        }
        self.file.append(&records)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{CRC32C, whole_length};
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
        // The version record of 8 + 4 + 24 + 4 bytes is written once.
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
