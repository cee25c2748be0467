//! A hash of the contents of a dataset, for caches that must not become stale.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::image_dataset::ImageDataset;

impl ImageDataset {
    /// SHA-256 over the names, bytes and labels of the images in the subset and over whether they are mirrored, as 64
    /// hex digits.
    ///
    /// Reads every byte, in parallel. The path of the dataset, and whether it is a zip or a folder, do not change the
    /// hash.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn content_hash(&self) -> Result<String, Error> {
        self.content_hash_with(|| ())
    }

    /// As [`content_hash`](Self::content_hash); `on_image` is called once for each image, from many threads.
    ///
    /// # Errors
    /// As [`content_hash`](Self::content_hash).
    pub fn content_hash_with(&self, on_image: impl Fn() + Sync) -> Result<String, Error> {
        let n_images = (0..self.len())
            .take_while(|&idx| !self.is_flipped(idx))
            .count();
        let digests: Vec<_> = (0..n_images)
            .into_par_iter()
            .map(|idx| {
                let bytes = self.source().read(self.name(idx))?;
                on_image();
                Ok(Sha256::digest(&bytes))
            })
            .collect::<Result<_, Error>>()?;
        let mut all = Sha256::new();
        // Each length is hashed before its data, so that no two datasets give the same bytes to hash.
        all.update(b"kaogan dataset 1\n");
        for n in [n_images, self.len() / n_images, self.label_dim()] {
            all.update((n as u64).to_le_bytes());
        }
        for (idx, digest) in digests.iter().enumerate() {
            let name = self.name(idx);
            all.update((name.len() as u64).to_le_bytes());
            all.update(name);
            all.update(digest);
            for value in self.label(idx).iter() {
                all.update(value.to_le_bytes());
            }
        }
        Ok(files::hex(&all.finalize()))
    }
}
