//! Cache folder, mirror and timeouts of downloads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// Options of downloads.
#[derive(Debug, Clone)]
pub struct DownloadOptions {
    /// Folder of the cache.
    pub cache: PathBuf,
    /// URL of a folder from which published files are fetched, instead of from their own servers. See
    /// [`mirrored`](Self::mirrored).
    pub mirror: Option<String>,
    /// Use only files that are in the cache.
    pub offline: bool,
    /// Largest number of retries in a row after transfers that broke off with little or no progress.
    pub retries: u32,
    /// Time to wait before the first retry; the time doubles for each further retry in a row, up to one minute.
    pub backoff: Duration,
    /// A transfer that receives nothing for this long is aborted.
    pub idle: Duration,
    /// Bytes per second, averaged over [`idle`](Self::idle), below which a transfer is aborted.
    pub least_speed: u64,
    /// Largest accepted file, in bytes.
    pub max_bytes: u64,
    /// Longest time that another process may hold the lock of a file without receiving a byte of it.
    pub patience: Duration,
}

impl DownloadOptions {
    /// Default options with this cache folder and without a mirror.
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

    /// Options from the environment: `KAOGAN_CACHE` (else the user's cache folder), `KAOGAN_MIRROR` and
    /// `KAOGAN_OFFLINE=1`. Proxies are taken from `HTTPS_PROXY` and the like.
    ///
    /// # Errors
    /// `NoFolder` when there is no home folder and `KAOGAN_CACHE` is not set.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The URL from which the published file at `url` is fetched: the file of the same name in the folder
    /// [`mirror`](Self::mirror) if a mirror is set, else `url` itself.
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
