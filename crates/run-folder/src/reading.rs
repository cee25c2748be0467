//! Reads text files of a run. Errors become warnings.

use std::path::Path;

use files::JsonLines;

/// Largest number of bytes read from a log or a result file; a log of 25,000 ticks has a few MB.
const MAX_TEXT: u64 = 256 << 20;

/// A message about the damaged lines of the file `path`; `None` without damage.
pub(crate) fn damage_of(path: &Path, lines: &JsonLines) -> Option<String> {
    let damage = lines.damage()?;
    Some(format!("'{}': {damage}", path.display()))
}

/// The JSON lines of a file. Empty when it cannot be read, with a warning unless it does not exist.
pub(crate) fn read_lines(path: &Path, warnings: &mut Vec<String>) -> JsonLines {
    match JsonLines::read(path) {
        Ok(lines) => lines,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                warnings.push(format!("'{}' cannot be read: {error}", path.display()));
            }
            JsonLines::default()
        }
    }
}

/// The bytes of a file. Empty when it cannot be read, with a warning unless it does not exist.
pub(crate) fn read_text(path: &Path, warnings: &mut Vec<String>) -> Vec<u8> {
    files::read_input(path, MAX_TEXT).unwrap_or_else(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            warnings.push(format!("'{}' cannot be read: {error}", path.display()));
        }
        Vec::new()
    })
}
