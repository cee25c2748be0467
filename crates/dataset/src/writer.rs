//! Writes dataset zips: uncompressed members `00000/img00000000.png` and so on, then `dataset.json`. The same samples
//! give the same bytes.

use std::io::{BufWriter, Write};
use std::path::Path;

use files::AtomicFile;
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::encode::{EncodedImage, encode_png};
use crate::error::Error;
use crate::label::Label;
use decode::Image;

/// Options of writing a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterOptions {
    /// PNG compression level, 0 (uncompressed, loads fastest) to 9 (smallest).
    pub png_level: u8,
}

/// Summary of the written dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteSummary {
    /// Number of samples in the zip.
    pub n_images: usize,
    /// `[channels, height, width]` of each sample.
    pub shape: [usize; 3],
    /// Whether `dataset.json` has labels.
    pub has_labels: bool,
}

/// The name of sample `idx`, such as `00012/img00012345.png`.
pub fn sample_name(idx: usize) -> String {
    let digits = format!("{idx:08}");
    format!("{}/img{digits}.png", &digits[..5])
}

/// Writes a dataset zip under a temporary name; [`finish`](Self::finish) renames it.
///
/// Zip64 is used where it is needed. A writer that is dropped without `finish` leaves no file behind.
pub struct DatasetWriter {
    zip: ZipWriter<BufWriter<AtomicFile>>,
    png_level: u8,
    shape: Option<[usize; 3]>,
    last: Option<usize>,
    labels: Vec<(String, Option<Label>)>,
}

impl DatasetWriter {
    /// Starts a zip for `path`; an existing file there stays until [`finish`](Self::finish).
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(path: impl AsRef<Path>, options: &WriterOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = AtomicFile::create(path).map_err(Error::io("write", path))?;
        let buffered = BufWriter::with_capacity(1 << 20, file);
        Ok(Self {
            zip: ZipWriter::new(buffered).set_auto_large_file(),
            png_level: options.png_level,
            shape: None,
            last: None,
            labels: Vec::new(),
        })
    }

    /// Adds a sample under [`sample_name(idx)`](sample_name), and returns this name. Indices must ascend and may have
    /// gaps.
    ///
    /// # Errors
    /// When the shape of the image differs from that of the first, the index does not ascend or exceeds 99,999,999, or
    /// the disk reports an error.
    pub fn add(
        &mut self,
        idx: usize,
        image: &Image,
        label: Option<Label>,
    ) -> Result<String, Error> {
        self.add_encoded(idx, &encode_png(image, self.png_level)?, label)
    }

    /// Adds a sample that is already encoded, so that encoding can run in parallel.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_encoded(
        &mut self,
        idx: usize,
        image: &EncodedImage,
        label: Option<Label>,
    ) -> Result<String, Error> {
        let name = sample_name(idx);
        let shape = *self.shape.get_or_insert(image.shape());
        if shape != image.shape() {
            return Err(Error::Write(format!(
                "sample '{name}' has the shape {:?}, the ones before {shape:?}",
                image.shape()
            )));
        }
        if self.last.is_some_and(|last| last >= idx) || idx > 99_999_999 {
            return Err(Error::Write(format!("sample '{name}' is out of order")));
        }
        self.entry(&name, image.bytes())?;
        self.last = Some(idx);
        self.labels.push((name.clone(), label));
        Ok(name)
    }

    /// Writes `dataset.json`, syncs the zip, and renames it to its path.
    ///
    /// Labels are written when every sample has one, else `null`.
    ///
    /// # Errors
    /// When there is no sample, or the disk reports an error; an existing file at the path is then unchanged.
    pub fn finish(mut self) -> Result<WriteSummary, Error> {
        let Some(shape) = self.shape else {
            return Err(Error::Write("there is no sample".to_owned()));
        };
        let labels = std::mem::take(&mut self.labels);
        let n_images = labels.len();
        let n_missing = labels.iter().filter(|(_, label)| label.is_none()).count();
        if 0 < n_missing && n_missing < n_images {
            tracing::warn!(
                "{n_missing} of {n_images} samples have no label: the dataset gets none"
            );
        }
        let complete: Option<Vec<(String, Label)>> = labels
            .into_iter()
            .map(|(name, label)| Some((name, label?)))
            .collect();
        let has_labels = complete.is_some();
        let json = serde_json::to_vec(&serde_json::json!({ "labels": complete }))
            .map_err(|e| Error::Write(e.to_string()))?;
        self.entry("dataset.json", &json)?;
        let buffered = self.zip.finish().map_err(|e| Error::Write(e.to_string()))?;
        buffered
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(AtomicFile::commit)
            .map_err(|e| Error::Write(e.to_string()))?;
        Ok(WriteSummary {
            n_images,
            shape,
            has_labels,
        })
    }

    fn entry(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        // No time and no property of this machine, so that the same samples give the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .system(zip::System::Unix)
            .unix_permissions(0o644);
        let failed = |e: &dyn std::fmt::Display| Error::Write(format!("'{name}': {e}"));
        self.zip.start_file(name, options).map_err(|e| failed(&e))?;
        self.zip.write_all(bytes).map_err(|e| failed(&e))
    }
}
