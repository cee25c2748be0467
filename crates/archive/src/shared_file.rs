//! A file that several threads read, each at its own position.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// A file opened for reading, with its own cursor: clones share the open file but not the cursor.
#[derive(Clone, Debug)]
pub struct SharedFile {
    file: Arc<File>,
    position: u64,
    size: u64,
}

impl SharedFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// When the system refuses, or `path` is a pipe, a socket or a device.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = files::open_input(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            position: 0,
            size,
        })
    }

    /// Length of the file in bytes when it was opened.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether the file had no bytes when it was opened.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The same file with the cursor at `position`.
    pub fn at(&self, position: u64) -> Self {
        Self {
            position,
            ..self.clone()
        }
    }

    /// Up to `n` bytes from `position`; fewer at the end of the file.
    pub(crate) fn read_range(&self, position: u64, n: u64) -> io::Result<Vec<u8>> {
        let left = self.size.saturating_sub(position);
        let mut bytes = Vec::with_capacity(n.min(left) as usize);
        self.at(position).take(n).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for SharedFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // Systems refuse positions above `i64::MAX`, which are after the end of any file.
        if i64::try_from(self.position).is_err() {
            return Ok(0);
        }
        #[cfg(unix)]
        let n = std::os::unix::fs::FileExt::read_at(&*self.file, bytes, self.position)?;
        #[cfg(windows)]
        let n = std::os::windows::fs::FileExt::seek_read(&*self.file, bytes, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => i128::from(position),
            SeekFrom::End(offset) => i128::from(self.size) + i128::from(offset),
            SeekFrom::Current(offset) => i128::from(self.position) + i128::from(offset),
        };
        self.position = u64::try_from(target).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek before the start of the file",
            )
        })?;
        Ok(self.position)
    }
}
