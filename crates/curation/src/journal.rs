//! The journal beside the output: measurements are appended as they are made, and never measured twice.
//!
//! `blobs.bin` holds thumbs and crops, `records.jsonl` one line for each input, written after its blobs. Each line ends
//! in a checksum of itself and names the checksums of its blobs, and both files are synced at intervals. Whatever a kill,
//! a power cut or a bad disk leaves, a line that does not fit its checksum is skipped and its input measured again.

use crate::record::{Blob, Record};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Layout of the files; another number starts over.
const VERSION: u32 = 2;

/// A longer line is damage: no record comes near it.
const MAX_LINE: usize = 64 << 20;

/// A power cut costs at most the measurements of this time, or of this many bytes.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
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

/// The end of what was written.
#[derive(Debug)]
struct End {
    blobs: u64,
    /// Written since the last sync.
    unsynced: u64,
    synced_at: Instant,
}

/// Measurements that [`Journal::open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a first run.
    Nothing,
    /// Measurements of the same settings.
    Records {
        /// Inputs that need no work.
        n: usize,
        /// Lines that were damaged.
        n_damaged: usize,
    },
    /// Measurements of other settings, which were thrown away.
    OtherSettings,
}

/// Records and damage found in the lines of a journal.
struct Lines {
    records: HashMap<String, Record>,
    n_damaged: usize,
    /// Bytes up to the last good line.
    end: u64,
    blob_end: u64,
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
            // Some file systems cannot lock.
            Err(TryLockError::Error(e)) => tracing::debug!("cannot lock {}: {e}", folder.display()),
        }
        let blobs = options.open(folder.join("blobs.bin")).map_err(named)?;
        let blob_size = blobs.metadata().map_err(named)?.len();

        let mut reader = BufReader::new(&lines);
        let mut line = Vec::new();
        let is_empty = !read_line(&mut reader, &mut line).map_err(named)?;
        let header = unseal::<Header>(&line);
        let is_ours = header.is_some_and(|h| h.journal == VERSION && h.fingerprint == fingerprint);
        let (found, read) = if is_ours {
            let read = read_records(&mut reader, line.len() as u64, blob_size).map_err(named)?;
            let found = Found::Records {
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
                Found::Nothing
            } else {
                Found::OtherSettings
            };
            (found, nothing)
        };
        // Cut off what a killed run left behind.
        lines.set_len(read.end).map_err(named)?;
        blobs.set_len(read.blob_end).map_err(named)?;
        lines.seek(SeekFrom::Start(read.end)).map_err(named)?;
        if !is_ours {
            let header = Header {
                journal: VERSION,
                fingerprint: fingerprint.to_owned(),
            };
            lines.write_all(&seal(&header)?).map_err(named)?;
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

    /// The measurements of an entry, when they are of its present content.
    pub fn get(&self, source: &str, stamp: &str) -> Option<&Record> {
        self.records
            .get(source)
            .filter(|record| record.stamp == stamp)
    }

    /// Remembers records for the rest of this run.
    pub fn remember(&mut self, records: Vec<Record>) {
        self.records.extend(
            records
                .into_iter()
                .map(|record| (record.source.clone(), record)),
        );
    }

    /// Forgets a record, so that its input is measured again.
    pub fn forget(&mut self, source: &str) {
        self.records.remove(source);
    }

    /// Whether every blob of a record reads back as it was written.
    pub fn is_whole(&self, record: &Record) -> bool {
        blobs_of(record).all(|blob| self.read(&blob).is_ok())
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

    /// Makes what was written survive a power cut.
    ///
    /// # Errors
    /// When the disk refuses.
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
        let mut places = Vec::with_capacity(blobs.len());
        for bytes in blobs {
            let length =
                u32::try_from(bytes.len()).map_err(|_| io::Error::other("a blob above 4 GiB"))?;
            write_at(&self.blobs, bytes, end.blobs)?;
            places.push(Blob {
                offset: end.blobs,
                length,
                crc: crc32fast::hash(bytes),
            });
            end.blobs += u64::from(length);
            end.unsynced += u64::from(length);
        }
        let record = make(&places);
        let line = seal(&record)?;
        (&self.lines).write_all(&line)?;
        end.unsynced += line.len() as u64;
        // The thread that finds it due syncs, while the others go on writing.
        let is_due = end.unsynced >= SYNC_BYTES || end.synced_at.elapsed() >= SYNC_INTERVAL;
        if is_due {
            end.unsynced = 0;
            end.synced_at = Instant::now();
        }
        Ok((record, is_due))
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

/// Refuses a folder that holds anything but a journal: it would be overwritten, and is left out of the inputs.
fn refuse_others(folder: &Path) -> io::Result<()> {
    let refuse = |path: &Path, what: &str| {
        let text = format!(
            "'{}' {what}: move it away, or choose another --out",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = ["records.jsonl", "blobs.bin", "attempts.jsonl"].contains(&name.as_ref())
            || name.contains(".kaogan-") && name.ends_with(".tmp");
        if !is_ours {
            return refuse(&path, "is no part of a journal");
        }
        if !fs::symlink_metadata(&path)?.is_file() {
            return refuse(&path, "is no ordinary file");
        }
    }
    let lines = folder.join("records.jsonl");
    // Beside blobs, even a list without a single whole line is ours: it was damaged.
    if lines.exists() && !folder.join("blobs.bin").exists() && !may_be_ours(&lines)? {
        return refuse(&lines, "is not of a journal");
    }
    Ok(())
}

/// Whether a file is empty, holds a sealed line or one of an earlier version somewhere, or was left as zeros.
fn may_be_ours(lines: &Path) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(lines)?);
    let (mut line, mut is_zeros) = (Vec::new(), true);
    while read_line(&mut reader, &mut line)? {
        let has = |text: &[u8]| line.windows(text.len()).any(|found| found == text);
        if has(SEAL) || line.starts_with(b"{\"journal\":") {
            return Ok(true);
        }
        is_zeros &= line.iter().all(|&byte| byte == 0);
    }
    Ok(is_zeros)
}

/// Reads all lines behind the header, which ends at `start`; those that are damaged or whose blobs are missing are counted.
fn read_records(reader: &mut impl BufRead, start: u64, blob_size: u64) -> io::Result<Lines> {
    let mut lines = Lines {
        records: HashMap::new(),
        n_damaged: 0,
        end: start,
        blob_end: 0,
    };
    let (mut line, mut position) = (Vec::new(), start);
    while read_line(reader, &mut line)? {
        position += line.len() as u64;
        let Some(record) = unseal::<Record>(&line) else {
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

/// Reads to the next line feed, at most [`MAX_LINE`] bytes at a time; `false` at the end of the file.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    io::Read::take(reader, MAX_LINE as u64).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

/// Between the text of a line and its checksum.
const SEAL: &[u8] = b",\"crc\":\"";

/// A JSON object as a line whose last member is the CRC-32 of all before it.
pub(crate) fn seal(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.pop();
    let crc = crc32fast::hash(&line);
    line.extend_from_slice(SEAL);
    line.extend_from_slice(format!("{crc:08x}\"}}\n").as_bytes());
    Ok(line)
}

/// The object of a line that fits its checksum.
pub(crate) fn unseal<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let line = line.strip_suffix(b"\"}\n")?;
    let (line, crc) = line.split_at_checked(line.len().checked_sub(8)?)?;
    let line = line.strip_suffix(SEAL)?;
    if format!("{:08x}", crc32fast::hash(line)).as_bytes() != crc {
        return None;
    }
    let mut object = line.to_vec();
    object.push(b'}');
    serde_json::from_slice(&object).ok()
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
mod fuzz;

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
            let n_damaged = usize::from(cut > 0);
            assert_eq!(found, Found::Records { n: 2, n_damaged }, "cut {cut}");
            assert!(journal.get("b", "s").is_some() && journal.get("c", "s").is_none());
            assert!(journal.get("b", "other").is_none());
            drop(journal);
        }
        assert_eq!(open(&path, "g").1, Found::OtherSettings);
        let none = Found::Records { n: 0, n_damaged: 0 };
        assert_eq!(open(&path, "g").1, none);
    }

    #[test]
    fn a_second_run_on_the_same_journal_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, _) = open(folder.path(), "f");
        let error = Journal::open(folder.path(), "f").unwrap_err();
        assert!(error.to_string().contains("another run"), "{error}");
    }

    #[test]
    fn files_of_the_user_are_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let refused = || Journal::open(&path, "f").unwrap_err().to_string();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("records.jsonl"), "my notes\n").unwrap();
        assert!(refused().contains("records.jsonl' is not of a journal"));
        assert_eq!(fs::read(path.join("records.jsonl")).unwrap(), b"my notes\n");
        fs::remove_file(path.join("records.jsonl")).unwrap();
        fs::write(path.join("a.jpg"), "a picture").unwrap();
        assert!(refused().contains("a.jpg' is no part of a journal"));
        fs::remove_file(path.join("a.jpg")).unwrap();
        #[cfg(unix)]
        {
            let kept = folder.path().join("keep.txt");
            fs::write(&kept, "kept").unwrap();
            std::os::unix::fs::symlink(&kept, path.join("blobs.bin")).unwrap();
            assert!(refused().contains("blobs.bin' is no ordinary file"));
            assert_eq!(fs::read(&kept).unwrap(), b"kept");
            fs::remove_file(path.join("blobs.bin")).unwrap();
        }
        // What an earlier version or a power cut left is replaced.
        for left in [&b"{\"journal\":1,\"fingerprint\":\"x\"}\n"[..], &[0; 5000]] {
            fs::write(path.join("records.jsonl"), left).unwrap();
            drop(open(&path, "f"));
        }
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

    /// Ten records, each with a blob.
    fn ten(folder: &Path) {
        let (journal, _) = open(folder, "f");
        for i in 0..10 {
            journal
                .append(&[&[i; 20]], |_| record(&format!("r{i}")))
                .unwrap();
        }
    }

    #[test]
    fn every_flipped_bit_of_a_line_is_noticed_and_costs_that_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        ten(folder.path());
        let path = folder.path().join("records.jsonl");
        let whole = fs::read(&path).unwrap();
        let start = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
        let (mut line, mut n_lines) = (start, 0);
        while line < whole.len() {
            let length = whole[line..].iter().position(|&b| b == b'\n').unwrap();
            for bit in (0..length * 8).step_by(13) {
                let mut bytes = whole.clone();
                bytes[line + bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &bytes).unwrap();
                let (journal, found) = open(folder.path(), "f");
                let Found::Records { n, n_damaged } = found else {
                    panic!("bit {bit} of line {n_lines}: {found:?}");
                };
                // A line feed that appears or disappears touches its neighbor too.
                assert!(
                    n >= 8 && n_damaged >= 1,
                    "bit {bit} of line {n_lines}: {found:?}"
                );
                for i in (0..10_usize).filter(|i| i.abs_diff(n_lines) > 1) {
                    assert!(journal.get(&format!("r{i}"), "s").is_some());
                }
            }
            line += length + 1;
            n_lines += 1;
        }
        assert_eq!(n_lines, 10);
    }

    #[test]
    fn zeros_at_the_end_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        ten(folder.path());
        let path = folder.path().join("records.jsonl");
        let mut bytes = fs::read(&path).unwrap();
        let n = bytes.len();
        bytes[n - 100..].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (journal, found) = open(folder.path(), "f");
        let Found::Records { n, .. } = found else {
            panic!("{found:?}");
        };
        assert!((7..10).contains(&n), "{n}");
        journal.append(&[], |_| record("new")).unwrap();
        drop(journal);
        let (journal, found) = open(folder.path(), "f");
        assert_eq!(
            found,
            Found::Records {
                n: n + 1,
                n_damaged: 0
            }
        );
        assert!(journal.get("new", "s").is_some());
    }
}
