//! Downloads files and keeps them in a cache folder.
//!
//! [`fetch`] returns the path of a file in the cache and downloads it first when it is not there. A download is written
//! to `<file>.partial`, which is renamed when it is complete and passes the caller's check. A download that was cut off
//! is resumed, unless the file on the server has changed meanwhile (`If-Range`). The SHA-256 of each file is kept
//! beside it, so that damage in the cache is noticed before the file is used. [`DownloadOptions::from_env`] reads
//! `KAOGAN_CACHE`, `KAOGAN_MIRROR` and `KAOGAN_OFFLINE`.
//!
//! ```
//! use downloads::{DownloadOptions, Remote, fetch};
//!
//! let folder = std::env::temp_dir().join("a-folder-that-is-not-there");
//! let mut options = DownloadOptions::new(folder);
//! options.offline = true;
//! let url = "https://example.org/network.pkl";
//! let remote = Remote { url, name: &downloads::cache_name(url), sha256: None, check: &|_| Ok(()) };
//! let error = fetch(&remote, &options, &mut |_| {}).unwrap_err();
//! assert!(error.to_string().contains("KAOGAN_OFFLINE"));
//! ```

mod disk;
mod error;
mod fetch;
mod lock;
mod options;
mod transfer;

pub use error::{Error, Result};
pub use fetch::{Remote, cache_name, fetch};
pub use options::DownloadOptions;
pub use transfer::DownloadProgress;
