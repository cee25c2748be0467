//! All metrics of one generator (or folder) in one pass over its images.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Tensor;
use rng::RandomState;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::feature_network::FeatureNetwork;
use crate::feature_stats::{Covariance, FeatureStats};
use crate::features::Features;
use crate::fid::FidReference;
use crate::image_batches::ImageSet;
use crate::inception_score::inception_score;
use crate::kid::{KidOptions, kid};
use crate::name::{Kind, Metric, Reals};
use crate::neighbours::{Memorization, Rounding, density_coverage, memorization, precision_recall};
use crate::real_stats::{RealStats, cache_file};

/// How metrics are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Images in a batch through the feature network.
    pub batch_size: usize,
    /// Divisor of covariances.
    pub covariance: Covariance,
    /// Rounds for the error bar of a FID of at most [`BOOTSTRAP_MAX`](Self::BOOTSTRAP_MAX) fakes; 0 for none.
    pub bootstrap: usize,
    /// Seed of subsets and redrawings.
    pub seed: u32,
    /// Folder for statistics of real images.
    pub cache: Option<PathBuf>,
}

impl EvaluateOptions {
    /// Above this many fakes a FID is steady enough to go without an error bar (about 0.03 at 50k).
    pub const BOOTSTRAP_MAX: usize = 10_000;
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            batch_size: 16,
            covariance: Covariance::default(),
            bootstrap: 10,
            seed: 0,
            cache: None,
        }
    }
}

/// Where an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Real images through the feature network.
    Reals,
    /// Fakes made and put through the feature network.
    Fakes,
    /// A metric is computed from the features.
    Compute,
}

/// Told to the caller after every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub step: Step,
    /// Images (metrics) so far.
    pub done: usize,
    /// All of them; 0 when it is not known.
    pub total: usize,
}

/// What one metric gave.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricResult {
    /// The metric.
    pub metric: Metric,
    /// Numbers by name: `fid50k_full`, or `pr50k3_full_precision` and `pr50k3_full_recall`.
    pub results: Map<String, Value>,
    /// Standard error of each number where it is known.
    pub std: Map<String, Value>,
    /// What the number was made of: features, covariance, counts.
    pub flavour: Map<String, Value>,
    /// Seconds from the start of the pass.
    pub total_time: f64,
    /// The pairs of a memorization check.
    pub memorization: Option<Memorization>,
}

impl MetricResult {
    /// The first number.
    pub fn value(&self) -> f64 {
        self.results
            .values()
            .next()
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    }

    /// A line for `metric-<name>.jsonl`: the keys of the reference implementation, then ours.
    pub fn to_json(&self, snapshot: Option<&str>, timestamp: f64) -> Value {
        let mut line = Map::new();
        line.insert("results".into(), self.results.clone().into());
        line.insert("metric".into(), self.metric.to_string().into());
        line.insert("total_time".into(), self.total_time.into());
        line.insert("total_time_str".into(), format_time(self.total_time).into());
        line.insert("num_gpus".into(), 1.into());
        line.insert("snapshot_pkl".into(), snapshot.into());
        line.insert("timestamp".into(), timestamp.into());
        line.insert("std".into(), self.std.clone().into());
        line.insert("flavour".into(), self.flavour.clone().into());
        line.into()
    }
}

/// `45s`, `1m 02s`, `3h 05m 09s`, `1d 02h 03m`.
fn format_time(secs: f64) -> String {
    let s = secs.round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m {:02}s", s / 3600, s / 60 % 60, s % 60),
        _ => format!("{}d {:02}h {:02}m", s / 86_400, s / 3600 % 24, s / 60 % 60),
    }
}

/// Gives up to `n` more fakes, `u8`, `[n, 1 or 3, height, width]`; `None` when there are no more.
pub type Fakes<'a> =
    dyn FnMut(usize) -> Result<Option<Tensor>, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// Computes metrics against one set of real images; keeps the real side between calls.
pub struct Evaluator {
    network: FeatureNetwork,
    options: EvaluateOptions,
    reals: ImageSet,
    /// By [`Reals`] and number of images.
    known: HashMap<(Reals, usize), RealStats>,
    references: HashMap<(Reals, usize), FidReference>,
    content: HashMap<Reals, String>,
}

