//! Lists of files: text files with one path a line.

use std::path::{Component, Path, PathBuf};

use archive::names::{CodePage, Speller, decode_path};

use super::{Entry, WalkError, file_entry};

/// Largest size of a list in bytes, enough for ten million paths.
const MAX_BYTES: u64 = 2 << 30;

/// Adds an entry for each file that a list names. Paths are relative to the list's folder; empty lines and lines that
/// start with `#` are skipped. Each source begins with `prefix`.
///
/// Lines are raw bytes, as file names on Unix are. When no such file exists, the line is decoded to text by the rule of
/// [`archive::names`] and tried again, then once more with `/` in place of `\`. A list may be UTF-16 with a byte-order
/// mark.
///
/// # Errors
/// When the list cannot be read.
pub(super) fn add_list(
    list: &Path,
    prefix: &str,
    entries: &mut Vec<Entry>,
) -> Result<(), WalkError> {
    let bytes = files::read_input(list, MAX_BYTES).map_err(|source| WalkError::Open {
        path: list.to_owned(),
        source,
    })?;
    let bytes = files::to_utf8(&bytes);
    let folder = list.parent().unwrap_or(Path::new(""));
    let mut speller = Speller::new(prefix);
    let lines = bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    for line in lines {
        let (path, name) = find(folder, line);
        let source = speller.spell(&name, CodePage::Unknown);
        entries.push(file_entry(path, source));
    }
    Ok(())
}

/// The path of the file that a line names, and its name in raw bytes for [`Entry::source`].
fn find(folder: &Path, line: &[u8]) -> (PathBuf, Vec<u8>) {
    let text = decode_path(line, CodePage::Unknown).into_owned();
    let slashes = text.replace('\\', "/");
    let as_is = raw_path(line);
    let candidates = [as_is.clone(), Some(text.into()), Some(slashes.into())];
    let exists = |path: &PathBuf| folder.join(path).symlink_metadata().is_ok();
    let found = candidates.into_iter().flatten().find(exists);
    let path = found
        .or(as_is)
        .unwrap_or_else(|| String::from_utf8_lossy(line).into_owned().into());
    let name = tidy(&path);
    (folder.join(path), name)
}

#[cfg(unix)]
fn raw_path(line: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(std::ffi::OsStr::from_bytes(line).into())
}

#[cfg(not(unix))]
fn raw_path(line: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(line).ok().map(PathBuf::from)
}

/// The name of a listed file: the parts of its path without drive, leading slash, `.` and `..`, joined by `/`.
fn tidy(path: &Path) -> Vec<u8> {
    let parts: Vec<&[u8]> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(part) => Some(part.as_encoded_bytes()),
            _ => None,
        })
        .collect();
    parts.join(&b'/')
}
