//! The journal beside the output: measurements are appended as they are made, and never measured twice.
//!
//! Two files: `blobs.bin` (thumbs and crops) and `records.jsonl` (one line for each input, after its blobs). A killed
//! run leaves at most half a line and blobs without a line; both are cut off at the next start. Blobs carry a checksum.

use crate::record::{Blob, Record};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Layout of the files; another number starts over.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    journal: u32,
    fingerprint: String,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    records: HashMap<String, Record>,
    writer: Mutex<Writer>,
    blobs: File,
}

#[derive(Debug)]
struct Writer {
    lines: File,
    blob_end: u64,
}

/// What [`Journal::open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a first run.
    Nothing,
    /// Measurements of the same settings.
    Records(usize),
    /// Measurements of other settings, which were thrown away.
    OtherSettings,
}

impl Journal {
    /// Opens or starts the journal in `folder`. Measurements made with another `fingerprint` are thrown away.
    ///
    /// # Errors
    /// When the folder cannot be used, or another run is using it.
    pub fn open(folder: &Path, fingerprint: &str) -> io::Result<(Self, Found)> {
        let named =
            |e: io::Error| io::Error::new(e.kind(), format!("journal '{}': {e}", folder.display()));
        fs::create_dir_all(folder).map_err(|e| {
            let place = "it lies beside the output, --out";
            io::Error::new(e.kind(), format!("{} ({place})", named(e)))
        })?;
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let mut lines = options.open(folder.join("records.jsonl")).map_err(named)?;
        match lines.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(named(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "another run is using it",
                )));
            }
            // Some file systems cannot lock.
            Err(TryLockError::Error(e)) => tracing::debug!("cannot lock {}: {e}", folder.display()),
        }
        let blobs = options.open(folder.join("blobs.bin")).map_err(named)?;
        let blob_size = blobs.metadata().map_err(named)?.len();

        let (mut records, mut blob_end, mut good) = (HashMap::new(), 0u64, 0u64);
        let mut reader = BufReader::new(&lines);
        let mut line = Vec::new();
        let mut read_line = |line: &mut Vec<u8>| -> io::Result<bool> {
            line.clear();
            reader.read_until(b'\n', line)?;
            Ok(line.last() == Some(&b'\n'))
        };
        let has_header = read_line(&mut line).map_err(named)?;
        let header: Option<Header> = has_header
            .then(|| serde_json::from_slice(&line).ok())
            .flatten();
        let mut found = if line.is_empty() {
            Found::Nothing
        } else {
            Found::OtherSettings
        };
        let mut is_ours = false;
        if header.is_some_and(|h| h.journal == VERSION && h.fingerprint == fingerprint) {
            is_ours = true;
            good = line.len() as u64;
            while read_line(&mut line).map_err(named)? {
                let Ok(record) = serde_json::from_slice::<Record>(&line) else {
                    break;
                };
                let end = blobs_of(&record)
                    .map(|b| b.offset + u64::from(b.length))
                    .max()
                    .unwrap_or(0);
                if end > blob_size {
                    break;
                }
                good += line.len() as u64;
                blob_end = blob_end.max(end);
                records.insert(record.source.clone(), record);
            }
            found = Found::Records(records.len());
        }
        // Cut off what a killed run left behind.
        lines.set_len(good).map_err(named)?;
        blobs.set_len(blob_end).map_err(named)?;
        io::Seek::seek(&mut lines, io::SeekFrom::Start(good)).map_err(named)?;
        if !is_ours {
            let header = Header {
                journal: VERSION,
                fingerprint: fingerprint.to_owned(),
            };
            let mut text = serde_json::to_vec(&header)?;
            text.push(b'\n');
            lines.write_all(&text).map_err(named)?;
        }
        Ok((
            Self {
                folder: folder.to_owned(),
                records,
                writer: Mutex::new(Writer { lines, blob_end }),
                blobs,
            },
            found,
        ))
    }

    /// The measurements of an entry, when they are of its present content.
    pub fn get(&self, source: &str, stamp: &str) -> Option<&Record> {
        self.records
            .get(source)
            .filter(|record| record.stamp == stamp)
    }

    /// Remembers records that [`append`](Self::append) wrote.
    pub fn remember(&mut self, records: Vec<Record>) {
        self.records.extend(
            records
                .into_iter()
                .map(|record| (record.source.clone(), record)),
        );
    }

    /// Forgets a record whose blobs turned out to be damaged.
    pub fn forget(&mut self, source: &str) {
        self.records.remove(source);
    }

    /// Writes blobs, then the record that `make` builds from where they lie. Many threads may call this.
    ///
    /// # Errors
    /// When the disk refuses; nothing after that counts, what was written before does.
    pub fn append(
        &self,
        blobs: &[&[u8]],
        make: impl FnOnce(&[Blob]) -> Record,
    ) -> io::Result<Record> {
        self.write(blobs, make).map_err(|e| {
            let text = format!(
                "journal '{}': {e}; what is measured is kept, the next run goes on from there",
                self.folder.display()
            );
            io::Error::new(e.kind(), text)
        })
    }

    fn write(&self, blobs: &[&[u8]], make: impl FnOnce(&[Blob]) -> Record) -> io::Result<Record> {
        let mut writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut places = Vec::with_capacity(blobs.len());
        for bytes in blobs {
            let length =
                u32::try_from(bytes.len()).map_err(|_| io::Error::other("a blob above 4 GiB"))?;
            write_at(&self.blobs, bytes, writer.blob_end)?;
            places.push(Blob {
                offset: writer.blob_end,
                length,
                crc: crc32fast::hash(bytes),
            });
            writer.blob_end += u64::from(length);
        }
        let record = make(&places);
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        writer.lines.write_all(&line)?;
        Ok(record)
    }

    /// Reads a blob back.
    ///
    /// # Errors
    /// When the disk refuses or the checksum does not fit.
    pub fn read(&self, blob: &Blob) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; blob.length as usize];
        read_exact_at(&self.blobs, &mut bytes, blob.offset)?;
        if crc32fast::hash(&bytes) != blob.crc {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "damaged bytes in the journal",
            ));
        }
        Ok(bytes)
    }
}

