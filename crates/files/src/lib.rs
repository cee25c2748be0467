//! Files that matter: written under a temporary name beside the target, synced, then renamed.
//!
//! A reader sees the old bytes or the new ones, never a torn file, whatever happens in between. [`write_atomic`] is the
//! short way, [`AtomicFile`] the one for writers that seek (zips). A file that is dropped without
//! [`AtomicFile::commit`] leaves nothing behind; only a killed process can leave its temporary, which is hidden and
//! ends in `.tmp`.
//!
//! Beside that, what readers of many kinds of files share: [`ForeignContent`] recognizes what took the place of a file,
//! [`JsonLines`] reads logs that were cut or damaged.

mod content;
mod json_lines;

pub use content::{ForeignContent, cut_zip_length};
pub use json_lines::{JsonLines, decode_text, parse_json, text_lines};

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces `path` with what `fill` writes, or leaves it as it was.
///
/// `fill` gets an unbuffered file; the missing parent folders are made.
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

/// Replaces `path` with `bytes`, or leaves it as it was.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    write_atomic(path, |file| file.write_all(bytes))
}

/// A file under a temporary name that takes its real name at [`commit`](Self::commit).
#[derive(Debug)]
pub struct AtomicFile {
    /// `None` only after `commit`.
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl AtomicFile {
    /// Opens a new file in the folder of `path`, which is made when missing.
    ///
    /// # Errors
    /// When `path` names no file, is a folder or a device, or its folder cannot be written to.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let target = path.as_ref().to_path_buf();
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{}' names no file", target.display()),
            ));
        };
        if target.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("'{}' is a folder", target.display()),
            ));
        }
        // A rename would take the place of a device.
        if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{}' is no ordinary file", target.display()),
            ));
        }
        let folder = folder_of(&target);
        fs::create_dir_all(folder).map_err(|e| named("cannot make the folder", folder, &e))?;
        loop {
            static COUNTER: AtomicU64 = AtomicU64::new(0);
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(
                ".{}-{}.tmp",
                std::process::id(),
                COUNTER.fetch_add(1, Ordering::Relaxed)
            ));
            let temporary = folder.join(hidden);
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&temporary);
            match opened {
                Ok(file) => {
                    return Ok(Self {
                        file: Some(file),
                        temporary,
                        target,
                    });
                }
                // Left by a killed process with our number: take the next name.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(named("cannot write", &temporary, &e)),
            }
        }
    }

    /// The name the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the bytes, gives the file its name, and syncs the folder.
    ///
    /// # Errors
    /// When the disk refuses; the target is then as it was and the temporary is removed.
    pub fn commit(mut self) -> io::Result<()> {
        let file = self.file.take();
        let done = file
            .map_or(Ok(()), |file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.target));
        if let Err(e) = done {
            let _ = fs::remove_file(&self.temporary);
            return Err(named("cannot write", &self.target, &e));
        }
        sync_folder(folder_of(&self.target));
        Ok(())
    }

    fn open(&mut self) -> io::Result<&mut File> {
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was already committed"))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}

impl Read for AtomicFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.open()?.read(bytes)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.open()?.seek(position)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable where folders can be synced.
fn sync_folder(folder: &Path) {
    // Not every file system can: the bytes are safe already, so a refusal is not a failure.
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|f| f.sync_all());
    }
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{what} '{}': {error}", path.display()),
    )
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
