//! Kept faces into the dataset zip, in the order of the inputs.

use crate::journal::Journal;
use crate::manifest::Sample;
use crate::record::Blob;
use dataset::{DatasetWriter, EncodedImage, Label, WriterOptions};
use rayon::prelude::*;
use std::io;
use std::path::Path;

/// Faces encoded at once: bounds the memory, keeps every thread busy.
const BATCH: usize = 64;

/// Why packing failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A crop in the journal is damaged: the number of the sample.
    #[error("a crop in the journal is damaged")]
    Damaged(usize),
    /// The zip cannot be written.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
}

/// Writes the zip. `samples[i]` is the crop at `blobs[i]`.
///
/// # Errors
/// [`PackError`]; the zip that was there before stays.
pub fn pack(
    path: &Path,
    samples: &[Sample],
    blobs: &[Blob],
    journal: &Journal,
    png_level: u8,
    on_sample: &(dyn Fn() + Sync),
) -> Result<(), PackError> {
    let mut writer = DatasetWriter::create(path, &WriterOptions { png_level })?;
    for start in (0..samples.len()).step_by(BATCH) {
        let end = samples.len().min(start + BATCH);
        let encoded: Vec<EncodedImage> = (start..end)
            .into_par_iter()
            .map(|i| {
                let image = journal
                    .read(&blobs[i])
                    .and_then(|bytes| dataset::decode(&bytes).map_err(io::Error::other))
                    .map_err(|_| PackError::Damaged(i))?;
                let encoded = dataset::encode_png(&image, png_level)?;
                on_sample();
                Ok(encoded)
            })
            .collect::<Result<_, PackError>>()?;
        for (i, image) in (start..end).zip(&encoded) {
            writer.add_encoded(i, image, samples[i].label.map(Label::Class))?;
        }
    }
    writer.finish()?;
    Ok(())
}
