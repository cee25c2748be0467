//! Errors of the operating system with the path that they belong to.

use std::io;
use std::path::Path;

/// An error of the same kind with the message `what 'path': error`.
pub(crate) fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{what} '{}': {error}", path.display()),
    )
}
