//! Reads and writes files of `torch.save`: zip archives, and legacy streams, which other pickles embed as byte strings
//! to store tensors.

mod archive;
mod legacy;
mod rebuild;
pub(crate) mod save;

pub(crate) use archive::Archive;
pub(crate) use legacy::{LegacyFile, is_legacy};
pub(crate) use rebuild::{TensorReader, flatten, list};
