//! The exclusion list: files and images that are never kept, by SHA-256 or by perceptual hash.

use dedup::ImageHash;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Largest size of a list in bytes, enough for ten million lines.
const MAX_BYTES: u64 = 1 << 30;

/// Largest Hamming distance, of 64 bits, at which a perceptual hash on the list excludes an image.
const NEAR: u32 = 4;

/// Hashes of files and images that are never kept, each with a reason.
///
/// The file has one entry a line: a key, a tab and the reason. A key `sha256:<64 hex digits>` excludes a file; a key
/// `phash:<16 hex digits>` excludes the images whose perceptual hash, plain or mirrored, differs in at most 4 bits, and
/// so re-encoded and mirrored copies too. Empty lines and lines that start with `#` are skipped.
#[derive(Clone, Debug, Default)]
pub struct ExcludeList {
    contents: HashMap<String, String>,
    hashes: Vec<(u64, String)>,
}

/// Why an exclusion list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExcludeError {
    /// The file cannot be read.
    #[error("cannot read exclusion list '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line is not an entry of a list.
    #[error("exclusion list '{}' line {line}: expected 'sha256:HEX<tab>reason' or 'phash:HEX<tab>reason'", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
    },
}

impl ExcludeList {
    /// Reads a list from a file.
    ///
    /// # Errors
    /// [`ExcludeError`] naming the file and, for a malformed line, its number.
    pub fn read(path: &Path) -> Result<Self, ExcludeError> {
        let text =
            files::read_input_text(path, MAX_BYTES).map_err(|source| ExcludeError::Read {
                path: path.to_owned(),
                source,
            })?;
        let mut list = Self::default();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            list.add(line).ok_or_else(|| ExcludeError::Line {
                path: path.to_owned(),
                line: i + 1,
            })?;
        }
        Ok(list)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (key, reason) = line.split_once('\t').unwrap_or((line, ""));
        let reason = reason.trim().to_owned();
        let (kind, hex) = key.trim().split_once(':')?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        match (kind, hex.len()) {
            ("sha256", 64) => {
                self.contents.insert(hex.to_ascii_lowercase(), reason);
            }
            ("phash", 16) => self
                .hashes
                .push((u64::from_str_radix(hex, 16).ok()?, reason)),
            _ => return None,
        }
        Some(())
    }

    /// The reason on the list for a file with this SHA-256 (hexadecimal, lower case); `None` when it is not listed.
    pub fn content(&self, sha256: &str) -> Option<&str> {
        self.contents.get(sha256).map(String::as_str)
    }

    /// The reason on the list for an image with this perceptual hash; `None` when no listed hash is near, or when the
    /// image has too little content for a meaningful hash.
    pub fn similar(&self, hash: &ImageHash) -> Option<&str> {
        if hash.is_low_information() {
            return None;
        }
        let is_near = |listed: u64| {
            (listed ^ hash.plain).count_ones() <= NEAR
                || (listed ^ hash.mirrored).count_ones() <= NEAR
        };
        self.hashes
            .iter()
            .find(|(listed, _)| is_near(*listed))
            .map(|(_, reason)| reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_wrong_lines_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sha = "ab".repeat(32);
        std::fs::write(
            file.path(),
            format!(
                "# mine\nsha256:{}\tAI made\nphash:00000000000000ff\n",
                sha.to_uppercase()
            ),
        )
        .unwrap();
        let list = ExcludeList::read(file.path()).unwrap();
        assert_eq!(list.content(&sha), Some("AI made"));
        assert_eq!(list.content("00"), None);
        std::fs::write(file.path(), "phash:ff\tx\n").unwrap();
        assert!(
            ExcludeList::read(file.path())
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }
}
