//! Files from the network, kept in a cache.
//!
//! A download goes to `<file>.partial` and takes its name when it is whole. One that was cut off goes on where it
//! stopped, unless the file on the server changed meanwhile (`If-Range`). The SHA-256 of each file lies beside it, so
//! that damage in the cache is noticed before it is used.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Download {
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Takes the place of the folder of preset files on their server.
    pub mirror: Option<String>,
    /// Use only what the cache has.
    pub offline: bool,
    /// How often a broken transfer is taken up again.
    pub retries: u32,
    /// Wait before the first retry; each further one waits twice as long.
    pub backoff: Duration,
}

impl Download {
    /// Fetches into `cache`, from the servers of the files.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            mirror: None,
            offline: false,
            retries: 5,
            backoff: Duration::from_secs(1),
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
            .ok_or_else(|| {
                Error::Unsupported(
                    "no folder for downloads is known: set KAOGAN_CACHE to one".into(),
                )
            })?;
        let offline = variable("KAOGAN_OFFLINE").is_some_and(|value| value != "0");
        Ok(Self {
            mirror: variable("KAOGAN_MIRROR"),
            offline,
            ..Self::new(cache)
        })
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of the whole file, when the server tells.
    pub total: Option<u64>,
}

/// The name in the cache of a URL that is no preset: its last part behind a hash of the whole.
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
    format!("{}-{last}", &crate::file::sha256(url.as_bytes())[..12])
}

/// The file of `url` in the cache under `name`, fetched first when it is not there.
///
/// With `sha256` the contents must match it; without, later uses must match the first download.
///
/// # Errors
/// `Download` when the server refuses, the connection keeps breaking, the checksum is wrong, or the file is missing and
/// `offline` is set; `Cache` when the cache cannot be read or written.
pub fn fetch(
    url: &str,
    name: &str,
    sha256: Option<&str>,
    options: &Download,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let fail = |what: String| Error::Download {
        url: url.to_owned(),
        what,
    };
    let path = options.cache.join(name);
    if path.exists() {
        match verify(&path, sha256)? {
            true => return Ok(path),
            false if options.offline => {
                return Err(fail(format!(
                    "{} is damaged and KAOGAN_OFFLINE is set: fetch it again without it",
                    path.display()
                )));
            }
            false => tracing::warn!("{} is damaged: fetching it again", path.display()),
        }
    }
    if options.offline {
        return Err(fail(format!(
            "KAOGAN_OFFLINE is set and the file is not in the cache: put it at {}",
            path.display()
        )));
    }
    std::fs::create_dir_all(&options.cache).map_err(|e| io(&options.cache, e))?;

    // One process at a time: others wait here, and find the file when they go on.
    let open = |path: &Path| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        file.map_err(|e| io(path, e))
    };
    let lock_path = with_suffix(&path, ".lock");
    let lock = open(&lock_path)?;
    lock.lock().map_err(|e| io(&lock_path, e))?;
    if path.exists() && verify(&path, sha256)? {
        return Ok(path);
    }

    let partial = with_suffix(&path, ".partial");
    let mut file = open(&partial)?;
    let agent = agent(url);
    let mut wait = options.backoff;
    let mut attempt = 0;
    loop {
        let had = length(&file, &partial)?;
        match transfer(&agent, url, &partial, &mut file, progress) {
            Ok(()) => break,
            Err(Broken::Final(what)) => return Err(fail(what)),
            Err(Broken::Cache(error)) => return Err(error),
            Err(Broken::Again(what)) => {
                // A transfer that brought something does not count as a failure.
                attempt = if length(&file, &partial)? > had {
                    0
                } else {
                    attempt + 1
                };
                if attempt > options.retries {
                    return Err(fail(format!(
                        "{what}; the next try goes on where this one stopped"
                    )));
                }
                tracing::warn!("{url}: {what}; trying again");
                std::thread::sleep(wait);
                wait = (wait * 2).min(Duration::from_secs(60));
            }
        }
    }

    file.sync_all().map_err(|e| io(&partial, e))?;
    let found = hash(&partial)?;
    if sha256.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&found)) {
        let wanted = sha256.unwrap_or_default();
        std::fs::remove_file(&partial).map_err(|e| io(&partial, e))?;
        remove_if_there(&with_suffix(&path, ".partial.json"))?;
        return Err(fail(format!(
            "the file has SHA-256 {found}, not {wanted}: it was changed or damaged on the way"
        )));
    }
    files::write_bytes(
        with_suffix(&path, ".sha256"),
        format!("{found}\n").as_bytes(),
    )
    .map_err(|e| io(&path, e))?;
    std::fs::rename(&partial, &path).map_err(|e| io(&path, e))?;
    remove_if_there(&with_suffix(&path, ".partial.json"))?;
    Ok(path)
}

/// What a partial file is a part of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Origin {
    url: String,
    /// `ETag` or `Last-Modified`.
    validator: String,
}

