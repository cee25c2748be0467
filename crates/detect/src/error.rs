//! Errors of face detectors.

use std::path::{Path, PathBuf};

use files::ForeignContent;

/// An error of loading or running a detector.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// This text is not the name of a detector.
    #[error(
        "unknown detector {0:?}: use embedded, cascade:FILE.xml, onnx:FILE.onnx, boxes:FILE.jsonl or none"
    )]
    UnknownSpec(String),
    /// The weights for the embedded detector's network are unreadable or do not fit it; the message says why.
    #[error("the embedded detector's weights: {0}")]
    Embedded(String),
    /// The file of a detector could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content of a file is not a usable model.
    #[error("{}: {message}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The problem, and in some cases what to do.
        message: String,
    },
    /// A line of a box file (`boxes:FILE.jsonl`) is invalid.
    #[error("{} line {line}: {message}", path.display())]
    Boxes {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The problem.
        message: String,
    },
    /// The detector failed on an image.
    #[error("{detector} failed on {image}: {message}")]
    Run {
        /// Name of the detector.
        detector: String,
        /// Name of the image.
        image: String,
        /// The problem.
        message: String,
    },
}

impl DetectError {
    /// Makes a [`DetectError::Model`] for `path`.
    pub(crate) fn model(path: &Path, message: impl std::fmt::Display) -> Self {
        Self::Model {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }

    /// Reads a model file of at most `limit` bytes; refuses what failed downloads leave instead of it, such as web
    /// pages.
    pub(crate) fn read_model(path: &Path, limit: u64) -> Result<Vec<u8>, Self> {
        let bytes = Self::read_limited(path, limit)?;
        match ForeignContent::of(&bytes) {
            Some(foreign) => Err(Self::model(path, foreign)),
            None => Ok(bytes),
        }
    }

    /// Reads a whole file; a larger one than `limit` bytes is a [`DetectError::Model`].
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
