//! Hidden files under temporary names, which are registered while they exist, and removed on signals and after a crash.
//!
//! A temporary is called `.NAME.kaogan-PID-N.tmp` and is locked while its process lives. [`remove_stale`] deletes those
//! that nobody locks; every other hidden file belongs to the user and stays.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
use crate::append::is_at;
use crate::error::named;
use crate::folder_of;

/// Temporaries of this process that exist now.
static LIVE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Folders that were searched for stale temporaries, so that each is listed once.
static SEARCHED: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

fn lock(
    set: &'static Mutex<Option<HashSet<PathBuf>>>,
) -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A hidden file beside its target. It is removed when dropped, unless [`persist`](Self::persist) renamed it.
#[derive(Debug)]
pub struct Temporary {
    /// `None` once it has its final name.
    file: Option<File>,
    path: PathBuf,
}

impl Temporary {
    /// Creates a temporary beside `target`, whose folder must exist. Temporaries of dead processes in the folder are
    /// removed first.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let folder = folder_of(target);
        if lock(&SEARCHED)
            .get_or_insert_default()
            .insert(folder.to_owned())
        {
            remove_stale(folder);
        }
        loop {
            let path = folder.join(hidden_name(target.file_name().unwrap_or_default()));
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path);
            match opened {
                Ok(file) => {
                    // On a file system without locks, the file never counts as stale.
                    #[cfg(unix)]
                    if file.lock().is_ok() && !is_at(&file, &path) {
                        // Another process removed the file as stale before it was locked.
                        continue;
                    }
                    lock(&LIVE).get_or_insert_default().insert(path.clone());
                    return Ok(Self {
                        file: Some(file),
                        path,
                    });
                }
                // Left by a killed process with the same process id: take the next name.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(named("cannot write", &path, &e)),
            }
        }
    }

    /// The path of the temporary, for a program that writes the file by itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    ///
    /// # Errors
    /// When it already has its final name.
    pub fn file(&mut self) -> io::Result<&mut File> {
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was already committed"))
    }

    /// Syncs the bytes and renames the file to `target`.
    ///
    /// # Errors
    /// When the disk refuses; the target is then as it was and the temporary is removed.
    pub fn persist(mut self, target: &Path) -> io::Result<()> {
        // Open the path again, since another program may have replaced the file.
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.path, target))
            .map_err(|e| named("cannot write", target, &e))?;
        self.file = None;
        lock(&LIVE).get_or_insert_default().remove(&self.path);
        sync_folder(folder_of(target));
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
            lock(&LIVE).get_or_insert_default().remove(&self.path);
        }
    }
}

/// Removes the temporaries of this process; called when a signal ends it. Their [`persist`](Temporary::persist) fails
/// from then on.
pub fn remove_temporaries() {
    // Do not wait for a thread that holds the lock.
    if let Ok(live) = LIVE.try_lock() {
        for path in live.iter().flatten() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Registers a file, whatever its name, so that [`remove_temporaries`] removes it too for as long as this value lives.
#[derive(Debug)]
pub struct RemovedOnInterrupt(PathBuf);

impl RemovedOnInterrupt {
    /// Registers the file at `path`.
    pub fn new(path: &Path) -> Self {
        lock(&LIVE).get_or_insert_default().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for RemovedOnInterrupt {
    fn drop(&mut self) {
        lock(&LIVE).get_or_insert_default().remove(&self.0);
    }
}

/// Removes temporaries in `folder` whose process has ended. Files of any other name are left alone.
pub fn remove_stale(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_temporary_name(&entry.file_name())
            && let Some(_locked) = lock_abandoned(&entry.path())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Locks a temporary whose writer has ended. `None` if the writer lives, since it holds the lock until it ends.
///
/// The lock must be held until the file is removed: a writer that has created the file, but not locked it yet, then
/// waits for the lock and notices that the file is gone.
#[cfg(unix)]
fn lock_abandoned(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// On other systems locks are mandatory and would stop other programs from writing, so no file counts as stale.
#[cfg(not(unix))]
fn lock_abandoned(_: &Path) -> Option<File> {
    None
}

/// The hidden name for a file name. A long name is cut to 200 bytes: systems allow 255, and the rest takes up to 50.
fn hidden_name(name: &OsStr) -> OsString {
    const LONGEST: usize = 200;
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hidden = OsString::from(".");
    if name.len() <= LONGEST {
        hidden.push(name);
    } else {
        let text = name.to_string_lossy();
        hidden.push(&text[..text.floor_char_boundary(LONGEST)]);
    }
    hidden.push(format!(
        ".kaogan-{}-{}.tmp",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    ));
    hidden
}

/// Whether a name has the form that only [`hidden_name`] gives.
fn is_temporary_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(".tmp"))
        .and_then(|rest| rest.rsplit_once(".kaogan-"))
        .and_then(|(_, numbers)| numbers.split_once('-'))
        .is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Makes the rename itself durable where folders can be synced.
fn sync_folder(folder: &Path) {
    // Not every file system can sync a folder. The bytes are safe already, so a refusal is not an error.
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|f| f.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_temporaries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join(".a.zip.kaogan-4194305-0.tmp");
        fs::write(&stale, "half").unwrap();
        let others = [
            ".notes.tmp",
            ".a.zip.tmp",
            ".a.kaogan-x-1.tmp",
            "a.kaogan-1-1.tmp",
        ];
        for name in others {
            fs::write(folder.path().join(name), "mine").unwrap();
        }
        let live = Temporary::beside(&folder.path().join("b.zip")).unwrap();
        remove_stale(folder.path());
        assert_eq!(stale.exists(), cfg!(not(unix)));
        assert!(live.path().exists(), "a file that is being written stays");
        for name in others {
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn a_temporary_survives_a_search_at_the_moment_of_its_creation() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.zip");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    remove_stale(folder.path());
                }
            });
            let n_lost = (0..2000)
                .map(|_| Temporary::beside(&target).unwrap())
                .filter(|temporary| !temporary.path().exists())
                .count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(n_lost, 0);
        });
    }

    #[test]
    fn the_longest_name_that_a_system_takes_has_a_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join(format!("{}.png", "\u{732b}".repeat(83)));
        assert_eq!(target.file_name().unwrap().len(), 253);
        let temporary = Temporary::beside(&target).unwrap();
        assert!(is_temporary_name(temporary.path().file_name().unwrap()));
        temporary.persist(&target).unwrap();
        assert!(target.exists());
    }

    #[test]
    fn names_that_are_not_utf8_keep_their_bytes() {
        let name = hidden_name(OsStr::new("a.png"));
        assert!(is_temporary_name(&name), "{name:?}");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert!(is_temporary_name(&hidden_name(OsStr::from_bytes(
                b"\x83\x81.png"
            ))));
        }
    }
}
