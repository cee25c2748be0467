//! Lists of files: one path a line.

use std::path::{Component, Path, PathBuf};

use archive::names::{CodePage, Speller, decode_path};

use super::{Entry, WalkError, file_entry};

/// Bytes of a list: ten million paths.
const MAX_BYTES: u64 = 2 << 30;

/// Adds the files that a list names, relative to its folder. Empty lines and lines that start with `#` are skipped.
///
/// Lines are raw bytes, as names on disk are; a line in another encoding, or with `\` between folders, is also looked
/// for as its text. A list may be UTF-16 with a byte-order mark.
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

/// The file of a line, and its name below the list's folder.
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

/// A path of a list as a name: no drive, no leading slash, no dots.
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
