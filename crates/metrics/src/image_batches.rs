//! Reads real images as batches of tensors.

use candle_core::{Device, Tensor};
use dataset::{DatasetOptions, Image, ImageDataset, Source};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// A set of images: a dataset, or a folder or zip archive with images of any sizes.
#[derive(Clone, Debug)]
pub enum ImageSet {
    /// A dataset: images of one size, with options for mirroring and subsets.
    Dataset(ImageDataset),
    /// Images of any sizes in a folder or zip archive.
    Source(Source),
}

impl ImageSet {
    /// Number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Dataset(dataset) => dataset.len(),
            Self::Source(source) => source.names().len(),
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the image with index `idx` in its folder or archive.
    pub fn name(&self, idx: usize) -> &str {
        match self {
            Self::Dataset(dataset) => dataset.name(idx),
            Self::Source(source) => &source.names()[idx],
        }
    }

    /// Decodes the image with index `idx` as RGB or gray.
    ///
    /// # Errors
    /// When it cannot be read or decoded.
    pub fn image(&self, idx: usize) -> Result<Image> {
        let image = match self {
            Self::Dataset(dataset) => dataset.image(idx)?,
            Self::Source(source) => {
                let name = &source.names()[idx];
                dataset::decode(&source.read(name)?).map_err(|error| dataset::Error::Image {
                    path: source.path().to_path_buf(),
                    name: name.clone(),
                    reason: error.to_string(),
                })?
            }
        };
        Ok(match image.channels {
            1 | 3 => image,
            _ => image.into_rgb(),
        })
    }

    /// All images of the set, without the mirroring and subset options of a dataset; `_full` metrics compare with
    /// these.
    ///
    /// # Errors
    /// When the dataset cannot be opened again.
    pub fn full(&self) -> Result<Self> {
        Ok(match self {
            Self::Dataset(dataset) => Self::Dataset(ImageDataset::from_source(
                dataset.source().clone(),
                &DatasetOptions::default(),
            )?),
            Self::Source(source) => Self::Source(source.clone()),
        })
    }

    /// SHA-256 of the names and contents of the images in hexadecimal, by which caches identify the set.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn content_hash(&self) -> Result<String> {
        match self {
            Self::Dataset(dataset) => Ok(dataset.content_hash()?),
            Self::Source(source) => {
                use sha2::{Digest, Sha256};
                let digests: Vec<_> = source
                    .names()
                    .par_iter()
                    .map(|name| Ok(Sha256::digest(source.read(name)?)))
                    .collect::<Result<_>>()?;
                let mut all = Sha256::new();
                all.update(b"kaogan pictures 1\n");
                for (name, digest) in source.names().iter().zip(digests) {
                    all.update((name.len() as u64).to_le_bytes());
                    all.update(name);
                    all.update(digest);
                }
                Ok(files::hex(&all.finalize()))
            }
        }
    }

    /// Up to `n` images from index `start` on, `u8`, `[n, c, h, w]`. Fewer when the set ends or an image has another
    /// shape than the first one; `None` when `start` is beyond the end.
    ///
    /// # Errors
    /// When an image cannot be read or decoded.
    pub fn batch(&self, start: usize, n: usize) -> Result<Option<Tensor>> {
        let end = self.len().min(start.saturating_add(n));
        if start >= end {
            return Ok(None);
        }
        let images: Vec<Image> = (start..end)
            .into_par_iter()
            .map(|idx| self.image(idx))
            .collect::<Result<_>>()?;
        let shape = images[0].shape();
        let equal: Vec<&Image> = images.iter().take_while(|i| i.shape() == shape).collect();
        let [c, h, w] = shape;
        let values: Vec<u8> = equal.iter().flat_map(|image| image.to_chw()).collect();
        Ok(Some(Tensor::from_vec(
            values,
            (equal.len(), c, h, w),
            &Device::Cpu,
        )?))
    }
}

impl TryFrom<Source> for ImageSet {
    type Error = Error;

    fn try_from(source: Source) -> Result<Self> {
        if source.names().is_empty() {
            return Err(dataset::Error::NoImages(source.path().to_path_buf()).into());
        }
        Ok(Self::Source(source))
    }
}

impl From<ImageDataset> for ImageSet {
    fn from(dataset: ImageDataset) -> Self {
        Self::Dataset(dataset)
    }
}
