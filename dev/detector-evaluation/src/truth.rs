//! True face boxes of a set of images.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The true faces of one image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// One box `[x0, y0, x1, y1]` per face, in pixels of the image.
    pub faces: Vec<[f32; 4]>,
    /// Boxes `[x0, y0, x1, y1]` in pixels inside which an unmatched detection is not counted as wrong.
    #[serde(default)]
    pub ignore: Vec<[f32; 4]>,
}

/// Largest number of bytes read of a file; a longer file is cut here and then fails to parse.
const MAX_BYTES: u64 = 1 << 28;

/// The reason why a file of true boxes could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not JSON of the expected form.
    #[error("{}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
}

/// Reads a `boxes.json` file: a JSON object that maps each image's file name to its [`Truth`].
///
/// # Errors
/// [`TruthError`] names the file and, when the JSON is wrong, the line and column.
pub fn load_truth(path: &Path) -> Result<BTreeMap<String, Truth>, TruthError> {
    let read = || {
        let mut bytes = Vec::new();
        let file = files::open_input(path)?;
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|source| TruthError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| TruthError::Parse {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_files_are_read_and_mistakes_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.json");
        std::fs::write(
            &path,
            r#"{"a.png": {"width": 9, "height": 8, "faces": [[1, 2, 3, 4.5]], "ignore": []}}"#,
        )
        .unwrap();
        let truth = load_truth(&path).unwrap();
        assert_eq!(truth["a.png"].faces, [[1.0, 2.0, 3.0, 4.5]]);
        std::fs::write(&path, r#"{"a.png": {"width": 9}}"#).unwrap();
        let TruthError::Parse { source, .. } = load_truth(&path).unwrap_err() else {
            panic!("a file that is there can be read");
        };
        assert!(source.to_string().contains("height"));
    }
}
