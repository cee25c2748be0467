//! The folder of a run: its lock, and the files in it that grow.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Held by the program that trains a run; the system lets go of it when the program ends, however it ends.
const LOCK: &str = ".lock";

/// The folder of a run, locked: nobody else trains this run while the value lives.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes the next free folder of `outdir`; of two runs that start at once each gets its own.
    ///
    /// # Errors
    /// `File` when it cannot be made.
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

    /// Takes a folder that is there.
    ///
    /// # Errors
    /// `InUse` when another program trains there; `File` when it cannot be written to.
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
            // Some network file systems have no locks: better unguarded than not at all.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The next free folder of `outdir` as the reference names it: `00003-faces64-mirror-auto1`.
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

/// The runs in a folder with their numbers, ascending; none when there is no such folder.
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

/// A text file that is only appended to, and cut back to a saved length when a run resumes.
pub(crate) struct GrowingFile {
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
        let length = self.len()?;
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
    pub fn len(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(Error::file(&self.path))?;
        Ok(metadata.len())
    }
}

/// Files of a run that grow while it goes on: what came after a state was saved is written again by the resumed run.
fn is_growing(name: &str) -> bool {
    name == LOG || name == STATS || name.contains(".tfevents.")
}

/// The log, as the reference writes it.
pub(crate) const LOG: &str = "log.txt";
/// One line a tick.
pub(crate) const STATS: &str = "stats.jsonl";

/// Whether a file holds results of a metric. `eval run` appends to it as well, so nothing of it is ever cut off.
fn is_of_metric(name: &str) -> bool {
    name.starts_with("metric-") && name.ends_with(".jsonl")
}

/// The lengths of the growing files and of the results of metrics, to be saved.
///
/// # Errors
/// `File` when the folder cannot be read.
pub(crate) fn file_lengths(run_dir: &Path) -> Result<BTreeMap<String, u64>> {
    let mut lengths = BTreeMap::new();
    for entry in std::fs::read_dir(run_dir).map_err(Error::file(run_dir))? {
        let entry = entry.map_err(Error::file(run_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_growing(&name) || is_of_metric(&name) {
            // The length of the file, not that of a link to it.
            let metadata = std::fs::metadata(entry.path()).map_err(Error::file(&entry.path()))?;
            lengths.insert(name, metadata.len());
        }
    }
    Ok(lengths)
}

const MEASURE_AGAIN: &str = "`eval run` on the folder measures them again";

/// Cuts the growing files back to saved lengths; those that did not exist are removed. A file that is damaged before
/// that length, as after a power cut, is cut to its last whole record; returns what was lost, in words.
///
/// # Errors
/// `File` when one cannot be cut.
pub(crate) fn cut_back(run_dir: &Path, lengths: &BTreeMap<String, u64>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for name in file_lengths(run_dir)?.into_keys() {
        let path = run_dir.join(&name);
        let Some(&saved) = lengths.get(&name) else {
            if is_growing(&name) {
                std::fs::remove_file(&path).map_err(Error::file(&path))?;
            }
            continue;
        };
        let bytes = files::read_input(&path, u64::MAX).map_err(Error::file(&path))?;
        let kept = &bytes[..bytes
            .len()
            .min(usize::try_from(saved).unwrap_or(usize::MAX))];
        let whole = whole_length(&name, kept) as u64;
        if is_of_metric(&name) {
            if whole < saved {
                warnings.push(format!(
                    "'{}' has lost results: {MEASURE_AGAIN}",
                    path.display()
                ));
            }
            continue;
        }
        if whole < saved {
            warnings.push(format!(
                "'{}' has lost {} bytes that were there when the state was saved: it goes on from its last whole record",
                path.display(),
                saved - whole
            ));
        }
        if whole < bytes.len() as u64 {
            OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(whole))
                .map_err(Error::file(&path))?;
        }
    }
    for name in lengths.keys().filter(|name| !run_dir.join(name).exists()) {
        let what = if is_of_metric(name) {
            MEASURE_AGAIN
        } else {
            "it begins anew"
        };
        warnings.push(format!(
            "'{}' is lost: {what}",
            run_dir.join(name).display()
        ));
    }
    Ok(warnings)
}

/// Bytes up to the end of the last whole record of a growing file. Blocks that a power cut left unwritten read as zeros,
/// which no line of text holds.
fn whole_length(name: &str, bytes: &[u8]) -> usize {
    if name.contains(".tfevents.") {
        return crate::tfevents::whole_length(bytes);
    }
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes[..end]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |newline| newline + 1)
}

