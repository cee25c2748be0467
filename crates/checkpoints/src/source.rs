//! From what a user types to the bytes of a checkpoint on this machine.

use std::path::{Path, PathBuf};

use architecture::pretrained::{Pretrained, find};
use downloads::{DownloadOptions, DownloadProgress, Remote, cache_name, fetch};

use crate::embedded;
use crate::error::{Error, Result};

/// Where a checkpoint is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// Inside this program.
    Embedded(&'static [u8]),
}

/// A checkpoint on this machine for what a user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its place.
    pub location: Location,
    /// The network with a name that it is.
    pub pretrained: Option<&'static Pretrained>,
}

/// Turns the name of a network (`drawn64`, `ffhq512`, ...), an `http(s)` address or a path into a checkpoint on this
/// machine, fetching it when needed.
///
/// `options` is called only when a download may be needed.
///
/// # Errors
/// `Download` when it cannot be downloaded, `NotFound` for a source that is none of the three.
pub fn resolve(
    source: impl AsRef<Path>,
    options: impl FnOnce() -> downloads::Result<DownloadOptions>,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Resolved> {
    let path = source.as_ref();
    // Names and addresses are text; a path need not be.
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
        // The error says what is in place of a file.
        if let Err(error) = files::open_input(&path) {
            return Err(interop::Error::Io { path, error }.into());
        }
    }
    Err(Error::NotFound(path))
}

/// Checks that a downloaded file has networks or at least named tensors, without damage.
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
