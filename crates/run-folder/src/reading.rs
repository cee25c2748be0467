//! Text files of a run, read with a warning in place of an error.

use std::path::Path;

use files::JsonLines;

/// Bytes of a log or of lists of results: 25,000 ticks have a few MB.
const MAX_TEXT: u64 = 256 << 20;

/// The damage of a log, with the name of its file.
pub(crate) fn damage_of(path: &Path, lines: &JsonLines) -> Option<String> {
    let damage = lines.damage()?;
    Some(format!("'{}': {damage}", path.display()))
}

/// The lines of a file, with no warning when it does not exist.
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

/// The bytes of a text; none, with a warning unless it does not exist, where it cannot be read.
pub(crate) fn read_text(path: &Path, warnings: &mut Vec<String>) -> Vec<u8> {
    files::read_input(path, MAX_TEXT).unwrap_or_else(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            warnings.push(format!("'{}' cannot be read: {error}", path.display()));
        }
        Vec::new()
    })
}