fn blobs_of(record: &Record) -> impl Iterator<Item = Blob> {
    let mut blobs = Vec::new();
    if let crate::record::Outcome::Picture(picture) = &record.outcome {
        blobs.push(picture.thumb);
        for crop in picture.faces.iter().filter_map(|face| face.crop.as_ref()) {
            blobs.extend([crop.thumb, crop.png]);
        }
    }
    blobs.into_iter()
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        bytes = &bytes[n..];
        at += n as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[n..];
        at += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Reason};

    fn record(source: &str) -> Record {
        let outcome = Outcome::Failed {
            reason: Reason::Empty,
            detail: "x".into(),
        };
        Record {
            source: source.into(),
            stamp: "s".into(),
            sha256: String::new(),
            outcome,
        }
    }

    fn open(folder: &Path, fingerprint: &str) -> (Journal, Found) {
        Journal::open(folder, fingerprint).unwrap()
    }

    #[test]
    fn records_survive_and_torn_tails_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (journal, found) = open(&path, "f");
        assert_eq!(found, Found::Nothing);
        let mut place = None;
        for name in ["a", "b", "c"] {
            journal
                .append(&[name.repeat(10).as_bytes()], |blobs| {
                    place = Some(blobs[0]);
                    record(name)
                })
                .unwrap();
        }
        assert_eq!(
            journal.read(&place.unwrap()).unwrap(),
            "c".repeat(10).as_bytes()
        );
        drop(journal);
        let lines = path.join("records.jsonl");
        let whole = fs::read(&lines).unwrap();
        for cut in 1..40 {
            fs::write(&lines, &whole[..whole.len() - cut]).unwrap();
            let (journal, found) = open(&path, "f");
            assert_eq!(found, Found::Records(2), "cut {cut}");
            assert!(journal.get("b", "s").is_some() && journal.get("c", "s").is_none());
            assert!(journal.get("b", "other").is_none());
            drop(journal);
        }
        assert_eq!(open(&path, "g").1, Found::OtherSettings);
        assert_eq!(open(&path, "g").1, Found::Records(0));
    }

    #[test]
    fn a_second_run_on_the_same_journal_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, _) = open(folder.path(), "f");
        let error = Journal::open(folder.path(), "f").unwrap_err();
        assert!(error.to_string().contains("another run"), "{error}");
    }

    #[test]
    fn damaged_blobs_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = open(folder.path(), "f");
        let mut place = None;
        journal
            .append(&[b"0123456789"], |blobs| {
                place = Some(blobs[0]);
                record("a")
            })
            .unwrap();
        fs::write(folder.path().join("blobs.bin"), b"0123X56789").unwrap();
        assert!(journal.read(&place.unwrap()).is_err());
    }
}
