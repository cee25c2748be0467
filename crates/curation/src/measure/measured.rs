//! The measurements of one input before they are stored, with the bytes of thumbs and crops beside them.

use crate::inputs::InputError;
use crate::record::{Blob, ImageRecord, Outcome, Reason};
use serde::{Deserialize, Serialize};
use std::io;

/// The measurements of one input. The record refers to its blobs by their index.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// SHA-256 of the file in hexadecimal, empty when it was not read.
    pub sha256: String,
    /// Bytes of the thumbs (RGB pixels) and crops (PNG files).
    #[serde(skip)]
    pub blobs: Vec<Vec<u8>>,
    result: Measurement,
}

/// Index into [`Measured::blobs`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlobIndex(usize);

#[derive(Serialize, Deserialize)]
enum Measurement {
    Failed(Reason, String),
    /// The input needs more memory than this run may use; the text says how much.
    OutOfMemory(String),
    Image(Box<ImageRecord<BlobIndex>>),
}

impl BlobIndex {
    /// Appends bytes to `blobs` and returns their index.
    pub fn push(blobs: &mut Vec<Vec<u8>>, bytes: Vec<u8>) -> Self {
        blobs.push(bytes);
        Self(blobs.len() - 1)
    }
}

impl Measured {
    /// The measurements of an image, with its blobs.
    pub fn image(sha256: String, record: ImageRecord<BlobIndex>, blobs: Vec<Vec<u8>>) -> Self {
        Self {
            sha256,
            blobs,
            result: Measurement::Image(Box::new(record)),
        }
    }

    /// The result for an input that is not a usable image.
    pub fn failed(sha256: String, reason: Reason, detail: String) -> Self {
        Self {
            sha256,
            blobs: Vec::new(),
            result: Measurement::Failed(reason, detail),
        }
    }

    /// The result for an input that cannot be read.
    pub fn unread(error: &InputError) -> Self {
        let reason = match error {
            InputError::Unreadable(_) => Reason::Unreadable,
            InputError::System { .. } => Reason::ReadError,
            InputError::NotAnArchive(_) => Reason::NotAnImage,
            InputError::UnsafeName => Reason::UnsafeName,
            InputError::TooLarge(_) => Reason::TooLarge,
        };
        Self::failed(String::new(), reason, error.to_string())
    }

    /// The result for an input that needs more memory than this run may use; `detail` says how much.
    pub fn out_of_memory(detail: String) -> Self {
        Self {
            sha256: String::new(),
            blobs: Vec::new(),
            result: Measurement::OutOfMemory(detail),
        }
    }

    /// Whether later runs would get the same result until the file changes. Errors in reading and a lack of memory may
    /// pass.
    pub fn is_permanent(&self) -> bool {
        !matches!(
            self.result,
            Measurement::Failed(Reason::ReadError, _) | Measurement::OutOfMemory(_)
        )
    }

    /// The outcome to write to the journal, where blob `i` is stored at `stored[i]`.
    ///
    /// # Panics
    /// When `stored` is shorter than [`blobs`](Self::blobs).
    pub fn into_outcome(self, stored: &[Blob]) -> Outcome {
        match self.result {
            Measurement::Failed(reason, detail) => Outcome::Failed { reason, detail },
            Measurement::OutOfMemory(detail) => Outcome::Failed {
                reason: Reason::TooLarge,
                detail,
            },
            Measurement::Image(image) => {
                let stored = |BlobIndex(i): BlobIndex| stored[i];
                Outcome::Image(Box::new(image.map_blobs(stored)))
            }
        }
    }

    /// Serializes for the parent process: one line of JSON with the lengths of the blobs and the measurements, then the
    /// blobs.
    ///
    /// # Errors
    /// When the record cannot be written as JSON.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let lengths: Vec<usize> = self.blobs.iter().map(Vec::len).collect();
        let mut bytes = serde_json::to_vec(&(lengths, self))?;
        bytes.push(b'\n');
        bytes.extend(self.blobs.iter().flatten());
        Ok(bytes)
    }

    /// Reads the result of [`to_bytes`](Self::to_bytes); `None` for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (line, mut rest) = bytes.split_at(bytes.iter().position(|&byte| byte == b'\n')?);
        rest = &rest[1..];
        let (lengths, mut measured): (Vec<usize>, Self) = serde_json::from_slice(line).ok()?;
        for length in lengths {
            let blob;
            (blob, rest) = rest.split_at_checked(length)?;
            measured.blobs.push(blob.to_vec());
        }
        (rest.is_empty() && measured.has_all_blobs()).then_some(measured)
    }

    fn has_all_blobs(&self) -> bool {
        let Measurement::Image(image) = &self.result else {
            return true;
        };
        let n_blobs = self.blobs.len();
        let crops = image.faces.iter().filter_map(|face| face.crop.as_ref());
        crops
            .flat_map(|crop| [crop.thumb, crop.png])
            .chain([image.thumb])
            .all(|BlobIndex(i)| i < n_blobs)
    }
}
