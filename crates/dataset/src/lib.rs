//! Image datasets as the StyleGAN2-ADA family reads them: a zip (or folder) of equal square images and `dataset.json`.
//!
//! - Reading: [`ImageDataset`] (subset, mirror, labels), [`Loader`] (batches decoded in parallel, exact resume),
//!   [`InfiniteSampler`], [`SnapshotGrid`].
//! - Writing: [`DatasetWriter`] (same images, same bytes), [`pack`] with [`Transform`] (crop and resize).
//! - Trust: [`check`] lists every offender by name before any work, [`verify`] decodes every entry,
//!   [`ImageDataset::content_hash`] names a dataset by what is in it, [`Fingerprint`] cheaply by what its directory tells.
//!
//! Pixels are `u8`; scaling to [-1, 1] is the trainer's. No tensors here, and no printing.
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
