//! The journal beside the output: measurements are appended as they are made, and reused by later runs.
//!
//! `blobs.bin` holds thumbs and crops. `records.jsonl` has one line for each input, written after the input's blobs.
//! Each line ends in its own checksum and contains the checksums of its blobs, and both files are synced at intervals.
//! A line that does not match its checksum, after a kill, a power cut or a disk error, is skipped and its input
//! measured again.

mod checksummed_line;
mod folder;
#[cfg(test)]
mod fuzz;
mod positional_io;
mod records;

pub(crate) use checksummed_line::{with_checksum, without_checksum};

use crate::record::{Blob, Record};
use folder::refuse_others;
use positional_io::{read_exact_at, write_at};
use records::{Lines, blobs_of, read_line, read_records};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Version of the layout of the files; a journal with another number is discarded.
const VERSION: u32 = 2;

/// Interval at which the journal is synced to disk; it is synced earlier when [`SYNC_BYTES`] were written. A power cut
/// loses only what was written since the last sync.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Number of bytes written since the last sync after which the journal is synced before [`SYNC_INTERVAL`] is over.
const SYNC_BYTES: u64 = 256 << 20;

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
    lines: File,
    blobs: File,
    end: Mutex<End>,
}

/// The end of the blob file, and the state of the last sync.
#[derive(Debug)]
struct End {
    blobs: u64,
    /// Bytes written to both files since the last sync.
    unsynced: u64,
    synced_at: Instant,
}

/// The state in which [`Journal::open`] found a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// Empty, as in a first run.
    Empty,
    /// It held measurements made with the same settings.
    Records {
        /// Number of records.
        n: usize,
        /// Number of damaged lines, which are skipped.
        n_damaged: usize,
    },
    /// It held measurements made with other settings, or by another version, which were discarded.
    OtherSettings,
}

impl Journal {
    /// Opens the journal in `folder`, or starts one. `fingerprint` identifies the settings; measurements made with
    /// another fingerprint are discarded.
    ///
    /// # Errors
    /// When the folder cannot be read or written or holds other files, or when another run is using it.
    pub fn open(folder: &Path, fingerprint: &str) -> io::Result<(Self, JournalState)> {
        let named =
            |e: io::Error| io::Error::new(e.kind(), format!("journal '{}': {e}", folder.display()));
        fs::create_dir_all(folder).map_err(|e| {
            let hint = "it lies beside the output, --out";
            io::Error::new(e.kind(), format!("{} ({hint})", named(e)))
        })?;
        refuse_others(folder).map_err(named)?;
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
            // Some file systems cannot lock; the journal is used without a lock there.
            Err(TryLockError::Error(e)) => tracing::debug!("cannot lock {}: {e}", folder.display()),
        }
        let blobs = options.open(folder.join("blobs.bin")).map_err(named)?;
        let blob_size = blobs.metadata().map_err(named)?.len();

        let mut reader = BufReader::new(&lines);
        let mut line = Vec::new();
        let is_empty = !read_line(&mut reader, &mut line).map_err(named)?;
        let header = without_checksum::<Header>(&line);
        let is_ours = header.is_some_and(|h| h.journal == VERSION && h.fingerprint == fingerprint);
        let (found, read) = if is_ours {
            let read = read_records(&mut reader, line.len() as u64, blob_size).map_err(named)?;
            let found = JournalState::Records {
                n: read.records.len(),
                n_damaged: read.n_damaged,
            };
            (found, read)
        } else {
            let nothing = Lines {
                records: HashMap::new(),
                n_damaged: 0,
                end: 0,
                blob_end: 0,
            };
            let found = if is_empty {
                JournalState::Empty
            } else {
                JournalState::OtherSettings
            };
            (found, nothing)
        };
        // Cut off incomplete lines and blobs that a killed run left at the end.
        lines.set_len(read.end).map_err(named)?;
        blobs.set_len(read.blob_end).map_err(named)?;
        lines.seek(SeekFrom::Start(read.end)).map_err(named)?;
        if !is_ours {
            let header = Header {
                journal: VERSION,
                fingerprint: fingerprint.to_owned(),
            };
            lines.write_all(&with_checksum(&header)?).map_err(named)?;
        }
        let journal = Self {
            folder: folder.to_owned(),
            records: read.records,
            lines,
            blobs,
            end: Mutex::new(End {
                blobs: read.blob_end,
                unsynced: 0,
                synced_at: Instant::now(),
            }),
        };
        Ok((journal, found))
    }

    /// Returns the record of the entry `source`, if it was measured while its stamp was `stamp`.
    pub fn get(&self, source: &str, stamp: &str) -> Option<&Record> {
        self.records
            .get(source)
            .filter(|record| record.stamp == stamp)
    }

    /// Adds records that were appended in this run to those that [`get`](Self::get) finds.
    pub fn remember(&mut self, records: Vec<Record>) {
        self.records.extend(
            records
                .into_iter()
                .map(|record| (record.source.clone(), record)),
        );
    }

    /// Removes a record from memory, so that its input is measured again.
    pub fn forget(&mut self, source: &str) {
        self.records.remove(source);
    }

    /// Whether every blob of a record reads back as it was written.
    pub fn is_whole(&self, record: &Record) -> bool {
        blobs_of(record).all(|blob| self.read(&blob).is_ok())
    }

    /// Appends blobs, then the record that `make` builds from the positions of the blobs. Many threads may call this at
    /// a time.
    ///
    /// # Errors
    /// When a file cannot be written. Records that were appended before stay valid.
    pub fn append(
        &self,
        blobs: &[&[u8]],
        make: impl FnOnce(&[Blob]) -> Record,
    ) -> io::Result<Record> {
        let written = self.write(blobs, make).and_then(|(record, is_due)| {
            if is_due {
                self.sync()?;
            }
            Ok(record)
        });
        written.map_err(|e| {
            let text = format!(
                "journal '{}': {e}; what is measured is kept, the next run goes on from there",
                self.folder.display()
            );
            io::Error::new(e.kind(), text)
        })
    }

    /// Syncs both files to disk, so that they survive a power cut.
    ///
    /// # Errors
    /// When a file cannot be synced.
    pub fn sync(&self) -> io::Result<()> {
        self.blobs.sync_data()?;
        self.lines.sync_data()
    }

    fn write(
        &self,
        blobs: &[&[u8]],
        make: impl FnOnce(&[Blob]) -> Record,
    ) -> io::Result<(Record, bool)> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stored = Vec::with_capacity(blobs.len());
        for bytes in blobs {
            let length =
                u32::try_from(bytes.len()).map_err(|_| io::Error::other("a blob above 4 GiB"))?;
            write_at(&self.blobs, bytes, end.blobs)?;
            stored.push(Blob {
                offset: end.blobs,
                length,
                crc: crc32fast::hash(bytes),
            });
            end.blobs += u64::from(length);
            end.unsynced += u64::from(length);
        }
        let record = make(&stored);
        let line = with_checksum(&record)?;
        (&self.lines).write_all(&line)?;
        end.unsynced += line.len() as u64;
        // The thread that finds a sync to be due does it, while the others go on writing.
        let is_due = end.unsynced >= SYNC_BYTES || end.synced_at.elapsed() >= SYNC_INTERVAL;
        if is_due {
            end.unsynced = 0;
            end.synced_at = Instant::now();
        }
        Ok((record, is_due))
    }

    /// Reads the bytes of a blob.
    ///
    /// # Errors
    /// When the file cannot be read, or the bytes do not match their checksum.
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

#[cfg(test)]
mod tests;
