//! Statistics and features of the real images of an evaluation, kept in memory and in the cache.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Progress, Step};
use crate::error::{Error, Result};
use crate::feature_network::{Family, FeatureNetwork};
use crate::feature_stats::{Covariance, FeatureStats};
use crate::fid::FidReference;
use crate::image_batches::ImageSet;
use crate::name::{Kind, Metric, Reals};
use crate::real_stats::{Needs, RealStats, cache_file};
use feature_networks::Features;

/// Identifies statistics of real images: the kind of set, the number of images and the feature network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub reals: Reals,
    pub n: usize,
    pub family: Family,
}

/// The real images of an evaluation, and their statistics as far as they were computed.
pub(super) struct RealSide {
    pub images: ImageSet,
    batch_size: usize,
    cache: Option<PathBuf>,
    known: HashMap<Key, RealStats>,
    references: HashMap<Key, FidReference>,
    content: HashMap<Reals, String>,
    was_told_of_cache: bool,
}

impl RealSide {
    pub fn new(images: ImageSet, batch_size: usize, cache: Option<PathBuf>) -> Self {
        Self {
            images,
            batch_size,
            cache,
            known: HashMap::new(),
            references: HashMap::new(),
            content: HashMap::new(),
            was_told_of_cache: false,
        }
    }

    /// The key of the real images that a metric compares with.
    pub fn key(&self, metric: &Metric) -> Result<Key> {
        let n = match metric.reals {
            Reals::Full => self.images.full()?.len(),
            Reals::Limited => self.images.len().min(metric.n_fakes),
            Reals::Unused => 0,
        };
        Ok(Key {
            reals: metric.reals,
            n,
            family: metric.family(),
        })
    }

    /// Hash of the content of the real images; `None` when it was not computed.
    pub fn content(&self, reals: Reals) -> Option<&str> {
        self.content.get(&reals).map(String::as_str)
    }

    /// Computes or loads the statistics and features that the metrics need, once for each set of real images.
    pub fn prepare(
        &mut self,
        network: &FeatureNetwork,
        metrics: &[Metric],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let mut wanted: Vec<(Key, Needs)> = Vec::new();
        for metric in metrics.iter().filter(|m| m.reals != Reals::Unused) {
            let key = self.key(metric)?;
            let at = wanted.iter().position(|(known, _)| *known == key);
            let at = at.unwrap_or_else(|| {
                wanted.push((key, Needs::default()));
                wanted.len() - 1
            });
            let needs = &mut wanted[at].1;
            needs.features |= metric.needs_real_features();
            needs.stats |= !metric.needs_real_features();
        }
        for (key, mut needs) in wanted {
            if let Some(known) = self.known.get(&key) {
                if known.has(needs) {
                    continue;
                }
                needs.stats |= known.stats.is_some();
                needs.features |= known.features.is_some();
            }
            let stats = self.load_or_collect(network, key, needs, progress)?;
            self.known.insert(key, stats);
        }
        Ok(())
    }

    fn load_or_collect(
        &mut self,
        network: &FeatureNetwork,
        key: Key,
        needs: Needs,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RealStats> {
        let images = match key.reals {
            Reals::Full => self.images.full()?,
            _ => self.images.clone(),
        };
        let file = match self.cache.clone() {
            Some(cache) => {
                let content = match self.content.get(&key.reals) {
                    Some(content) => content.clone(),
                    None => images.content_hash()?,
                };
                self.content.insert(key.reals, content.clone());
                let name = network.cache_name(key.family);
                Some(cache_file(&cache, &content, key.n, &name))
            }
            None => None,
        };
        let loaded = file
            .as_deref()
            .and_then(|path| RealStats::load(path, needs));
        if let Some(stats) = loaded {
            return Ok(stats);
        }
        let stats = self.collect(network, &images, key, needs, progress)?;
        if let Some(path) = &file
            && let Err(error) = stats.save(path)
        {
            self.warn_of_cache(path, &error);
        }
        Ok(stats)
    }

    /// Warns, once, that statistics cannot be written to the cache. The results are the same without the cache.
    fn warn_of_cache(&mut self, path: &Path, error: &Error) {
        let reason = match error {
            Error::Network(feature_networks::Error::Cache(error)) => error.to_string(),
            other => other.to_string(),
        };
        if !std::mem::replace(&mut self.was_told_of_cache, true) {
            tracing::warn!(
                "the statistics of the real images cannot be kept in '{}' ({reason}): the results are the same, but the \
                 next evaluation looks at all real images again; set KAOGAN_CACHE to a folder that can be written",
                path.display()
            );
        }
    }

    fn collect(
        &self,
        network: &FeatureNetwork,
        images: &ImageSet,
        key: Key,
        needs: Needs,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RealStats> {
        let mut all: Option<RealStats> = None;
        let mut done = 0;
        while done < key.n {
            let wanted = self.batch_size.min(key.n - done);
            let Some(batch) = images.batch(done, wanted)? else {
                break;
            };
            done += batch.dim(0)?;
            let (features, _) = network.extract(key.family, &batch)?;
            let all = all.get_or_insert_with(|| RealStats {
                stats: needs.stats.then(|| FeatureStats::new(features.dim())),
                features: needs.features.then(|| Features::new(features.dim())),
            });
            if let Some(stats) = &mut all.stats {
                stats.append(&features)?;
            }
            if let Some(kept) = &mut all.features {
                kept.append(&features)?;
            }
            progress(Progress {
                step: Step::Reals,
                done,
                total: key.n,
            });
        }
        all.ok_or_else(|| Error::TooFew {
            metric: "a metric".into(),
            needed: "real images".into(),
            found: "none".into(),
        })
    }

    /// Features of the real images of `key`; `None` when they were not prepared.
    pub fn features(&self, key: Key) -> Option<&Features> {
        self.known.get(&key)?.features.as_ref()
    }

    /// The Gaussian of the real images of `key`, for a FID; `None` when their statistics were not prepared.
    pub fn reference(&mut self, key: Key, covariance: Covariance) -> Result<Option<&FidReference>> {
        if !self.references.contains_key(&key) {
            let Some(stats) = self.known.get(&key).and_then(|k| k.stats.as_ref()) else {
                return Ok(None);
            };
            let reference = FidReference::new(stats.gaussian(covariance)?)?;
            self.references.insert(key, reference);
        }
        Ok(self.references.get(&key))
    }
}

impl Metric {
    /// The feature network that the metric uses.
    pub fn family(&self) -> Family {
        match self.kind {
            Kind::PrecisionRecall | Kind::PathLength(_) => Family::Vgg,
            _ => Family::Inception,
        }
    }

    /// Whether the metric compares single images, so that it needs their features and not only statistics of them.
    pub(crate) fn needs_real_features(&self) -> bool {
        matches!(
            self.kind,
            Kind::Kid | Kind::PrecisionRecall | Kind::DensityCoverage | Kind::Memorization
        )
    }
}
