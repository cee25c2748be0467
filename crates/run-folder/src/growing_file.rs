//! A file that is only appended to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A text file that is only appended to, and cut back to a saved length when a run resumes.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    file: File,
}

impl GrowingFile {
    /// Opens or makes a file.
    ///
    /// # Errors
    /// `File` when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::file(&path))?;
        Ok(Self { path, file })
    }

    /// Appends a line, or nothing.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.append(format!("{text}\n").as_bytes())
    }

    /// Appends bytes, or nothing: half a record would spoil those behind it.
    ///
    /// # Errors
    /// `File` when they cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.n_bytes()?;
        let written = self.file.write_all(bytes);
        if written.is_err() {
            let _ = self.file.set_len(length);
        }
        written.map_err(Error::file(&self.path))
    }

    /// Makes what was appended survive a power cut.
    ///
    /// # Errors
    /// `File` when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::file(&self.path))
    }

    /// Bytes so far.
    ///
    /// # Errors
    /// `File` when the system does not tell.
    pub fn n_bytes(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(Error::file(&self.path))?;
        Ok(metadata.len())
    }
}
