//! Image datasets in the format of StyleGAN2-ADA: a zip (or folder) of square images of one size, and `dataset.json`.
//!
//! - Reading: [`ImageDataset`] (subset, mirrored copies, labels), [`Loader`] (batches decoded in parallel, exact
//!   resume), [`InfiniteSampler`], [`SnapshotGrid`].
//! - Writing: [`DatasetWriter`] (the same images give the same bytes), [`pack`] with [`Transform`] (crop and resize).
//! - Checking: [`check`] lists every violation by name before training, [`verify`] decodes every entry;
//!   [`ImageDataset::content_hash`] hashes the contents of a dataset, [`Fingerprint`] only names, sizes and CRC-32.
//!
//! Pixels are `u8`; the trainer scales them to [-1, 1]. This crate has no tensors and prints nothing.
//!
//! ```no_run
//! use dataset::{DatasetOptions, ImageDataset, Loader, LoaderOptions};
//!
//! # fn main() -> Result<(), dataset::Error> {
//! let faces = ImageDataset::open("faces.zip", &DatasetOptions { xflip: true, ..Default::default() })?;
//! let mut loader = Loader::new(faces.into(), &LoaderOptions { batch_size: 8, ..Default::default() })?;
//! let batch = loader.next_batch()?;
//! assert_eq!(batch.images.len(), 8 * 3 * 512 * 512);
//! # Ok(())
//! # }
//! ```

mod aliases;
mod check;
mod content_hash;
mod encode;
mod error;
mod fingerprint;
mod image_dataset;
mod image_name;
mod label;
mod labels;
mod labels_json;
mod listing;
mod loader;
mod pack;
mod problem;
mod resample;
mod sampler;
mod snapshot_grid;
mod source;
mod transform;
mod writer;

pub use check::{CheckOptions, Depth, check, verify};
pub use decode::{Header, Image, decode_stored as decode, read_header};
pub use encode::{EncodedImage, encode_png};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use image_dataset::{DatasetOptions, ImageDataset};
pub use image_name::is_image_name;
pub use label::Label;
pub use labels::Labels;
pub use listing::LeftOut;
pub use loader::{Batch, Loader, LoaderOptions};
pub use pack::{PackOptions, PackReport, pack};
pub use problem::{CheckReport, Problem, ProblemKind};
pub use resample::{Filter, resize};
pub use sampler::{InfiniteSampler, SamplerState};
pub use snapshot_grid::SnapshotGrid;
pub use source::Source;
pub use transform::Transform;
pub use writer::{DatasetWriter, WriteSummary, WriterOptions, sample_name};