/// What a pass over images must keep.
struct Collected {
    /// Sums after so many images.
    stats: HashMap<usize, FeatureStats>,
    features: Option<Features>,
    probs: Option<Features>,
    len: usize,
}

impl Evaluator {
    /// Against `reals`, as training sees them (mirrored, a subset).
    pub fn new(network: FeatureNetwork, reals: ImageSet, options: EvaluateOptions) -> Self {
        Self {
            network,
            options,
            reals,
            known: HashMap::new(),
            references: HashMap::new(),
            content: HashMap::new(),
        }
    }

    /// The feature network.
    pub fn network(&self) -> &FeatureNetwork {
        &self.network
    }

    /// The real images.
    pub fn reals(&self) -> &ImageSet {
        &self.reals
    }

    /// Names of the real images that `_full` metrics compare with, in the order of
    /// [`Neighbour::real`](crate::Neighbour::real).
    ///
    /// # Errors
    /// As [`ImageSet::full`].
    pub fn full_reals(&self) -> Result<ImageSet> {
        self.reals.full()
    }

    /// Measures every metric in one pass: `fakes` is called until the largest count is reached.
    ///
    /// # Errors
    /// Those of the images, of the features, and `TooFew`; `Source` with the error of `fakes`.
    pub fn evaluate(
        &mut self,
        metrics: &[Metric],
        fakes: &mut Fakes<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<MetricResult>> {
        let start = Instant::now();
        self.check(metrics)?;
        // Real images.
        for metric in metrics {
            self.prepare_reals(metric, progress)?;
        }
        // Fakes.
        let collected = self.collect_fakes(metrics, fakes, progress)?;
        // Metrics.
        let mut results = Vec::with_capacity(metrics.len());
        for (i, metric) in metrics.iter().enumerate() {
            progress(Progress {
                step: Step::Compute,
                done: i,
                total: metrics.len(),
            });
            let mut result = self.compute(metric, &collected)?;
            result.total_time = start.elapsed().as_secs_f64();
            results.push(result);
        }
        Ok(results)
    }

    /// Whether these metrics can be computed with this feature network.
    ///
    /// # Errors
    /// `NoWeights` for the first that cannot, with the reason.
    pub fn check(&self, metrics: &[Metric]) -> Result<()> {
        for metric in metrics {
            let refusal = match metric.kind {
                Kind::PathLength(_) => {
                    "a path length needs VGG16 with the weights of LPIPS, which is not supported yet"
                }
                Kind::InceptionScore if !self.network.has_classes() => {
                    "the inception score needs features with classes: inception or random-inception"
                }
                _ => continue,
            };
            return Err(Error::NoWeights(format!("{metric}: {refusal}")));
        }
        Ok(())
    }

    /// The reals of a metric and how many of them.
    fn reals_key(&self, metric: &Metric) -> Result<(Reals, usize)> {
        Ok(match metric.reals {
            Reals::Full => (Reals::Full, self.reals.full()?.len()),
            Reals::Limited => (Reals::Limited, self.reals.len().min(metric.n_fakes)),
            Reals::Unused => (Reals::Unused, 0),
        })
    }

    fn prepare_reals(&mut self, metric: &Metric, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let key = self.reals_key(metric)?;
        let needs_features = needs_real_features(metric);
        let (kind, n) = key;
        if kind == Reals::Unused
            || self
                .known
                .get(&key)
                .is_some_and(|k| k.features.is_some() || !needs_features)
        {
            return Ok(());
        }
        let images = match kind {
            Reals::Full => self.reals.full()?,
            _ => self.reals.clone(),
        };
        let file = match self.options.cache.clone() {
            Some(cache) => {
                let content = match self.content.get(&kind) {
                    Some(content) => content.clone(),
                    None => images.content_hash()?,
                };
                self.content.insert(kind, content.clone());
                Some(cache_file(&cache, &content, n, self.network.kind().name()))
            }
            None => None,
        };
        let loaded = file
            .as_deref()
            .and_then(|path| RealStats::load(path, needs_features));
        let stats = match loaded {
            Some(stats) => stats,
            None => {
                let stats = self.collect_reals(&images, n, needs_features, progress)?;
                if let Some(path) = &file {
                    stats.save(path)?;
                }
                stats
            }
        };
        self.known.insert(key, stats);
        Ok(())
    }

    fn collect_reals(
        &self,
        images: &ImageSet,
        n: usize,
        needs_features: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RealStats> {
        let mut all: Option<RealStats> = None;
        let mut done = 0;
        while done < n {
            let wanted = self.options.batch_size.min(n - done);
            let Some(batch) = images.batch(done, wanted)? else {
                break;
            };
            done += batch.dim(0)?;
            let (features, _) = self.network.extract(&batch)?;
            let all = all.get_or_insert_with(|| RealStats {
                stats: FeatureStats::new(features.dim()),
                features: needs_features.then(|| Features::new(features.dim())),
            });
            all.stats.append(&features)?;
            if let Some(kept) = &mut all.features {
                kept.append(&features)?;
            }
            progress(Progress {
                step: Step::Reals,
                done,
                total: n,
            });
        }
        all.ok_or_else(|| Error::TooFew {
            metric: "a metric".into(),
            needed: "real images".into(),
            found: "none".into(),
        })
    }

    fn collect_fakes(
        &self,
        metrics: &[Metric],
        fakes: &mut Fakes<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Collected> {
        let most = metrics.iter().map(|m| m.n_fakes).max().unwrap_or(0);
        let counts: Vec<usize> = metrics
            .iter()
            .filter(|m| m.kind == Kind::Fid)
            .map(|m| m.n_fakes)
            .collect();
        let keep = |needed: &dyn Fn(&Metric) -> bool| {
            metrics
                .iter()
                .filter(|m| needed(m))
                .map(|m| m.n_fakes)
                .max()
                .unwrap_or(0)
        };
        let n_features = keep(&|m| {
            needs_real_features(m) || (m.kind == Kind::Fid && self.bootstraps(m.n_fakes))
        });
        let n_probs = keep(&|m| m.kind == Kind::InceptionScore);
        let mut collected = Collected {
            stats: HashMap::new(),
            features: None,
            probs: None,
            len: 0,
        };
        let mut running: Option<FeatureStats> = None;
        while collected.len < most {
            // A batch ends where a metric does.
            let next_end = metrics
                .iter()
                .map(|m| m.n_fakes)
                .filter(|n| *n > collected.len)
                .min()
                .unwrap_or(most);
            let wanted = self.options.batch_size.min(next_end - collected.len);
            let Some(batch) = fakes(wanted).map_err(Error::Source)? else {
                break;
            };
            let n = batch.dim(0)?;
            if n == 0 {
                break;
            }
            let (features, probs) = self.network.extract(&batch)?;
            let running = running.get_or_insert_with(|| FeatureStats::new(features.dim()));
            running.append(&features)?;
            if collected.len < n_features {
                collected
                    .features
                    .get_or_insert_with(|| Features::new(features.dim()))
                    .append(&features)?;
            }
            if let Some(probs) = probs.filter(|_| collected.len < n_probs) {
                collected
                    .probs
                    .get_or_insert_with(|| Features::new(probs.dim()))
                    .append(&probs)?;
            }
            collected.len += n;
            if counts.contains(&collected.len) {
                collected.stats.insert(collected.len, running.clone());
            }
            progress(Progress {
                step: Step::Fakes,
                done: collected.len,
                total: if most == usize::MAX { 0 } else { most },
            });
        }
        if let Some(running) = running {
            collected.stats.insert(usize::MAX, running);
        }
        Ok(collected)
    }

    fn bootstraps(&self, n_fakes: usize) -> bool {
        self.options.bootstrap > 1
            && (n_fakes <= EvaluateOptions::BOOTSTRAP_MAX || n_fakes == usize::MAX)
    }

    fn compute(&mut self, metric: &Metric, fakes: &Collected) -> Result<MetricResult> {
        let too_few = || Error::TooFew {
            metric: metric.to_string(),
            needed: match metric.n_fakes {
                usize::MAX => "images".to_owned(),
                n => format!("{n} images"),
            },
            found: fakes.len.to_string(),
        };
        if fakes.len == 0 || (metric.n_fakes != usize::MAX && fakes.len < metric.n_fakes) {
            return Err(too_few());
        }
        let n = metric.n_fakes.min(fakes.len);
        let key = self.reals_key(metric)?;
        let mut random = RandomState::new(self.options.seed);
        let names = metric.results();
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        let mut found = None;
        let features =
            || -> Result<Features> { Ok(fakes.features.as_ref().ok_or_else(too_few)?.first(n)) };
        let real_features = || -> Result<&Features> {
            self.known
                .get(&key)
                .and_then(|k| k.features.as_ref())
                .ok_or_else(too_few)
        };
        match metric.kind {
            Kind::Fid => {
                let stats = match fakes.stats.get(&metric.n_fakes) {
                    Some(stats) => stats,
                    None => fakes.stats.get(&usize::MAX).ok_or_else(too_few)?,
                };
                let covariance = self.options.covariance;
                if !self.references.contains_key(&key) {
                    let real = self.known.get(&key).ok_or_else(too_few)?;
                    let reference = FidReference::new(real.stats.gaussian(covariance)?)?;
                    self.references.insert(key, reference);
                }
                let reference = self.references.get(&key).ok_or_else(too_few)?;
                values.push(reference.fid(&stats.gaussian(covariance)?)?);
                if self.bootstraps(n) {
                    let rounds = self.options.bootstrap;
                    errors.push(reference.bootstrap(
                        &features()?,
                        covariance,
                        rounds,
                        &mut random,
                    )?);
                }
            }
            Kind::Kid => {
                let (value, error) = kid(
                    real_features()?,
                    &features()?,
                    &KidOptions::default(),
                    &mut random,
                )?;
                values.push(value);
                errors.push(error);
            }
            Kind::PrecisionRecall => {
                let got = precision_recall(real_features()?, &features()?, 3, Rounding::Half)?;
                values.extend([got.precision, got.recall]);
            }
            Kind::DensityCoverage => {
                let got = density_coverage(real_features()?, &features()?, 5)?;
                values.extend([got.density, got.coverage]);
            }
            Kind::Memorization => {
                let got = memorization(real_features()?, &features()?)?;
                values.extend([got.share, got.distance_ratio]);
                found = Some(got);
            }
            Kind::InceptionScore => {
                let probs = fakes.probs.as_ref().ok_or_else(too_few)?.first(n);
                let (mean, std) = inception_score(&probs, 10.min(n))?;
                values.extend([mean, std]);
            }
            Kind::PathLength(_) => return Err(too_few()),
        }
        let by_name = |values: Vec<f64>| -> Map<String, Value> {
            names
                .iter()
                .cloned()
                .zip(values.into_iter().map(Value::from))
                .collect()
        };
        let kind = self.network.kind();
        let mut flavour = Map::new();
        flavour.insert("features".into(), kind.name().into());
        let comparable = kind.is_comparable() && metric.kind != Kind::PrecisionRecall;
        flavour.insert("comparable_with_published".into(), comparable.into());
        if metric.kind == Kind::Fid {
            flavour.insert("covariance".into(), self.options.covariance.name().into());
        }
        flavour.insert("n_fakes".into(), n.into());
        flavour.insert("n_reals".into(), key.1.into());
        if let Some(content) = self.content.get(&key.0) {
            flavour.insert("reals".into(), json!(content));
        }
        Ok(MetricResult {
            metric: *metric,
            results: by_name(values),
            std: by_name(errors),
            flavour,
            total_time: 0.0,
            memorization: found,
        })
    }
}

fn needs_real_features(metric: &Metric) -> bool {
    matches!(
        metric.kind,
        Kind::Kid | Kind::PrecisionRecall | Kind::DensityCoverage | Kind::Memorization
    )
}

/// The folder of metric files in the user's cache folder.
pub fn cache_folder(cache: &Path) -> PathBuf {
    cache.join("metrics")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureKind;
    use candle_core::Device;
    use dataset::{DatasetOptions, DatasetWriter, Image, ImageDataset, WriterOptions, encode_png};

    fn picture(seed: usize, blue: u8) -> Vec<u8> {
        let side = 16;
        (0..side * side)
            .flat_map(|i| {
                let (x, y) = (i % side, i / side);
                let v = ((x * (seed % 5 + 1) + y * (seed % 3 + 2) + seed) * 9 % 256) as u8;
                [v, 255 - v, blue]
            })
            .collect()
    }

    fn write(path: &Path, n: usize) {
        let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
        for seed in 0..n {
            let image = Image {
                width: 16,
                height: 16,
                channels: 3,
                pixels: picture(seed, (seed * 3) as u8),
            };
            writer
                .add_encoded(seed, &encode_png(&image, 0).unwrap(), None)
                .unwrap();
        }
        writer.finish().unwrap();
    }

    fn fakes(
        blue: u8,
        limit: usize,
    ) -> impl FnMut(usize) -> Result<Option<Tensor>, Box<dyn std::error::Error + Send + Sync>> {
        let mut at = 0;
        move |n| {
            let n = n.min(limit - at);
            if n == 0 {
                return Ok(None);
            }
            let values: Vec<u8> = (at..at + n)
                .flat_map(|seed| {
                    let rgb = picture(1000 + seed, blue);
                    (0..3)
                        .flat_map(move |c| {
                            rgb.clone()
                                .into_iter()
                                .skip(c)
                                .step_by(3)
                                .collect::<Vec<_>>()
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
            at += n;
            Ok(Some(Tensor::from_vec(
                values,
                (n, 3, 16, 16),
                &Device::Cpu,
            )?))
        }
    }

    #[test]
    fn one_pass_feeds_all_metrics_and_the_cache_gives_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("reals.zip");
        write(&zip, 40);
        let run = |mirror: bool, names: &[&str]| {
            let options = DatasetOptions {
                xflip: mirror,
                ..Default::default()
            };
            let reals = ImageDataset::open(&zip, &options).unwrap();
            let network = FeatureNetwork::open(FeatureKind::RandomInceptionSmall, None).unwrap();
            let options = EvaluateOptions {
                cache: Some(folder.path().to_path_buf()),
                bootstrap: 3,
                ..Default::default()
            };
            let mut evaluator = Evaluator::new(network, reals.into(), options);
            let metrics: Vec<Metric> = names.iter().map(|n| n.parse().unwrap()).collect();
            let mut n_reals = 0;
            let results = evaluator
                .evaluate(&metrics, &mut fakes(40, 50), &mut |p| {
                    n_reals += usize::from(p.step == Step::Reals);
                })
                .unwrap();
            (results, n_reals)
        };
        let names = [
            "fid24_full",
            "fid50_full",
            "kid50_full",
            "pr50_3_full",
            "mem50_full",
            "dc50_5_full",
        ];
        let (results, n_reals) = run(false, &names);
        assert!(n_reals > 0);
        for (result, name) in results.iter().zip(names) {
            assert_eq!(result.metric.to_string(), name);
            assert!(result.value().is_finite(), "{name}");
        }
        assert!(results[1].std["fid50_full"].as_f64().unwrap() > 0.0);
        let line = results[1].to_json(Some("network-snapshot-000000.safetensors"), 1.5);
        assert_eq!(line["flavour"]["comparable_with_published"], false);
        assert_eq!(line["flavour"]["n_reals"], 40);
        assert_eq!(line["metric"], "fid50_full");
        // Mirrored training changes nothing for `_full`, and the reals come from the cache.
        let (again, n_reals) = run(true, &names);
        assert_eq!(n_reals, 0);
        assert_eq!(again[1].results, results[1].results);
        // But it does for the others.
        let (mirrored, _) = run(true, &["fid50"]);
        let (plain, _) = run(false, &["fid50"]);
        assert_eq!(mirrored[0].flavour["n_reals"], 50);
        assert_eq!(plain[0].flavour["n_reals"], 40);
        assert_ne!(mirrored[0].results, plain[0].results);
    }

    #[test]
    fn what_cannot_be_measured_is_said_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("reals.zip");
        write(&zip, 4);
        let reals = ImageDataset::open(&zip, &DatasetOptions::default()).unwrap();
        let network = FeatureNetwork::open(FeatureKind::RandomInceptionSmall, None).unwrap();
        let mut evaluator = Evaluator::new(network, reals.into(), EvaluateOptions::default());
        for name in ["is50", "ppl2_wend"] {
            let result =
                evaluator.evaluate(&[name.parse().unwrap()], &mut fakes(0, 50), &mut |_| {
                    panic!("work was done")
                });
            assert!(result.is_err());
        }
        let error = evaluator
            .evaluate(
                &["fid60_full".parse().unwrap()],
                &mut fakes(0, 50),
                &mut |_| (),
            )
            .unwrap_err();
        assert!(error.to_string().contains("60 images"), "{error}");
        let missing = FeatureNetwork::open(FeatureKind::Inception, Some(folder.path()))
            .err()
            .unwrap();
        assert!(
            missing.to_string().contains("eval inception --from"),
            "{missing}"
        );
    }
}
