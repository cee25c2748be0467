use std::path::{Path, PathBuf};

use files::ForeignContent;

/// Error of loading or running a detector.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The text is not the name of a detector.
    #[error(
        "unknown detector {0:?}: use embedded, cascade:FILE.xml, onnx:FILE.onnx, boxes:FILE.jsonl or none"
    )]
    UnknownSpec(String),
    /// The weights of the embedded detector do not fit its network.
    #[error("the embedded detector's weights: {0}")]
    Embedded(String),
    /// The file of a detector could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The content of the file is not a usable model.
    #[error("{}: {message}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The problem, and what to do where that helps.
        message: String,
    },
    /// A line of a box file is not a record of boxes.
    #[error("{} line {line}: {message}", path.display())]
    Boxes {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The problem.
        message: String,
    },
    /// The model ran and failed on an image.
    #[error("{detector} failed on {image}: {message}")]
    Run {
        /// The detector's name.
        detector: String,
        /// The image's name.
        image: String,
        /// The error.
        message: String,
    },
}

impl DetectError {
    /// A [`DetectError::Model`] for `path`.
    pub(crate) fn model(path: &Path, message: impl std::fmt::Display) -> Self {
        Self::Model {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }

    /// Reads a model as [`read_limited`](Self::read_limited); files of other kinds that failed downloads leave are
    /// refused.
    pub(crate) fn read_model(path: &Path, limit: u64) -> Result<Vec<u8>, Self> {
        let bytes = Self::read_limited(path, limit)?;
        match ForeignContent::of(&bytes) {
            Some(foreign) => Err(Self::model(path, foreign)),
            None => Ok(bytes),
        }
    }

    /// Reads a whole file of at most `limit` bytes.
    pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Self> {
        use std::io::Read;
        let fail = |source| Self::Read {
            path: path.to_owned(),
            source,
        };
        let file = files::open_input(path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > limit {
            return Err(Self::model(
                path,
                format_args!("larger than {} MiB, which no face model is", limit >> 20),
            ));
        }
        Ok(bytes)
    }
}
