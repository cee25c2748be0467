//! Transfers as much of a file as one HTTP request brings.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::disk::{io, length, remove_if_there, with_suffix};
use crate::error::Error;
use crate::options::DownloadOptions;

/// Progress of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Number of bytes received so far, including those of earlier attempts.
    pub done: u64,
    /// Number of bytes of the whole file, if the server gives it.
    pub total: Option<u64>,
}

/// The remote file that a partial file belongs to, stored as JSON beside the partial file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    url: String,
    /// Value of the `ETag` or `Last-Modified` header, which identifies the version of the file.
    validator: String,
}

pub(crate) enum Broken {
    /// A failure after which another try may succeed.
    Again(String),
    /// A failure that another try would repeat.
    Final(String),
    /// The cache failed, not the network.
    Cache(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

pub(crate) fn agent(url: &str, options: &DownloadOptions) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(options.idle))
        .user_agent(concat!("kaogan/", env!("CARGO_PKG_VERSION")));
    // A mirror on this machine is not behind a proxy.
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|host| url.starts_with(host));
    let config = if local { config.proxy(None) } else { config };
    config.build().into()
}

/// Sends one request and writes the response to the partial file. If the server still has the version of the file from
/// which the partial file began, requests only the missing rest and appends it; otherwise starts anew.
pub(crate) fn transfer(
    agent: &ureq::Agent,
    url: &str,
    partial: &Path,
    file: &mut File,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(DownloadProgress),
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
            // The header has the form `bytes 100-199/200`.
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
    let total = body.map(|n| start.saturating_add(n));
    if total.is_some_and(|total| total > options.max_bytes) {
        return Err(too_large(partial, options));
    }
    if start == 0 {
        file.set_len(0).map_err(|e| io(partial, e))?;
        // Weak `ETag`s do not promise the same bytes.
        let strong = header("etag").filter(|tag| !tag.starts_with("W/"));
        match strong.or_else(|| header("last-modified")) {
            Some(validator) => {
                let origin = Origin {
                    url: url.to_owned(),
                    validator,
                };
                let json = serde_json::to_vec(&origin).map_err(|e| io(&origin_path, e.into()))?;
                files::write_bytes(&origin_path, &json).map_err(|e| io(&origin_path, e))?;
            }
            None => remove_if_there(&origin_path)?,
        }
    }

    file.seek(SeekFrom::Start(start))
        .map_err(|e| io(partial, e))?;
    let mut reader = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 17];
    let mut done = start;
    let mut pace = Pace::new(options);
    progress(DownloadProgress { done, total });
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(|e| io(partial, e))?;
                done += n as u64;
                progress(DownloadProgress { done, total });
                if done > options.max_bytes {
                    return Err(too_large(partial, options));
                }
                pace.add(n)?;
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

/// Deletes the partial file of a file that is larger than allowed, and returns the error.
fn too_large(partial: &Path, options: &DownloadOptions) -> Broken {
    let _ = std::fs::remove_file(partial);
    let _ = std::fs::remove_file(with_suffix(partial, ".json"));
    Broken::Final(format!(
        "the file is larger than {} GiB: this is no checkpoint",
        options.max_bytes >> 30
    ))
}

/// Measures the speed of a transfer over successive periods of [`DownloadOptions::idle`], to abort slow transfers.
struct Pace {
    idle: Duration,
    least_speed: u64,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(options: &DownloadOptions) -> Self {
        Self {
            idle: options.idle,
            least_speed: options.least_speed,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn add(&mut self, n: usize) -> Result<(), Broken> {
        self.bytes += n as u64;
        let passed = self.since.elapsed();
        if passed < self.idle {
            return Ok(());
        }
        if (self.bytes as f64) < self.least_speed as f64 * passed.as_secs_f64() {
            return Err(Broken::Again(format!(
                "only {} bytes came in {:.0} s",
                self.bytes,
                passed.as_secs_f64()
            )));
        }
        self.since = Instant::now();
        self.bytes = 0;
        Ok(())
    }
}
