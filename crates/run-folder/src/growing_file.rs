//! A file to which a run only appends.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A file opened for appending. When a run resumes, [`cut_back`](crate::cut_back) shortens such files to a saved
/// length.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    file: File,
}

impl GrowingFile {
    /// Opens a file for appending, or creates it.
    ///
    /// # Errors
    /// `File` when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::file(&path))?;
        Ok(Self { path, file })
    }

    /// Appends a line and a newline. After an error the file is as before.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.append(format!("{text}\n").as_bytes())
    }

    /// Appends bytes. After an error the file is as before: part of a record would make the records after it
    /// unreadable.
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

    /// Waits until all appended bytes are on the disk, so that a power failure does not lose them.
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
