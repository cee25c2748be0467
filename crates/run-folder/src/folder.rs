//! Creates, lists and locks run folders.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Name of the lock file. The operating system releases the lock when the program that trains the run ends in any way.
const LOCK: &str = ".lock";

/// A locked run folder. No other program can train this run while the value exists.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Creates a run folder in `outdir` with the next free number and the description `desc` in its name, and locks it.
    /// Runs that start at the same time get different folders.
    ///
    /// # Errors
    /// `File` when the folder cannot be created.
    pub fn create(outdir: &Path, desc: &str) -> Result<Self> {
        std::fs::create_dir_all(outdir).map_err(Error::file(outdir))?;
        loop {
            let path = next_run_dir(outdir, desc)?;
            match std::fs::create_dir(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(Error::file(&path))?;
                    return Self::open(&path);
                }
            }
        }
    }

    /// Locks an existing run folder. Where the file system has no locks, only a warning is logged.
    ///
    /// # Errors
    /// `InUse` when another program trains the run; `File` when the folder cannot be written to.
    pub fn open(path: &Path) -> Result<Self> {
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(Error::file(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path.to_owned())),
            // Some network file systems have no locks. Training without a lock is better than no training.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "'{}' cannot be locked ({error}): do not train it twice at once",
                    path.display()
                );
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The path for a new run folder in `outdir`, with a name in the format of NVIDIA's programs:
/// `00003-faces64-mirror-auto1`.
///
/// # Errors
/// `File` when `outdir` cannot be read.
fn next_run_dir(outdir: &Path, desc: &str) -> Result<PathBuf> {
    let mut next = 0;
    for (id, _) in run_dirs(outdir)? {
        next = next.max(id + 1);
    }
    Ok(outdir.join(format!("{next:05}-{desc}")))
}

/// The run folders in `outdir` with the numbers at the beginning of their names, ascending; empty when `outdir` does
/// not exist.
///
/// # Errors
/// `File` when the folder cannot be read.
pub fn run_dirs(outdir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(outdir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file(outdir))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file(outdir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        if let (true, Ok(id)) = (entry.path().is_dir(), name[..digits].parse()) {
            runs.push((id, entry.path()));
        }
    }
    runs.sort();
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_has_the_next_number() {
        let dir = tempfile::tempdir().unwrap();
        let outdir = dir.path().join("runs");
        assert!(next_run_dir(&outdir, "a").unwrap().ends_with("00000-a"));
        for name in ["00000-a", "00007-b", "notes", "3"] {
            std::fs::create_dir_all(outdir.join(name)).unwrap();
        }
        std::fs::write(outdir.join("00009-file"), "").unwrap();
        assert!(next_run_dir(&outdir, "c").unwrap().ends_with("00008-c"));
        let runs: Vec<u64> = run_dirs(&outdir).unwrap().iter().map(|r| r.0).collect();
        assert_eq!(runs, [0, 3, 7]);
    }

    #[test]
    fn a_run_folder_is_locked_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path(), "a").unwrap();
        let path = run.path().to_owned();
        let error = RunFolder::open(&path).unwrap_err();
        assert!(matches!(&error, Error::InUse(found) if *found == path));
        drop(run);
        RunFolder::open(&path).unwrap();
        // Another run in the same output folder has a lock of its own.
        let (a, b) = (RunFolder::open(&path), RunFolder::create(dir.path(), "b"));
        assert!(a.is_ok() && b.is_ok());
    }
}
