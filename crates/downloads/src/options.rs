//! Cache folder, mirror and timeouts of downloads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// Options of downloads.
#[derive(Debug, Clone)]
pub struct DownloadOptions {
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Takes the place of the folders of published files on their servers.
    pub mirror: Option<String>,
    /// Use only what the cache has.
    pub offline: bool,
    /// Number of attempts to resume a broken transfer.
    pub retries: u32,
    /// Wait before the first retry; each further one waits twice as long.
    pub backoff: Duration,
    /// A transfer that brings nothing for this long is broken off.
    pub idle: Duration,
    /// Bytes a second, over [`idle`](Self::idle), below which a transfer is broken off.
    pub least_speed: u64,
    /// Bytes beyond which a file is refused.
    pub max_bytes: u64,
    /// Longest time that another process may hold the lock of a file without receiving a byte of it.
    pub patience: Duration,
}

impl DownloadOptions {
    /// Fetches into `cache`, from the servers of the files.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            mirror: None,
            offline: false,
            retries: 3,
            backoff: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            least_speed: 1 << 10,
            max_bytes: 16 << 30,
            patience: Duration::from_secs(600),
        }
    }

    /// The settings of the environment: `KAOGAN_CACHE` (else the user's cache folder), `KAOGAN_MIRROR` and
    /// `KAOGAN_OFFLINE=1`. Proxies are taken from `HTTPS_PROXY` and its relatives.
    ///
    /// # Errors
    /// `Unsupported` when there is no home folder and `KAOGAN_CACHE` is not set.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The address of a published file: in the folder that [`mirror`](Self::mirror) names, else its own.
    pub fn mirrored(&self, url: &str) -> String {
        match (&self.mirror, url.rsplit('/').next()) {
            (Some(mirror), Some(file)) => format!("{}/{file}", mirror.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }

    fn from_lookup(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let under = |name: &str, rest: &str| variable(name).map(|base| Path::new(&base).join(rest));
        let system = if cfg!(windows) {
            under("LOCALAPPDATA", "kaogan")
        } else if cfg!(target_os = "macos") {
            under("HOME", "Library/Caches/kaogan")
        } else {
            under("XDG_CACHE_HOME", "kaogan").or_else(|| under("HOME", ".cache/kaogan"))
        };
        let cache = variable("KAOGAN_CACHE")
            .map(PathBuf::from)
            .or(system)
            .ok_or(Error::NoFolder)?;
        let offline = variable("KAOGAN_OFFLINE").is_some_and(|value| value != "0");
        Ok(Self {
            mirror: variable("KAOGAN_MIRROR"),
            offline,
            ..Self::new(cache)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_environment() {
        let look = |pairs: &'static [(&str, &str)]| {
            DownloadOptions::from_lookup(&move |name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        let set = look(&[
            ("KAOGAN_CACHE", "/c"),
            ("KAOGAN_OFFLINE", "1"),
            ("KAOGAN_MIRROR", "http://m"),
        ])
        .unwrap();
        assert_eq!(
            (set.cache, set.offline, set.mirror.as_deref()),
            (PathBuf::from("/c"), true, Some("http://m"))
        );
        assert!(
            !look(&[("KAOGAN_CACHE", "/c"), ("KAOGAN_OFFLINE", "0")])
                .unwrap()
                .offline
        );
        assert!(look(&[]).is_err());
        #[cfg(target_os = "linux")]
        assert_eq!(
            look(&[("HOME", "/h")]).unwrap().cache,
            PathBuf::from("/h/.cache/kaogan")
        );
    }
}
