//! The fake side of an evaluation: the statistics and features that a pass over the images keeps.

use candle_core::Tensor;

use crate::error::Result;
use crate::feature_network::{Family, FeatureNetwork};
use crate::feature_stats::FeatureStats;
use crate::name::{Kind, Metric};
use feature_networks::Features;

/// Features of the first images, up to a count.
struct Kept {
    limit: usize,
    rows: Option<Features>,
}

impl Kept {
    /// For the largest count of the metrics that need them.
    fn new<'a>(needed: impl Iterator<Item = &'a Metric>) -> Self {
        Self {
            limit: needed.map(|m| m.n_fakes).max().unwrap_or(0),
            rows: None,
        }
    }

    fn append(&mut self, rows: &Features) -> Result<()> {
        let n = self.rows.as_ref().map_or(0, Features::len);
        if n < self.limit {
            self.rows
                .get_or_insert_with(|| Features::new(rows.dim()))
                .append(rows)?;
        }
        Ok(())
    }
}

/// Statistics and features of the fakes so far. Features are kept only for metrics that compare single images, so that
/// the memory use of a FID does not depend on its count.
pub(super) struct FakeSide {
    len: usize,
    /// Number of images for each network.
    inception_limit: usize,
    vgg_limit: usize,
    stats: Option<FeatureStats>,
    inception: Kept,
    vgg: Kept,
    probs: Kept,
}

impl FakeSide {
    /// An empty side for these metrics; `bootstraps` tells which FIDs need resampling.
    pub fn new(metrics: &[Metric], bootstraps: impl Fn(usize) -> bool) -> Self {
        let largest = |family: Family| {
            let of_family = metrics
                .iter()
                .filter(|m| m.family() == family && !m.is_path());
            of_family.map(|m| m.n_fakes).max().unwrap_or(0)
        };
        let in_family = |family| metrics.iter().filter(move |m| m.family() == family);
        Self {
            len: 0,
            inception_limit: largest(Family::Inception),
            vgg_limit: largest(Family::Vgg),
            stats: None,
            inception: Kept::new(in_family(Family::Inception).filter(|m| {
                m.needs_real_features() || (m.kind == Kind::Fid && bootstraps(m.n_fakes))
            })),
            vgg: Kept::new(in_family(Family::Vgg).filter(|m| m.needs_real_features())),
            probs: Kept::new(metrics.iter().filter(|m| m.kind == Kind::InceptionScore)),
        }
    }

    /// Number of images so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a batch of images.
    pub fn append(&mut self, network: &FeatureNetwork, batch: &Tensor) -> Result<()> {
        if self.len < self.inception_limit {
            let (features, probs) = network.extract(Family::Inception, batch)?;
            self.stats
                .get_or_insert_with(|| FeatureStats::new(features.dim()))
                .append(&features)?;
            self.inception.append(&features)?;
            if let Some(probs) = probs {
                self.probs.append(&probs)?;
            }
        }
        if self.len < self.vgg_limit {
            let (features, _) = network.extract(Family::Vgg, batch)?;
            self.vgg.append(&features)?;
        }
        self.len += batch.dim(0)?;
        Ok(())
    }

    /// Statistics of all images so far.
    pub fn stats(&self) -> Option<&FeatureStats> {
        self.stats.as_ref()
    }

    /// The first `n` features of a network.
    pub fn features(&self, family: Family, n: usize) -> Option<Features> {
        let kept = match family {
            Family::Inception => &self.inception,
            Family::Vgg => &self.vgg,
        };
        Some(kept.rows.as_ref()?.first(n))
    }

    /// The first `n` class probabilities.
    pub fn probs(&self, n: usize) -> Option<Features> {
        Some(self.probs.rows.as_ref()?.first(n))
    }
}
