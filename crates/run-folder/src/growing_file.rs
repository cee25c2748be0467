//! A file that is only appended to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A file that is only appended to. [`cut_back`](crate::cut_back) shortens it to a saved length when a run resumes.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    file: File,
}

impl GrowingFile {
    /// Opens a file, or creates it.
    ///
    /// # Errors
    /// `File` when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::file(&path))?;
        Ok(Self { path, file })
    }

    /// Appends a line. On an error nothing is appended.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.append(format!("{text}\n").as_bytes())
    }

    /// Appends bytes. On an error nothing is appended: half a record would make those behind it unreadable.
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

    /// Writes appended bytes to the disk, so that a power cut does not lose them.
    ///
    /// # Errors
    /// `File` when they cannot be written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::file(&self.path))
    }

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// `File` when the length cannot be read.
    pub fn n_bytes(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(Error::file(&self.path))?;
        Ok(metadata.len())
    }
}
