//! Locks a file of the cache: one process at a time fetches it, and others wait as long as it makes progress.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::disk::{io, with_suffix};
use crate::error::{Error, Result};
use crate::options::DownloadOptions;

/// Time between two attempts of a waiting process.
const POLL: Duration = Duration::from_millis(100);
/// Waiting for longer than this is logged.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// The lock of a file, held while the file is fetched. The operating system releases it when the process ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "open as long as it is held")] File);

impl Lock {
    /// Waits for the lock of the file at `path` in the cache.
    ///
    /// # Errors
    /// `Cache` when the lock file cannot be opened; `Failed` when another process holds the lock and the partial file
    /// has not grown for [`patience`](DownloadOptions::patience).
    pub fn wait(path: &Path, url: &str, options: &DownloadOptions) -> Result<Self> {
        let lock = with_suffix(path, ".lock");
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock);
        let mut file = open.map_err(|e| io(&lock, e))?;
        let partial = with_suffix(path, ".partial");
        let grown = || std::fs::metadata(&partial).map_or(0, |found| found.len());
        let (begin, mut length, mut since) = (Instant::now(), grown(), Instant::now());
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    tracing::debug!("cannot lock {}: {e}", lock.display());
                    return Ok(Self(file));
                }
            }
            let now = grown();
            if now != length {
                (length, since) = (now, Instant::now());
            }
            if since.elapsed() >= options.patience {
                return Err(Error::Failed {
                    url: url.to_owned(),
                    what: format!(
                        "{} has held {} for {} s and brings nothing: end it and try again",
                        owner(&mut file),
                        lock.display(),
                        since.elapsed().as_secs()
                    ),
                });
            }
            if !told && begin.elapsed() >= TELL_AFTER {
                tracing::warn!("{url} is being fetched by {}: waiting", owner(&mut file));
                told = true;
            }
            std::thread::sleep(POLL);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let text = format!(
            "{} {}\n",
            std::process::id(),
            now.map_or(0, |t| t.as_secs())
        );
        // The text only informs people; the lock works without it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self(file))
    }
}

/// Describes the process that holds a lock, and for how long it has held it, from the content of the lock file.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file
        .rewind()
        .and_then(|()| file.take(100).read_to_string(&mut text));
    let mut words = text.split_whitespace();
    let (Some(process), Some(Ok(since))) = (words.next(), words.next().map(str::parse::<u64>))
    else {
        return "another process".to_owned();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now.map_or(0, |now| now.as_secs()).saturating_sub(since);
    format!("process {process} (for {age} s)")
}
