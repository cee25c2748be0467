//! Fetches a file into the cache.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::disk::{hash, hex, io, length, remove_if_there, with_suffix};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::options::DownloadOptions;
use crate::transfer::{Broken, DownloadProgress, agent, transfer};

/// Returns the name in the cache for a file that is known only by its URL: the first 12 hexadecimal digits of the
/// SHA-256 of the URL, `-`, and the last part of the URL's path (up to 100 characters), in which characters other than
/// ASCII letters, digits, `.`, `_` and `-` become `_`.
pub fn cache_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let last = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let last: String = last.chars().map(safe).take(100).collect();
    format!("{}-{last}", &hex(&Sha256::digest(url.as_bytes()))[..12])
}

/// A file to fetch.
pub struct Remote<'a> {
    /// URL of the file.
    pub url: &'a str,
    /// Its name in the cache.
    pub name: &'a str,
    /// SHA-256 of the contents in hex. Without it, the file in the cache must keep the SHA-256 that it had when
    /// downloaded.
    pub sha256: Option<&'a str>,
    /// Checks that the file at a path is the wanted one, and not a login page or a file that was cut off; the error
    /// says what is wrong.
    pub check: &'a dyn Fn(&Path) -> std::result::Result<(), String>,
}

/// Returns the path of the file in the cache, after downloading the file if it is not there.
///
/// A damaged file in the cache is deleted and downloaded again. A file in the cache for which no passed
/// [`check`](Remote::check) is recorded is checked, and also downloaded again if it fails.
///
/// # Errors
/// `Failed` when the server refuses, the connection keeps breaking, the downloaded file does not have the given
/// SHA-256, the file fails `check` in two downloads, or the file in the cache is missing or unusable and
/// [`offline`](DownloadOptions::offline) is set; `Cache` when the cache cannot be read or written.
pub fn fetch(
    remote: &Remote<'_>,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<PathBuf> {
    let fail = |what: String| Error::Failed {
        url: remote.url.to_owned(),
        what,
    };
    let path = options.cache.join(remote.name);
    let unusable = match state(&path, remote)? {
        State::Good => return Ok(path),
        State::Missing => None,
        State::Bad(what) => Some(what),
    };
    match unusable {
        Some(what) if options.offline => {
            return Err(fail(format!(
                "{} {what} and KAOGAN_OFFLINE is set: fetch it again without it",
                path.display()
            )));
        }
        None if options.offline => {
            return Err(fail(format!(
                "KAOGAN_OFFLINE is set and the file is not in the cache: put it at {}",
                path.display()
            )));
        }
        _ => {}
    }
    std::fs::create_dir_all(&options.cache).map_err(|e| io(&options.cache, e))?;

    // Other processes wait here, and then find the file in the cache.
    let _lock = Lock::wait(&path, remote.url, options)?;
    match state(&path, remote)? {
        State::Good => return Ok(path),
        State::Missing => {}
        State::Bad(what) => {
            tracing::warn!("{} {what}: fetching it again", path.display());
            std::fs::remove_file(&path).map_err(|e| io(&path, e))?;
        }
    }

    let partial = with_suffix(&path, ".partial");
    let drop_partial = || {
        remove_if_there(&partial)?;
        remove_if_there(&with_suffix(&partial, ".json"))
    };
    let mut is_second = false;
    loop {
        bring(remote, &partial, options, progress)?;
        let found = hash(&partial)?;
        if let Some(wanted) = remote.sha256
            && !wanted.eq_ignore_ascii_case(&found)
        {
            drop_partial()?;
            return Err(fail(format!(
                "the file has SHA-256 {found}, not {wanted}: it was changed or damaged on the way"
            )));
        }
        match (remote.check)(&partial) {
            Ok(()) => {
                remember(&path, &found)?;
                break;
            }
            Err(what) => {
                drop_partial()?;
                if is_second {
                    return Err(fail(format!("what the server sends is of no use: {what}")));
                }
                tracing::warn!("{}: {what}; fetching it once more", remote.url);
                is_second = true;
            }
        }
    }
    std::fs::rename(&partial, &path).map_err(|e| io(&path, e))?;
    remove_if_there(&with_suffix(&partial, ".json"))?;
    Ok(path)
}

/// Transfers until the partial file is complete, with retries.
fn bring(
    remote: &Remote<'_>,
    partial: &Path,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<()> {
    let fail = |what: String| Error::Failed {
        url: remote.url.to_owned(),
        what,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(partial);
    let mut file = file.map_err(|e| io(partial, e))?;
    let agent = agent(remote.url, options);
    // A transfer of fewer bytes counts as a failed attempt; else a server that sends a byte per second would be tried
    // forever.
    let worthwhile = (options.least_speed as f64 * options.idle.as_secs_f64()) as u64;
    let mut wait = options.backoff;
    let mut attempt = 0;
    loop {
        let had = length(&file, partial)?;
        match transfer(&agent, remote.url, partial, &mut file, options, progress) {
            Ok(()) => break,
            Err(Broken::Final(what)) => return Err(fail(what)),
            Err(Broken::Cache(error)) => return Err(error),
            Err(Broken::Again(what)) => {
                if length(&file, partial)? > had + worthwhile {
                    (attempt, wait) = (0, options.backoff);
                } else {
                    attempt += 1;
                }
                if attempt > options.retries {
                    return Err(fail(format!(
                        "{what}; the next try goes on where this one stopped"
                    )));
                }
                tracing::warn!("{}: {what}; trying again", remote.url);
                std::thread::sleep(wait);
                wait = (wait * 2).min(Duration::from_secs(60));
            }
        }
    }
    file.sync_all().map_err(|e| io(partial, e))
}

/// State of a file in the cache.
enum State {
    Missing,
    /// An unusable file. The text is the reason, a phrase that follows the file name in messages.
    Bad(String),
    Good,
}

/// The word after the checksum in a `.sha256` file that records that the file passed [`Remote::check`].
const CHECKED: &str = "checked";

fn state(path: &Path, remote: &Remote<'_>) -> Result<State> {
    if !path.exists() {
        return Ok(State::Missing);
    }
    let beside = std::fs::read_to_string(with_suffix(path, ".sha256")).unwrap_or_default();
    let mut words = beside.split_whitespace();
    let (known, is_checked) = (words.next(), words.next() == Some(CHECKED));
    let found = hash(path)?;
    if let Some(wanted) = remote.sha256.or(known)
        && !wanted.eq_ignore_ascii_case(&found)
    {
        return Ok(State::Bad("is damaged".to_owned()));
    }
    if !is_checked {
        if let Err(what) = (remote.check)(path) {
            return Ok(State::Bad(format!("is of no use ({what})")));
        }
        // Errors are ignored: a cache that cannot be written can still be read.
        let _ = remember(path, &found);
    }
    Ok(State::Good)
}

/// Writes the `.sha256` file for the file `path`, which passed its check.
fn remember(path: &Path, sha256: &str) -> Result<()> {
    let text = format!("{sha256} {CHECKED}\n");
    files::write_bytes(with_suffix(path, ".sha256"), text.as_bytes()).map_err(|e| io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_cache_are_safe_and_distinct() {
        let a = cache_name("https://a.example/x/net.pkl?token=1");
        let b = cache_name("https://b.example/x/net.pkl?token=1");
        assert!(a.ends_with("-net.pkl") && b.ends_with("-net.pkl") && a != b);
        assert!(!cache_name("http://h/..%2f..\\evil name").contains(['/', '\\', ' ', '%']));
    }
}
