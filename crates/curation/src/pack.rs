//! Writes the kept faces into the dataset zip, in order.

use crate::journal::Journal;
use crate::samples::Sample;
use dataset::{DatasetWriter, EncodedImage, Label, WriterOptions};
use rayon::prelude::*;
use std::io;
use std::path::Path;

/// Number of samples read from the journal at a time: few enough for the memory, enough for every thread.
const BATCH: usize = 64;

/// Why packing failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A crop in the journal is damaged; the number is the index of its sample.
    #[error("a crop in the journal is damaged")]
    Damaged(usize),
    /// The zip cannot be written.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
}

/// Writes the zip at `path`. `on_sample` is called once for each sample, from many threads.
///
/// # Errors
/// [`PackError`]; a zip that was at `path` before stays as it was.
pub fn pack(
    path: &Path,
    samples: &[Sample],
    journal: &Journal,
    png_level: u8,
    on_sample: &(dyn Fn() + Sync),
) -> Result<(), PackError> {
    let mut writer = DatasetWriter::create(path, &WriterOptions { png_level })?;
    for (batch, samples) in samples.chunks(BATCH).enumerate() {
        let start = batch * BATCH;
        let encoded: Vec<EncodedImage> = samples
            .par_iter()
            .enumerate()
            .map(|(i, sample)| {
                let encoded = encoded(sample, journal, png_level)
                    .map_err(|_| PackError::Damaged(start + i))?;
                on_sample();
                Ok(encoded)
            })
            .collect::<Result<_, PackError>>()?;
        for (i, (sample, image)) in samples.iter().zip(&encoded).enumerate() {
            writer.add_encoded(start + i, image, sample.label.map(Label::Class))?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// Returns the PNG file of a sample: a copy of that in the journal, or a new encoding if the compression level there is
/// not `png_level`.
fn encoded(sample: &Sample, journal: &Journal, png_level: u8) -> io::Result<EncodedImage> {
    let bytes = journal.read(&sample.png)?;
    if sample.png_level == png_level {
        return EncodedImage::from_png(bytes).map_err(io::Error::other);
    }
    let image = dataset::decode(&bytes).map_err(io::Error::other)?;
    dataset::encode_png(&image, png_level).map_err(io::Error::other)
}
