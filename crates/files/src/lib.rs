//! Atomic writes: a file is written under a temporary name beside the target, synced, then renamed.
//!
//! A reader sees the old bytes or the new ones, never a partly written file, even after a crash. [`write_atomic`] and
//! [`write_bytes`] write a file at once; [`AtomicFile`] is for writers that seek (zips). A file that is dropped without
//! [`AtomicFile::commit`] leaves nothing behind; on Unix, the temporary of a killed process is removed by the next
//! process that writes to the same folder.
//!
//! There are also helpers for reading files of users: [`FileKind`] recognizes kinds of files by their first bytes,
//! [`ForeignContent`] recognizes content that took the place of a file, [`decode_text`] reads UTF-8 and UTF-16,
//! [`JsonLines`] reads logs that were cut or damaged, [`append_json_line`] adds to them, [`open_input`] refuses pipes,
//! sockets and devices, [`read_input`] also files that are too large, [`write_safetensors`] and [`check_safetensors`]
//! add and check a checksum of tensor files, [`mark`] distinguishes files that these programs wrote from files of the
//! user.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("notes.txt");
//! files::write_bytes(&path, b"old")?;
//! // Readers see the old bytes until the new ones are complete.
//! files::write_bytes(&path, b"new")?;
//! assert_eq!(std::fs::read(&path)?, b"new");
//! # Ok(())
//! # }
//! ```

mod append;
mod content;
mod error;
mod escapes;
mod file_kind;
mod hex;
mod inputs;
mod json_lines;
pub mod mark;
mod printable;
mod protected;
mod safetensors;
mod temporary;
mod text;

pub use append::append_json_line;
pub use content::{ForeignContent, cut_zip_length};
pub use escapes::without_escapes;
pub use file_kind::{FileKind, TextKind};
pub use hex::hex;
pub use inputs::{open_input, read_input, read_input_text, read_line};
pub use json_lines::{JsonLines, parse_json, text_lines};
pub use printable::{printable, printable_json};
pub use protected::{check_output, protect_folder, protect_input};
pub use safetensors::{
    CHECKSUM_KEY, ChecksumMismatch, TensorEntry, check_safetensors, is_countable, write_safetensors,
};
pub use temporary::{RemovedOnInterrupt, Temporary, remove_stale, remove_temporaries};
pub use text::{ByteOrder, Utf16Reader, decode_text, to_utf8};

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use error::named;

/// Replaces the file at `path` by what `fill` writes; on an error the old file stays as it was.
///
/// `fill` gets an unbuffered file. Missing parent folders are created.
///
/// # Errors
/// Those of `fill`, and of creating, syncing and renaming, with the path in the message.
pub fn write_atomic<E: From<io::Error>>(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut AtomicFile) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = AtomicFile::create(path)?;
    fill(&mut file)?;
    Ok(file.commit()?)
}

/// Replaces the file `path` by one with these bytes, atomically: on an error the old file stays as it was.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    write_atomic(path, |file| file.write_all(bytes))
}

/// A file under a temporary name that takes its real name at [`commit`](Self::commit).
#[derive(Debug)]
pub struct AtomicFile {
    temporary: Temporary,
    target: PathBuf,
}

impl AtomicFile {
    /// Creates a temporary in the folder of `path`, which is created when missing.
    ///
    /// # Errors
    /// When `path` has no file name, is a folder, a device or an input ([`protect_input`]), or its folder cannot be
    /// written to.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let target = path.as_ref().to_path_buf();
        check_target(&target)?;
        check_output(&target)?;
        let folder = folder_of(&target);
        fs::create_dir_all(folder).map_err(|e| named("cannot make the folder", folder, &e))?;
        let temporary = Temporary::beside(&target)?;
        Ok(Self { temporary, target })
    }

    /// The path that the file gets at [`commit`](Self::commit).
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The path of the hidden temporary, which the file has until [`commit`](Self::commit).
    pub fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    /// Syncs the bytes, gives the file its name, and syncs the folder.
    ///
    /// # Errors
    /// When the disk refuses; the target is then as it was and the temporary is removed.
    pub fn commit(self) -> io::Result<()> {
        self.temporary.persist(&self.target)
    }

    fn name_error(&self, error: io::Error) -> io::Error {
        named("cannot write", &self.target, &error)
    }
}

/// Refuses targets that a rename cannot or must not replace: folders, devices, paths without a file name.
fn check_target(target: &Path) -> io::Result<()> {
    let refuse = |kind: io::ErrorKind, what: &str| {
        let text = format!("'{}' {what}", target.display());
        Err(io::Error::new(kind, text))
    };
    if target.file_name().is_none() {
        return refuse(io::ErrorKind::InvalidInput, "names no file");
    }
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => refuse(io::ErrorKind::IsADirectory, "is a folder"),
        // A rename would put a file in place of a device.
        Ok(found) if !found.is_file() => refuse(io::ErrorKind::InvalidInput, "is no ordinary file"),
        _ => Ok(()),
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temporary.file()?.write(bytes);
        written.map_err(|e| self.name_error(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.file()?.flush()
    }
}

impl Read for AtomicFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.temporary.file()?.read(bytes)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.temporary.file()?.seek(position)
    }
}

/// The folder of a file; `.` for a name without a folder.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_old_bytes_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state.bin");
        write_bytes(&path, b"one").unwrap();
        write_bytes(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["state.bin"]);
    }

    #[test]
    fn a_failed_fill_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        write_bytes(&path, b"old").unwrap();
        let failed = write_atomic(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("power cut"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "power cut");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["state.bin"]);
    }

    #[test]
    fn nothing_has_the_name_before_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn impossible_targets_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
        #[cfg(unix)]
        {
            let error = AtomicFile::create("/dev/null").unwrap_err();
            assert!(error.to_string().contains("no ordinary file"), "{error}");
        }
        let file = folder.path().join("file");
        write_bytes(&file, b"").unwrap();
        let error = write_bytes(file.join("below"), b"").unwrap_err();
        assert!(error.to_string().contains("file'"), "{error}");
    }
}
