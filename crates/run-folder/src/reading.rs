//! Text files of a run; errors become warnings.

use std::path::Path;

use files::JsonLines;

/// Most bytes of a log or list of results that are read; 25,000 ticks have a few MB.
const MAX_TEXT: u64 = 256 << 20;

/// A description of the damaged lines of a file; `None` without damage.
pub(crate) fn damage_of(path: &Path, lines: &JsonLines) -> Option<String> {
    let damage = lines.damage()?;
    Some(format!("'{}': {damage}", path.display()))
}

/// The lines of a file; none where it cannot be read, with a warning unless it does not exist.
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

/// The bytes of a file; none where it cannot be read, with a warning unless it does not exist.
pub(crate) fn read_text(path: &Path, warnings: &mut Vec<String>) -> Vec<u8> {
    files::read_input(path, MAX_TEXT).unwrap_or_else(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            warnings.push(format!("'{}' cannot be read: {error}", path.display()));
        }
        Vec::new()
    })
}
