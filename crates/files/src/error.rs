//! Errors of the system with the path they belong to.

use std::io;
use std::path::Path;

/// `what 'path': error`, of the same kind.
pub(crate) fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{what} '{}': {error}", path.display()),
    )
}