enum Broken {
    /// Worth another try.
    Again(String),
    /// The server will not change its mind.
    Final(String),
    /// Not the network's fault.
    Cache(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

fn agent(url: &str) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .user_agent(concat!("kaogan/", env!("CARGO_PKG_VERSION")));
    // A mirror on this machine is not behind a proxy.
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|host| url.starts_with(host));
    let config = if local { config.proxy(None) } else { config };
    config.build().into()
}

/// One request; brings as much of the file as it can.
fn transfer(
    agent: &ureq::Agent,
    url: &str,
    partial: &Path,
    file: &mut File,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Broken> {
    let origin_path = with_suffix(partial, ".json");
    let origin: Option<Origin> = std::fs::read(&origin_path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let had = length(file, partial)?;
    let resumable = origin.filter(|origin| had > 0 && origin.url == url);
    let mut request = agent.get(url).header("Accept-Encoding", "identity");
    if let Some(origin) = &resumable {
        request = request
            .header("Range", format!("bytes={had}-"))
            .header("If-Range", &origin.validator);
    }
    let response = request.call().map_err(|e| match e {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => Broken::Final(e.to_string()),
        _ => Broken::Again(e.to_string()),
    })?;
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };

    let start = match response.status().as_u16() {
        206 => {
            // bytes 100-199/200
            let range = header("content-range").unwrap_or_default();
            let start = range
                .strip_prefix("bytes ")
                .and_then(|r| r.split('-').next()?.parse::<u64>().ok());
            if resumable.is_none() || start != Some(had) {
                file.set_len(0).map_err(|e| io(partial, e))?;
                return Err(Broken::Again(format!(
                    "the server sent another part of the file ({range})"
                )));
            }
            had
        }
        200 => 0,
        416 => {
            file.set_len(0).map_err(|e| io(partial, e))?;
            return Err(Broken::Again(
                "the part that is here does not fit the file on the server".into(),
            ));
        }
        status @ (408 | 425 | 429 | 500..=599) => {
            return Err(Broken::Again(format!("the server answers {status}")));
        }
        status @ (401 | 403) => {
            return Err(Broken::Final(format!(
                "the server answers {status}: the file needs a login or is not public"
            )));
        }
        404 => {
            return Err(Broken::Final(
                "the server has no such file (404): check the address or KAOGAN_MIRROR".into(),
            ));
        }
        status => return Err(Broken::Final(format!("the server answers {status}"))),
    };
    let body = header("content-length").and_then(|n| n.parse::<u64>().ok());
    let total = body.map(|n| start + n);
    if start == 0 {
        file.set_len(0).map_err(|e| io(partial, e))?;
        // Weak validators do not promise the same bytes.
        let strong = header("etag").filter(|tag| !tag.starts_with("W/"));
        match strong.or_else(|| header("last-modified")) {
            Some(validator) => {
                let origin = Origin {
                    url: url.to_owned(),
                    validator,
                };
                let json = serde_json::to_vec(&origin).map_err(Error::from)?;
                files::write_bytes(&origin_path, &json).map_err(Error::Write)?;
            }
            None => remove_if_there(&origin_path)?,
        }
    }

    file.seek(SeekFrom::Start(start))
        .map_err(|e| io(partial, e))?;
    let mut reader = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 17];
    let mut done = start;
    progress(Progress { done, total });
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(|e| io(partial, e))?;
                done += n as u64;
                progress(Progress { done, total });
            }
            Err(e) => {
                return Err(Broken::Again(format!(
                    "the connection broke after {done} bytes ({e})"
                )));
            }
        }
    }
    match total {
        Some(total) if done != total => Err(Broken::Again(format!(
            "the connection ended after {done} of {total} bytes"
        ))),
        _ => Ok(()),
    }
}

/// Whether a file in the cache is whole: against `sha256`, else against the checksum beside it, else by being there.
fn verify(path: &Path, sha256: Option<&str>) -> Result<bool> {
    let beside = std::fs::read_to_string(with_suffix(path, ".sha256")).ok();
    match sha256.or(beside.as_deref().map(str::trim)) {
        Some(wanted) => Ok(wanted.eq_ignore_ascii_case(&hash(path)?)),
        None => Ok(true),
    }
}

fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| io(path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer).map_err(|e| io(path, e))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(|e| io(path, e))?.len())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(path, e)),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn io(path: &Path, error: std::io::Error) -> Error {
    Error::Cache {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_environment() {
        let look = |pairs: &'static [(&str, &str)]| {
            Download::from_lookup(&move |name| {
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

    #[test]
    fn names_in_the_cache_are_safe_and_distinct() {
        let a = cache_name("https://a.example/x/net.pkl?token=1");
        let b = cache_name("https://b.example/x/net.pkl?token=1");
        assert!(a.ends_with("-net.pkl") && b.ends_with("-net.pkl") && a != b);
        assert!(!cache_name("http://h/..%2f..\\evil name").contains(['/', '\\', ' ', '%']));
    }
}
