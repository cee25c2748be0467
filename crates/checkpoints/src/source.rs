//! Finds the checkpoint that a user names by a path, an address or the name of a pretrained network, and downloads it
//! when needed.

use std::path::{Path, PathBuf};

use architecture::pretrained::{Pretrained, find};
use downloads::{DownloadOptions, DownloadProgress, Remote, cache_name, fetch};

use crate::embedded;
use crate::error::{Error, Result};

/// The place of a checkpoint on this machine: a file, or bytes in this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The path of a file.
    File(PathBuf),
    /// The bytes of a file that is embedded in this program.
    Embedded(&'static [u8]),
}

/// The checkpoint that [`resolve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The place of the checkpoint on this machine.
    pub location: Location,
    /// The entry in the table of pretrained networks, if the user gave the name of a pretrained network.
    pub pretrained: Option<&'static Pretrained>,
}

/// Finds the checkpoint for `source`: the name of a pretrained network (`drawn64`, `ffhq512`, ...), an `http(s)`
/// address or a path. Downloads it to the cache if it is not there yet.
///
/// `options` is called only when a download may be needed; `progress` is called repeatedly during a download.
///
/// # Errors
/// `Download` when it cannot be downloaded; `File` when the path is a special file, such as a pipe; `NotFound` when
/// `source` is none of the three.
pub fn resolve(
    source: impl AsRef<Path>,
    options: impl FnOnce() -> downloads::Result<DownloadOptions>,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Resolved> {
    let path = source.as_ref();
    // Names and addresses are UTF-8 text; a path that is not UTF-8 matches neither.
    let text = path.to_str().unwrap_or_default();
    if let Some(pretrained) = find(text) {
        if let Some(bytes) = embedded::find(pretrained) {
            return Ok(Resolved {
                location: Location::Embedded(bytes),
                pretrained: Some(pretrained),
            });
        }
        let options = options()?;
        let remote = Remote {
            url: &options.mirrored(&pretrained.address()),
            name: pretrained.file,
            sha256: pretrained.sha256,
            check: &is_readable,
        };
        return Ok(Resolved {
            location: Location::File(fetch(&remote, &options, progress)?),
            pretrained: Some(pretrained),
        });
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        let remote = Remote {
            url: text,
            name: &cache_name(text),
            sha256: None,
            check: &is_readable,
        };
        let path = fetch(&remote, &options()?, progress)?;
        return Ok(Resolved {
            location: Location::File(path),
            pretrained: None,
        });
    }
    let path = path.to_owned();
    if path.is_file() {
        return Ok(Resolved {
            location: Location::File(path),
            pretrained: None,
        });
    }
    if path.exists() && !path.is_dir() {
        // The error says what kind of special file this is.
        if let Err(error) = files::open_input(&path) {
            return Err(interop::Error::Io { path, error }.into());
        }
    }
    Err(Error::NotFound(path))
}

/// Checks that a downloaded file can be read as a checkpoint or at least as named tensors. The error is the reason why
/// it is no checkpoint.
fn is_readable(path: &Path) -> std::result::Result<(), String> {
    let data = files::read_input(path, interop::MAX_BYTES).map_err(|e| e.to_string())?;
    let Err(error) = interop::read_checkpoint_bytes(&data, "") else {
        return Ok(());
    };
    match interop::read_tensors_bytes(&data) {
        Ok(_) => Ok(()),
        Err(_) => Err(error.to_string()),
    }
}
