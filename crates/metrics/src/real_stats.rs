//! Statistics of real images, cached in files that are named by a hash of the images' content.

use std::path::{Path, PathBuf};

use faer::Mat;
use files::TensorEntry;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::feature_stats::FeatureStats;
use feature_networks::Features;

/// Statistics and features of a set of real images.
#[derive(Clone, Debug)]
pub(crate) struct RealStats {
    /// Statistics of all images, when a FID needs them.
    pub stats: Option<FeatureStats>,
    /// The feature rows, when a metric needs them.
    pub features: Option<Features>,
}

/// The parts of [`RealStats`] that metrics need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Whether statistics are needed, for a FID.
    pub stats: bool,
    /// Whether feature rows are needed, for metrics that compare single images.
    pub features: bool,
}

/// The path of the cache file for `n` real images. Its name is a hash of `content` (the hash of the images' contents),
/// `n` and `network` (the name of the feature network).
pub(crate) fn cache_file(cache: &Path, content: &str, n: usize, network: &str) -> PathBuf {
    let mut hash = Sha256::new();
    hash.update(format!("real statistics 1\n{content}\n{n}\n{network}\n"));
    let name = files::hex(&hash.finalize()[..16]);
    cache.join("real-stats").join(format!("{name}.safetensors"))
}

impl RealStats {
    /// Reads a cache file. `None` when it does not exist, cannot be read or lacks a needed part. A damaged file is
    /// ignored with a warning. A file without a checksum is of an earlier version, and is ignored with a message.
    pub fn load(path: &Path, needs: Needs) -> Option<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                // The cache path may be a file, or the folder of another user.
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::debug!("'{}' cannot be read: {error}", path.display());
                }
                return None;
            }
        };
        match files::check_safetensors(&bytes) {
            Ok(true) => Self::parse(&bytes, needs),
            Ok(false) if SafeTensors::deserialize(&bytes).is_ok() => {
                tracing::info!(
                    "'{}' is of an earlier version and has no checksum: the real images are measured again",
                    path.display()
                );
                None
            }
            _ => {
                tracing::warn!(
                    "'{}' is damaged: its statistics are dropped and the real images are measured again",
                    path.display()
                );
                None
            }
        }
    }

    fn parse(bytes: &[u8], needs: Needs) -> Option<Self> {
        let file = SafeTensors::deserialize(bytes).ok()?;
        let doubles = |name: &str| -> Option<Vec<f64>> {
            let view = file.tensor(name).ok()?;
            let values = view.data().as_chunks::<8>().0;
            (view.dtype() == Dtype::F64)
                .then(|| values.iter().map(|b| f64::from_le_bytes(*b)).collect())
        };
        let stats = doubles("sum").and_then(|sum| {
            let (len, products) = (*doubles("len")?.first()? as usize, doubles("products")?);
            let dim = sum.len();
            let products = (products.len() == dim * dim && len > 0)
                .then(|| Mat::from_fn(dim, dim, |i, j| products[j * dim + i]))?;
            Some(FeatureStats::from_sums(len, sum, products))
        });
        let features = match file.tensor("features") {
            Ok(view) if view.dtype() == Dtype::F32 => {
                let values = view.data().as_chunks::<4>().0;
                let values = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
                Some(Features::from_rows(*view.shape().get(1)?, values).ok()?)
            }
            _ => None,
        };
        if let (Some(stats), Some(features)) = (&stats, &features)
            && (stats.len() != features.len() || stats.dim() != features.dim())
        {
            return None;
        }
        let found = Self { stats, features };
        found.has(needs).then_some(found)
    }

    /// Whether all parts in `needs` are present.
    pub fn has(&self, needs: Needs) -> bool {
        (self.stats.is_some() || !needs.stats) && (self.features.is_some() || !needs.features)
    }

    /// Writes a cache file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes =
            |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let mut all = Vec::new();
        if let Some(stats) = &self.stats {
            let (len, sum, products) = stats.sums();
            let dim = sum.len();
            let products: Vec<f64> = products
                .col_iter()
                .flat_map(|c| c.iter().copied())
                .collect();
            all.extend([
                ("len", "F64", vec![1], bytes(&[len as f64])),
                ("sum", "F64", vec![dim], bytes(&sum)),
                ("products", "F64", vec![dim, dim], bytes(&products)),
            ]);
        }
        if let Some(features) = &self.features {
            let data = features
                .values()
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect();
            let shape = vec![features.len(), features.dim()];
            all.push(("features", "F32", shape, data));
        }
        let entries: Vec<TensorEntry<'_>> = all
            .iter()
            .map(|(name, dtype, shape, data)| TensorEntry {
                name,
                dtype,
                shape,
                n_bytes: data.len(),
            })
            .collect();
        files::write_atomic(path, |file| {
            files::write_safetensors(file, &[], &entries, |out| {
                all.iter().try_for_each(|(.., data)| out.write_all(data))
            })
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Covariance;

    const BOTH: Needs = Needs {
        stats: true,
        features: true,
    };

    #[test]
    fn a_file_gives_the_same_numbers_and_damage_is_no_answer() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 17) % 23) as f32).collect();
        let features = Features::from_rows(3, values).unwrap();
        let stats = RealStats {
            stats: Some(FeatureStats::of(&features).unwrap()),
            features: Some(features),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = cache_file(folder.path(), "abc", 20, "random");
        assert_ne!(path, cache_file(folder.path(), "abc", 21, "random"));
        stats.save(&path).unwrap();
        let read = RealStats::load(&path, BOTH).unwrap();
        assert_eq!(read.features, stats.features);
        let of = |s: &RealStats| {
            let stats = s.stats.as_ref().unwrap();
            stats.gaussian(Covariance::Sample).unwrap()
        };
        assert_eq!(of(&read).mean(), of(&stats).mean());
        assert_eq!(of(&read).covariance(2, 1), of(&stats).covariance(2, 1));
        // A file with features only is not sufficient when statistics are needed.
        let alone = RealStats {
            stats: None,
            features: read.features,
        };
        let other = cache_file(folder.path(), "abc", 21, "random");
        alone.save(&other).unwrap();
        assert!(RealStats::load(&other, BOTH).is_none());
        let features = Needs {
            stats: false,
            ..BOTH
        };
        assert_eq!(
            RealStats::load(&other, features).unwrap().features,
            alone.features
        );
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(RealStats::load(&path, Needs::default()).is_none());
        let mut random = rng::RandomState::new(12);
        for _ in 0..40 {
            let bit = random.randint(0, 8 * whole.len() as i64) as usize;
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            let read = RealStats::load(&path, Needs::default());
            assert!(read.is_none(), "bit {bit}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(RealStats::load(&path, BOTH).is_some());
    }
}
