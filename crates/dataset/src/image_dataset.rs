//! The dataset as training reads it: a subset of the samples in order, then their mirrored copies; with labels.

use std::borrow::Cow;
use std::path::Path;

use rng::RandomState;

use crate::error::Error;
use crate::label::Label;
use crate::labels::{Labels, Resolved};
use crate::problem::CheckReport;
use crate::source::Source;
use decode::{Image, decode_stored, read_header};

/// Options of opening a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetOptions {
    /// Read labels from `dataset.json`.
    pub use_labels: bool,
    /// Use a random subset of at most this many images.
    pub max_size: Option<usize>,
    /// Seed of the random subset.
    pub random_seed: u32,
    /// Append a mirrored copy of every image of the subset.
    pub xflip: bool,
}

/// A zip or folder opened as a list of images of the same shape.
///
/// Indices first run over the chosen subset and then, with `xflip`, over the mirrored copies of the same subset.
#[derive(Clone, Debug)]
pub struct ImageDataset {
    source: Source,
    /// Index in [`Source::names`] of each image of the subset, ascending.
    subset: Vec<u32>,
    xflip: bool,
    shape: [usize; 3],
    labels: Resolved,
}

impl ImageDataset {
    /// Opens a zip or a folder. The first image (by name) gives the shape of all.
    ///
    /// Call [`check`](crate::check) before training: it finds the images that differ.
    ///
    /// # Errors
    /// When there is no image, the first one cannot be read, or labels are requested and incomplete (the error lists
    /// all violations). Without any labels the dataset opens with a label dimension of 0.
    pub fn open(path: impl AsRef<Path>, options: &DatasetOptions) -> Result<Self, Error> {
        Self::from_source(Source::open(path)?, options)
    }

    /// As [`open`](Self::open), but from a source that is already open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_source(source: Source, options: &DatasetOptions) -> Result<Self, Error> {
        let path = source.path().to_path_buf();
        let Some(first) = source.names().first() else {
            return Err(Error::NoImages(path));
        };
        let bytes = source.read(first)?;
        let header = read_header(&bytes).map_err(|error| Error::Image {
            path: path.clone(),
            name: first.clone(),
            reason: error.to_string(),
        })?;
        let labels = match source.read_labels()? {
            Some(bytes) if options.use_labels => {
                let labels = Labels::parse(&bytes).map_err(|reason| Error::Labels {
                    path: path.clone(),
                    reason,
                })?;
                let n_images = source.names().len();
                labels
                    .resolve(source.names(), source.aliases())
                    .map_err(|problems| Error::Contract {
                        path,
                        report: Box::new(CheckReport::from_problems(n_images, problems)),
                    })?
            }
            _ => Resolved::default(),
        };
        let n_images = u32::try_from(source.names().len()).unwrap_or(u32::MAX);
        let mut subset: Vec<u32> = (0..n_images).collect();
        if let Some(max_size) = options.max_size.filter(|&n| n < subset.len()) {
            RandomState::new(options.random_seed).shuffle(&mut subset);
            subset.truncate(max_size);
            subset.sort_unstable();
        }
        if subset.is_empty() {
            return Err(Error::NoImages(source.path().to_path_buf()));
        }
        Ok(Self {
            shape: header.shape(),
            xflip: options.xflip,
            source,
            subset,
            labels,
        })
    }

    /// Number of samples, including the mirrored copies.
    pub fn len(&self) -> usize {
        self.subset.len() * if self.xflip { 2 } else { 1 }
    }

    /// Always false, as an empty dataset cannot be opened.
    pub fn is_empty(&self) -> bool {
        self.subset.is_empty()
    }

    /// `[channels, height, width]` of every sample.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Height of the samples in pixels, which is also their width in a dataset that passes [`check`](crate::check).
    pub fn resolution(&self) -> usize {
        self.shape[1]
    }

    /// Length of a label vector; 0 without labels.
    pub fn label_dim(&self) -> usize {
        self.labels.dim
    }

    /// The zip or folder that the samples are read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Index of a sample among all images of the source, before the subset is chosen and mirrored.
    ///
    /// # Panics
    /// When `idx` is not below [`len`](Self::len). This holds for all methods that take `idx`, except
    /// [`is_flipped`](Self::is_flipped).
    pub fn raw_idx(&self, idx: usize) -> usize {
        assert!(idx < self.len(), "sample {idx} of {}", self.len());
        self.subset[idx % self.subset.len()] as usize
    }

    /// Whether a sample is a mirrored copy.
    pub fn is_flipped(&self, idx: usize) -> bool {
        idx >= self.subset.len()
    }

    /// The name of a sample in the source.
    pub fn name(&self, idx: usize) -> &str {
        &self.source.names()[self.raw_idx(idx)]
    }

    /// The label of a sample as in `dataset.json`; `None` without labels.
    pub fn raw_label(&self, idx: usize) -> Option<&Label> {
        self.labels.raw.get(self.raw_idx(idx))
    }

    /// The label vector of a sample, `[label_dim]`; one-hot for a class.
    pub fn label(&self, idx: usize) -> Cow<'_, [f32]> {
        self.labels.vector(self.raw_idx(idx))
    }

    /// Label vectors of `n` random samples, `[n, label_dim]`: the conditions for generated images during training.
    pub fn random_labels(&self, n: usize, random: &mut RandomState) -> Vec<f32> {
        (0..n)
            .flat_map(|_| self.label(random.index(self.len())).into_owned())
            .collect()
    }

    /// Reads and decodes a sample, mirrored if it is a mirrored copy.
    ///
    /// # Errors
    /// When the sample cannot be read or decoded, or its shape is not that of the first image.
    pub fn image(&self, idx: usize) -> Result<Image, Error> {
        let name = self.name(idx);
        let failed = |reason| Error::Image {
            path: self.source.path().to_path_buf(),
            name: name.to_owned(),
            reason,
        };
        let mut image =
            decode_stored(&self.source.read(name)?).map_err(|error| failed(error.to_string()))?;
        if image.shape() != self.shape {
            return Err(failed(format!(
                "its shape {:?} is not the {:?} of the first image",
                image.shape(),
                self.shape
            )));
        }
        if self.is_flipped(idx) {
            image.flip_horizontal();
        }
        Ok(image)
    }
}
