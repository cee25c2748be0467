//! Records which inputs are being measured, so that the next run knows at which of them the program died.
//!
//! `attempts.jsonl` in the folder of the journal has one line, with a checksum, for the beginning and one for the end
//! of each measurement. The next run measures an input whose measurement began and did not end in a child process
//! ([`crate::child_process`]). An interrupt (Ctrl-C, SIGTERM) removes the file, since no input is to blame for it.

use crate::journal::{with_checksum, without_checksum};
use files::RemovedOnInterrupt;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Length in bytes beyond which the file is rewritten with only the attempts that have not ended.
const MAX_LENGTH: u64 = 1 << 20;

/// A line of the file: the measurement of an input begins or, with `is_over`, ends.
#[derive(Serialize, Deserialize)]
struct Line {
    source: String,
    stamp: String,
    is_over: bool,
}

/// The open `attempts.jsonl`.
#[derive(Debug)]
pub struct InProgress {
    path: PathBuf,
    state: Mutex<State>,
    _removed: RemovedOnInterrupt,
}

#[derive(Debug)]
struct State {
    file: File,
    length: u64,
    /// Measurements that began and did not end, in this run or an earlier one: for each source, its stamp
    /// ([`stamp`](crate::inputs::Entry::stamp)).
    begun: HashMap<String, String>,
}

impl InProgress {
    /// Opens `attempts.jsonl` in `folder`, or creates it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("attempts.jsonl");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                let text = format!("cannot read '{}': {e}", path.display());
                return Err(io::Error::new(e.kind(), text));
            }
        };
        let mut begun = HashMap::new();
        for line in bytes
            .split_inclusive(|&b| b == b'\n')
            .filter_map(without_checksum::<Line>)
        {
            if line.is_over {
                begun.remove(&line.source);
            } else {
                begun.insert(line.source, line.stamp);
            }
        }
        let removed = RemovedOnInterrupt::new(&path);
        let (file, length) = write_anew(&path, &begun)?;
        Ok(Self {
            _removed: removed,
            path,
            state: Mutex::new(State {
                file,
                length,
                begun,
            }),
        })
    }

    /// Whether a measurement of `source` with this `stamp` began and did not end.
    pub fn died_at(&self, source: &str, stamp: &str) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun.get(source).is_some_and(|begun| begun == stamp)
    }

    /// Records that a measurement begins.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(&self, source: &str, stamp: &str) -> io::Result<()> {
        self.note(source, stamp, false)
    }

    /// Records that a measurement has ended, with any result.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end(&self, source: &str, stamp: &str) -> io::Result<()> {
        self.note(source, stamp, true)
    }

    fn note(&self, source: &str, stamp: &str, is_over: bool) -> io::Result<()> {
        let line = line(source, stamp, is_over)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if is_over {
            state.begun.remove(source);
        } else {
            state.begun.insert(source.to_owned(), stamp.to_owned());
        }
        if state.length > MAX_LENGTH {
            (state.file, state.length) = write_anew(&self.path, &state.begun)?;
        } else {
            let written = state.file.write_all(&line);
            written.map_err(|e| {
                let text = format!("cannot write '{}': {e}", self.path.display());
                io::Error::new(e.kind(), text)
            })?;
            state.length += line.len() as u64;
        }
        Ok(())
    }
}

fn line(source: &str, stamp: &str, is_over: bool) -> io::Result<Vec<u8>> {
    with_checksum(&Line {
        source: source.to_owned(),
        stamp: stamp.to_owned(),
        is_over,
    })
}

/// Replaces the file at `path` by one that lists only the measurements in `begun`. Returns the new file, open for
/// appending, and its length in bytes.
fn write_anew(path: &Path, begun: &HashMap<String, String>) -> io::Result<(File, u64)> {
    let mut bytes = Vec::new();
    for (source, stamp) in begun {
        bytes.extend(line(source, stamp, false)?);
    }
    files::write_bytes(path, &bytes)?;
    let file = OpenOptions::new().append(true).open(path)?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_ended_is_found_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let in_progress = InProgress::open(folder.path()).unwrap();
        in_progress.begin("a.png", "1").unwrap();
        in_progress.begin("b.png", "1").unwrap();
        in_progress.end("a.png", "1").unwrap();
        drop(in_progress);
        for _ in 0..2 {
            let in_progress = InProgress::open(folder.path()).unwrap();
            assert!(!in_progress.died_at("a.png", "1"));
            assert!(in_progress.died_at("b.png", "1"));
            assert!(!in_progress.died_at("b.png", "2"));
        }
        let in_progress = InProgress::open(folder.path()).unwrap();
        in_progress.end("b.png", "1").unwrap();
        drop(in_progress);
        let in_progress = InProgress::open(folder.path()).unwrap();
        assert!(!in_progress.died_at("b.png", "1"));
    }

    #[test]
    fn the_file_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let in_progress = InProgress::open(folder.path()).unwrap();
        in_progress.begin("first", "s").unwrap();
        for i in 0..6000 {
            let source = format!("{i:0200}");
            in_progress.begin(&source, "s").unwrap();
            in_progress.end(&source, "s").unwrap();
        }
        let length = fs::metadata(folder.path().join("attempts.jsonl"))
            .unwrap()
            .len();
        assert!(length < MAX_LENGTH + 1000, "{length}");
        drop(in_progress);
        let in_progress = InProgress::open(folder.path()).unwrap();
        assert!(in_progress.died_at("first", "s"));
        assert_eq!(in_progress.state.lock().unwrap().begun.len(), 1);
    }
}