/// Bytes that can still be written to the file system of a folder; `None` where that cannot be told.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
        let mut stats = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: `path` ends with a zero byte, and `stats` is written in full when 0 is returned.
        let stats = unsafe {
            if libc::statvfs(path.as_ptr(), stats.as_mut_ptr()) != 0 {
                return None;
            }
            stats.assume_init()
        };
        #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
        Some(stats.f_bavail as u64 * stats.f_frsize as u64)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_from_the_highest() {
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
    fn one_at_a_time_trains_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path(), "a").unwrap();
        let path = run.path().to_owned();
        let error = RunDir::open(&path).unwrap_err();
        assert!(matches!(&error, Error::InUse(found) if *found == path));
        drop(run);
        RunDir::open(&path).unwrap();
        // Another run of the same folder is another matter.
        let (a, b) = (RunDir::open(&path), RunDir::create(dir.path(), "b"));
        assert!(a.is_ok() && b.is_ok());
    }

    #[test]
    fn growing_files_are_cut_back_to_what_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut file = GrowingFile::open(dir.path().join(name)).unwrap();
            file.line(text).unwrap();
        };
        write(STATS, "one");
        write("fakes.txt", "stays");
        let lengths = file_lengths(dir.path()).unwrap();
        assert_eq!(lengths, BTreeMap::from([(STATS.to_owned(), 4)]));
        write(STATS, "two");
        write(LOG, "new");
        cut_back(dir.path(), &lengths).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert_eq!(read(STATS).unwrap(), "one\n");
        assert_eq!(read(LOG), None);
        assert_eq!(read("fakes.txt").unwrap(), "stays\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_log_behind_a_link_keeps_its_link_and_its_lines() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().join("stats on another disk");
        std::fs::write(&target, "a line\n").unwrap();
        let link = dir.path().join(STATS);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let lengths = file_lengths(dir.path()).unwrap();
        assert_eq!(lengths, BTreeMap::from([(STATS.to_owned(), 7)]));
        let mut file = GrowingFile::open(link.clone()).unwrap();
        file.line("a newer line").unwrap();
        assert_eq!(cut_back(dir.path(), &lengths).unwrap(), [""; 0]);
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "a line\n");
    }

    #[test]
    fn results_are_never_cut_and_those_lost_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let names = ["fid50k_full", "kid50k_full", "pr50k3_full"];
        let [grown, torn, lost] = names.map(|metric| format!("metric-{metric}.jsonl"));
        let three = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        for name in [&grown, &torn, &lost] {
            write(name, three);
        }
        let lengths = file_lengths(dir.path()).unwrap();
        // `eval run` has added to one, a power cut has taken from the others.
        let longer = format!("{three}{{\"a\":4}}\n");
        write(&grown, &longer);
        let shorter = "{\"a\":1}\n{\"a\":2}\n{\"a\"\0\0\0\0";
        write(&torn, shorter);
        std::fs::remove_file(dir.path().join(&lost)).unwrap();
        let warnings = cut_back(dir.path(), &lengths).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read(&grown), longer);
        assert_eq!(read(&torn), shorter);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let told = |name: &str, what: &str| {
            warnings
                .iter()
                .any(|w| w.contains(name) && w.contains(what) && w.contains("eval run"))
        };
        assert!(told(&torn, "has lost results"), "{warnings:?}");
        assert!(told(&lost, "is lost"), "{warnings:?}");
    }

    #[test]
    fn a_log_that_is_shorter_than_recorded_ends_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STATS);
        std::fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
        let lengths = file_lengths(dir.path()).unwrap();
        std::fs::write(&path, "{\"a\":1}\n{\"a").unwrap();
        let warnings = cut_back(dir.path(), &lengths).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert!(
            warnings[0].contains(STATS) && warnings[0].contains("lost 8 bytes"),
            "{warnings:?}"
        );
    }

    #[test]
    fn free_space_is_told() {
        if cfg!(unix) {
            assert!(free_bytes(Path::new(".")).unwrap() > 0);
            assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
        }
    }
}
