//! Appends results of several programs to one file of JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::named;
use crate::inputs::open_input;
use crate::json_lines::JsonLines;

/// Appends `line`, a JSON object, to a file of JSON lines and syncs it, unless `is_same` is true for an object in the
/// file. Returns whether the line was added.
///
/// Programs that append to the same file at the same time take turns. Remains of a killed program or a power cut are
/// removed first: bytes that were never written (zeros), with the damaged lines around them, and a last line that was
/// cut off.
///
/// # Errors
/// When the file is an input ([`protect_input`](crate::protect_input)), cannot be read or written, or holds something
/// else than JSON lines; it is then unchanged.
pub fn append_json_line(
    path: &Path,
    line: &Value,
    is_same: &dyn Fn(&Map<String, Value>) -> bool,
) -> io::Result<bool> {
    crate::check_output(path)?;
    append(path, line, is_same).map_err(|e| named("cannot append to", path, &e))
}

fn append(
    path: &Path,
    line: &Value,
    is_same: &dyn Fn(&Map<String, Value>) -> bool,
) -> io::Result<bool> {
    if path.exists() {
        drop(open_input(path)?);
    }
    let mut file = open_locked(path)?;
    let mut old = Vec::new();
    file.read_to_end(&mut old)?;
    // Editors of Windows put a byte-order mark in front.
    let text = old.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&old);
    let first = text
        .iter()
        .find(|byte| !byte.is_ascii_whitespace() && **byte != 0);
    if first.is_some_and(|&byte| byte != b'{') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it holds something else than JSON lines: name another file",
        ));
    }
    if JsonLines::parse(&old)
        .records
        .iter()
        .any(|(_, object)| is_same(object))
    {
        return Ok(false);
    }
    let mut text = whole_lines(&old);
    let is_whole = text == old;
    let start = text.len();
    if text.last().is_some_and(|&byte| byte != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("{line}\n").as_bytes());
    if is_whole {
        let appended = file
            .write_all(&text[start..])
            .and_then(|()| file.sync_data());
        if appended.is_err() {
            // Half a line would spoil those after it.
            let _ = file.set_len(old.len() as u64);
        }
        appended?;
    } else {
        // Systems other than Unix cannot replace an open file.
        #[cfg(not(unix))]
        drop(file);
        // A symbolic link is kept: the file that it leads to is replaced.
        crate::write_bytes(std::fs::canonicalize(path)?, &text)?;
    }
    Ok(true)
}

/// Opens the file and waits for its lock. If the program that held the lock has replaced the file meanwhile, the new
/// file is opened.
fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        // Not every file system has locks; without them, two programs that append at once may disturb each other.
        let is_locked = file.lock().is_ok();
        if !is_locked || is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Whether a path still leads to this open file, not to another one that replaced it.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Returns the content of a file without what a crash left in it. Of a line with zero bytes, which stand for blocks
/// that were never written, only the whole objects are kept; an unfinished object at the end of the file is left out.
///
/// [`JsonLines`] decides whether an object is whole.
fn whole_lines(bytes: &[u8]) -> Vec<u8> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let is_whole = |line: &[u8]| {
        let lines = JsonLines::parse(line);
        !lines.records.is_empty() && lines.damaged.is_empty()
    };
    let mut whole = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(is_end) {
        if line.contains(&0) {
            for piece in line
                .split(|&byte| byte == 0)
                .filter(|piece| is_whole(piece))
            {
                whole.extend_from_slice(piece);
                if !piece.last().is_some_and(is_end) {
                    whole.push(b'\n');
                }
            }
            continue;
        }
        let is_unfinished = !line.last().is_some_and(is_end);
        let content = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if !is_unfinished || !content.trim_ascii_start().starts_with(b"{") || is_whole(line) {
            whole.extend_from_slice(line);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn add(path: &Path, n: u64) -> io::Result<bool> {
        append_json_line(path, &json!({"n": n}), &|old| old["n"] == n)
    }

    #[test]
    fn a_result_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric.jsonl");
        assert!(add(&path, 1).unwrap() && add(&path, 2).unwrap());
        assert!(!add(&path, 1).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric.jsonl");
        for (old, kept) in [
            (&b"{\"n\":1}\n{\"n\": 2, \"x"[..], "{\"n\":1}\n"),
            (
                b"{\"n\":1}\n{\"n\":\0\0\0\0\n{\"n\":4}\n",
                "{\"n\":1}\n{\"n\":4}\n",
            ),
            (b"{\"n\":1}\n\0\0\0\0\0\0", "{\"n\":1}\n"),
            (b"\0\0{\"n\":1}\n", "{\"n\":1}\n"),
            // Whole, only without a line end.
            (b"{\"n\":1}", "{\"n\":1}\n"),
            (b"{\"n\":1}{\"n\":2}", "{\"n\":1}{\"n\":2}\n"),
            (b"{\"n\":1}\r{\"n\":2}\r{\"n", "{\"n\":1}\r{\"n\":2}\r\n"),
            // As Python writes it.
            (b"{\"n\":NaN}", "{\"n\":NaN}\n"),
            (b"\0\0{\"n\":NaN}\n", "{\"n\":NaN}\n"),
            // The line end was in the unwritten block.
            (b"{\"n\":1}\0\0{\"n\":2}\n", "{\"n\":1}\n{\"n\":2}\n"),
            // A note by hand stays.
            (b"{\"n\":1}\n# note\n", "{\"n\":1}\n# note\n"),
            (b"{\"n\":1}\n# note", "{\"n\":1}\n# note\n"),
            // A byte-order mark.
            (b"\xef\xbb\xbf{\"n\":1}\r\n{\"n\":", "\u{feff}{\"n\":1}\r\n"),
            (b"\xef\xbb\xbf{\"n\":1}", "\u{feff}{\"n\":1}\n"),
            (b"\xef\xbb\xbf", "\u{feff}\n"),
            (b"", ""),
        ] {
            fs::write(&path, old).unwrap();
            assert!(add(&path, 3).unwrap());
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(
                text,
                format!("{kept}{{\"n\":3}}\n"),
                "{}",
                old.escape_ascii()
            );
        }
    }

    #[test]
    fn a_file_of_another_kind_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot.safetensors");
        fs::write(&path, [8, 0, 0, 0]).unwrap();
        let error = add(&path, 1).unwrap_err().to_string();
        assert!(
            error.contains("snapshot.safetensors") && error.contains("JSON lines"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), [8, 0, 0, 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (
            folder.path().join("far.jsonl"),
            folder.path().join("metric.jsonl"),
        );
        // Because of the cut line, the whole file is written again.
        fs::write(&file, "{\"n\":1}\n{\"n\":").unwrap();
        std::os::unix::fs::symlink("far.jsonl", &link).unwrap();
        assert!(add(&link, 2).unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn programs_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric.jsonl");
        // Every program finds damage, which the first one removes.
        fs::write(&path, "{\"n\":").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|n| _ = add(&path, n).unwrap()));
            }
        });
        let lines = JsonLines::read(&path).unwrap();
        assert_eq!(lines.damaged, Vec::<usize>::new());
        let mut numbers: Vec<u64> = lines
            .records
            .iter()
            .map(|(_, v)| v["n"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..25).collect::<Vec<_>>());
    }
}
