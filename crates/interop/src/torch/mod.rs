//! Files of `torch.save`: the zip layout, the legacy layout, and the storages that other pickles embed in it.

mod archive;
mod legacy;
mod rebuild;
pub(crate) mod save;

pub(crate) use archive::Archive;
pub(crate) use legacy::{LegacyFile, is_legacy};
pub(crate) use rebuild::{TensorReader, flatten, list};
