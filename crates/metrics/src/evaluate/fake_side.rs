//! Statistics and features of the generated images ("fakes") of an evaluation, collected in one pass over them.

use candle_core::Tensor;

use crate::error::Result;
use crate::feature_network::{Family, FeatureNetwork};
use crate::feature_stats::FeatureStats;
use crate::name::{Kind, Metric};
use feature_networks::Features;

/// The features of the first images of a pass, up to a maximum number of images.
struct Kept {
    limit: usize,
    rows: Option<Features>,
}

impl Kept {
    /// An empty store with room for the images of the metric in `needed` that uses the most generated images.
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

/// Statistics and features of the generated images seen so far. Features are stored only for metrics that compare
/// single images, so that the memory use of a FID does not depend on its number of images.
pub(super) struct FakeSide {
    len: usize,
    /// Number of images that Inception must process; `vgg_limit` is the number for VGG16.
    inception_limit: usize,
    vgg_limit: usize,
    stats: Option<FeatureStats>,
    inception: Kept,
    vgg: Kept,
    probs: Kept,
}

impl FakeSide {
    /// An empty side for these metrics. `bootstraps` takes a number of generated images, and returns whether a FID of
    /// that many images is resampled for an error bar.
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

    /// Number of images added so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Computes the features of a batch of images, `u8` `[n, 1 or 3, height, width]`, and adds them.
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

    /// Statistics of the Inception features of all images so far; `None` before the first image.
    pub fn stats(&self) -> Option<&FeatureStats> {
        self.stats.as_ref()
    }

    /// The features of the first `n` images, computed by the network `family`; `None` when no metric needed them.
    pub fn features(&self, family: Family, n: usize) -> Option<Features> {
        let kept = match family {
            Family::Inception => &self.inception,
            Family::Vgg => &self.vgg,
        };
        Some(kept.rows.as_ref()?.first(n))
    }

    /// The class probabilities of the first `n` images; `None` when no metric needed them.
    pub fn probs(&self, n: usize) -> Option<Features> {
        Some(self.probs.rows.as_ref()?.first(n))
    }
}
