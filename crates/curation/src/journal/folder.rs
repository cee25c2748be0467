//! Checks that a folder holds a journal and nothing else, so that no file of the user is overwritten.

use super::checksummed_line::CHECKSUM_FIELD;
use super::records::read_line;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

/// Refuses a folder that holds anything but a journal: the run would overwrite such files, and leave them out of its
/// inputs.
///
/// # Errors
/// `AlreadyExists` naming the file that does not belong to a journal, or the error in reading the folder.
pub(super) fn refuse_others(folder: &Path) -> io::Result<()> {
    let refuse = |path: &Path, what: &str| {
        let text = format!(
            "'{}' {what}: move it away, or choose another --out",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = ["records.jsonl", "blobs.bin", "attempts.jsonl"].contains(&name.as_ref())
            || name.contains(".kaogan-") && name.ends_with(".tmp");
        if !is_ours {
            return refuse(&path, "is no part of a journal");
        }
        if !fs::symlink_metadata(&path)?.is_file() {
            return refuse(&path, "is no ordinary file");
        }
    }
    let lines = folder.join("records.jsonl");
    // With a `blobs.bin` beside it, even a `records.jsonl` without a single valid line is that of a damaged journal.
    if lines.exists() && !folder.join("blobs.bin").exists() && !may_be_ours(&lines)? {
        return refuse(&lines, "is not of a journal");
    }
    Ok(())
}

/// Whether a file may be the `records.jsonl` of a journal: it is empty, contains only zeros (after a power cut), or has
/// a line with a checksum or one that an earlier version wrote.
fn may_be_ours(lines: &Path) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(lines)?);
    let (mut line, mut is_zeros) = (Vec::new(), true);
    while read_line(&mut reader, &mut line)? {
        let has = |text: &[u8]| line.windows(text.len()).any(|found| found == text);
        if has(CHECKSUM_FIELD) || line.starts_with(b"{\"journal\":") {
            return Ok(true);
        }
        is_zeros &= line.iter().all(|&byte| byte == 0);
    }
    Ok(is_zeros)
}
