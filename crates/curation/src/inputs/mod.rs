//! Inputs of a run: folders, zips, tars and lists become one sorted list of entries, whose files are read in place.

mod list;
mod members;
mod results;
mod walk;

pub use walk::walk;

use archive::{TarFile, ZipFile};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// One file among the inputs, which may be a member of an archive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the file in every record: its path below the input, with `/` between parts; unique among the entries.
    pub source: String,
    /// File name of the archive that holds the file; `None` outside archives.
    pub archive: Option<Arc<str>>,
    /// Text that changes when the content does: size and modification time of a file, size and checksum of a zip's
    /// member, offset, size and modification time of a tar's member.
    pub stamp: String,
    /// Size in bytes as the folder or archive states it, at most [`MAX_FILE_BYTES`]; 0 when it is unknown.
    pub size: u64,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Zip(Arc<ZipFile>, usize),
    Tar(Arc<TarFile>, usize),
    /// An entry that was found to be unreadable while the inputs were listed.
    Unreadable(InputError),
}

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Not a regular file, a broken link, or a damaged archive or member.
    #[error("{0}")]
    Unreadable(String),
    /// The operating system refuses to read the file now; a later attempt may succeed.
    #[error("{message}")]
    System {
        /// The message of the operating system.
        message: String,
        /// Whether the error concerns a folder or archive, and so everything in it.
        is_container: bool,
    },
    /// The name is that of an archive, but the content is neither an archive of a known kind nor an image.
    #[error("{0}")]
    NotAnArchive(String),
    /// The name of an archive's member would lead out of the archive's folder (`../x`, `/etc/x`, `C:\x`).
    #[error("the name leads out of its archive")]
    UnsafeName,
    /// More bytes than [`MAX_FILE_BYTES`], or a member compressed so much that it must be a zip bomb.
    #[error("{0}")]
    TooLarge(String),
}

/// Largest file that is read, in bytes; files of images within `--max-pixels` are smaller.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

impl Entry {
    /// The path of the file; `None` for members of archives and for entries that are unreadable.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            _ => None,
        }
    }

    /// Whether the entry was found to be unreadable while the inputs were listed.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.place, Place::Unreadable(_))
    }

    /// Whether the entry stands for a folder or archive that the operating system refused to read.
    pub fn is_unread_container(&self) -> bool {
        let Place::Unreadable(error) = &self.place else {
            return false;
        };
        matches!(error, InputError::System { is_container, .. } if *is_container)
    }

    /// Reads the first bytes, enough to recognize the kind of file: up to 4096 of a file, all bytes of an archive's
    /// member.
    ///
    /// # Errors
    /// The same as for [`read`](Self::read).
    pub fn head(&self) -> Result<Vec<u8>, InputError> {
        let Place::File(path) = &self.place else {
            return self.read();
        };
        let mut bytes = Vec::new();
        files::open_input(path)
            .and_then(|file| file.take(4096).read_to_end(&mut bytes))
            .map_err(|e| InputError::of_file(&e))?;
        Ok(bytes)
    }

    /// Reads at most the first `limit + 1` bytes, so that a caller can tell a file of `limit` bytes from a larger one.
    ///
    /// # Errors
    /// The same as for [`read`](Self::read).
    pub(crate) fn read_beginning(&self, limit: u64) -> Result<Vec<u8>, InputError> {
        match &self.place {
            Place::File(path) => {
                let mut bytes = Vec::new();
                files::open_input(path)
                    .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
                    .map_err(|e| InputError::of_file(&e))?;
                Ok(bytes)
            }
            Place::Zip(zip, index) => members::read_zip(zip, *index, limit + 1),
            Place::Tar(tar, index) => members::read_tar(tar, *index, limit + 1),
            Place::Unreadable(error) => Err(error.clone()),
        }
    }

    /// Reads the whole file, from the folder or out of the archive; checksums of zips are verified.
    ///
    /// # Errors
    /// [`InputError`], to be recorded as the outcome of this entry.
    pub fn read(&self) -> Result<Vec<u8>, InputError> {
        match &self.place {
            Place::File(path) => {
                let failed = |e: io::Error| InputError::of_file(&e);
                let file = files::open_input(path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                read_limited(file, size)
            }
            Place::Zip(zip, index) => members::read_zip(zip, *index, u64::MAX),
            Place::Tar(tar, index) => members::read_tar(tar, *index, u64::MAX),
            Place::Unreadable(error) => Err(error.clone()),
        }
    }
}

impl InputError {
    /// An error in reading one file.
    fn of_file(error: &io::Error) -> Self {
        Self::of_io(error, false)
    }

    /// An error in reading a folder or archive as a whole.
    fn of_container(error: &io::Error) -> Self {
        Self::of_io(error, true)
    }

    /// Converts an error: to [`InputError::System`] when it has an error number of the operating system, else to
    /// [`InputError::Unreadable`], since errors from readers of file formats have no number.
    fn of_io(error: &io::Error, is_container: bool) -> Self {
        match error.raw_os_error() {
            Some(_) => Self::System {
                message: error.to_string(),
                is_container,
            },
            None => Self::Unreadable(error.to_string()),
        }
    }

    fn too_large() -> Self {
        Self::TooLarge(format!("more than {} MiB", MAX_FILE_BYTES >> 20))
    }
}

/// Reads all bytes; fails if there are more than [`MAX_FILE_BYTES`]. `size` is the expected number of bytes, for which
/// memory is reserved.
fn read_limited(reader: impl Read, size: u64) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::with_capacity(size.min(64 << 20) as usize);
    reader
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| InputError::of_file(&e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(InputError::too_large());
    }
    Ok(bytes)
}

fn unreadable(source: String, error: InputError) -> Entry {
    Entry {
        source,
        archive: None,
        stamp: "unreadable".to_owned(),
        size: 0,
        place: Place::Unreadable(error),
    }
}

/// The entry for a file in a folder. Pipes and devices are not opened, since reading them may never end.
fn file_entry(path: PathBuf, source: String) -> Entry {
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => {
            let time = meta
                .modified()
                .ok()
                .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
                .unwrap_or_default();
            Entry {
                source,
                archive: None,
                stamp: format!("file {} {}", meta.len(), time.as_nanos()),
                size: meta.len().min(MAX_FILE_BYTES),
                place: Place::File(path),
            }
        }
        Ok(meta) if meta.is_dir() => unreadable(
            source,
            InputError::Unreadable("a link to a folder: name the folder as an input".to_owned()),
        ),
        Ok(_) => unreadable(
            source,
            InputError::Unreadable("not a regular file".to_owned()),
        ),
        Err(e) if is_broken_link(&path, &e) => unreadable(
            source,
            InputError::Unreadable(format!("a link that leads nowhere ({e})")),
        ),
        Err(e) => unreadable(source, InputError::of_file(&e)),
    }
}

/// Whether `path` is a symbolic link that leads nowhere or in a circle; `error` is the error in reading it. A missing
/// file that is not a link does not count, since it may be back in a later run.
fn is_broken_link(path: &Path, error: &io::Error) -> bool {
    let is_of_links = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::TooManyLinks
    ) || error.to_string().contains("symbolic links");
    is_of_links && fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// Why the inputs as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// An input does not exist or cannot be opened.
    #[error("cannot read input '{}': {source}", path.display())]
    Open {
        /// The input as given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An archive given as an input is damaged.
    #[error("cannot read archive '{}': {message}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The problem.
        message: String,
    },
}
