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
    /// The faces, `[x0, y0, x1, y1]` in pixels.
    pub faces: Vec<[f32; 4]>,
    /// Regions where a detection is neither correct nor wrong.
    #[serde(default)]
    pub ignore: Vec<[f32; 4]>,
}

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 28;

/// Why a file of true boxes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not JSON of the expected form.
    #[error("{}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The position and the mistake.
        source: serde_json::Error,
    },
}

/// Reads `boxes.json`, a map from file name to [`Truth`].
///
/// # Errors
/// [`TruthError`] names the file and, where there is one, the position of the mistake.
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
