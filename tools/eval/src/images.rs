//! `eval images`: compares two sets of images.

use std::path::Path;

use anyhow::{bail, ensure};
use candle_core::Tensor;
use dataset::Source;
use metrics::{FakeSource, ImageSet, Kind, Metric, SourceError};
use run_folder::timestamp;
use tool_support::device;

use crate::args::ImagesArgs;
use crate::measure::{Features, describe, evaluate, evaluator, ratio_words};

pub fn images(args: &ImagesArgs) -> anyhow::Result<()> {
    let metrics = args
        .metrics
        .iter()
        .map(|name| parse(name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let device = device(&args.measure.device)?;
    files::protect_input(&args.reals);
    files::protect_input(&args.fakes);
    let reals = open(&args.reals)?;
    let fakes = open(&args.fakes)?;
    check_counts(&metrics, args, &reals, &fakes)?;
    let mut evaluator = evaluator(
        &args.measure,
        Features::of(&args.measure),
        &device,
        &metrics,
        reals,
        args.covariance,
    )?;
    let reals = evaluator.reals().clone();
    let mut given = Given {
        images: &fakes,
        at: 0,
    };
    evaluate(&mut evaluator, &metrics, &mut given, &mut |result| {
        cli::report(&result.to_json(None, timestamp()), describe);
        for pair in result
            .memorization
            .iter()
            .flat_map(|m| m.nearest.iter().take(5))
        {
            tracing::info!(
                "{} is nearest to {}{}",
                fakes.name(pair.fake),
                reals.name(pair.real),
                ratio_words(pair)
            );
        }
        Ok(())
    })
}

/// Fails when a set has too few images for a metric, before features are computed.
fn check_counts(
    metrics: &[Metric],
    args: &ImagesArgs,
    reals: &ImageSet,
    fakes: &ImageSet,
) -> anyhow::Result<()> {
    let compares_sets =
        |metric: &&Metric| !matches!(metric.kind, Kind::Memorization | Kind::InceptionScore);
    if let Some(metric) = metrics.iter().find(compares_sets) {
        for (path, images) in [(&args.reals, reals), (&args.fakes, fakes)] {
            ensure!(
                images.len() > 1,
                "{metric} needs two images on each side, and '{}' holds {}",
                path.display(),
                images.len()
            );
        }
    }
    Ok(())
}

/// Opens the files of a folder or zip that are images by their first bytes. Warns about files that are left out.
fn open(path: &Path) -> anyhow::Result<ImageSet> {
    let source = Source::open_by_content(path)?;
    for sentence in source.left_out().sentences() {
        tracing::warn!("'{}': {sentence}", path.display());
    }
    Ok(ImageSet::try_from(source)?)
}

/// A source of "generated" images that returns the images of a given set in order.
struct Given<'a> {
    images: &'a ImageSet,
    at: usize,
}

impl FakeSource for Given<'_> {
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError> {
        let batch = self.images.batch(self.at, n)?;
        if let Some(batch) = &batch {
            self.at += batch.dim(0)?;
        }
        Ok(batch)
    }
}

/// Parses a metric of images. A name without a count, such as `fid`, means all images.
fn parse(name: &str) -> anyhow::Result<Metric> {
    Ok(match name {
        "fid" => Metric::over_all(Kind::Fid),
        "kid" => Metric::over_all(Kind::Kid),
        "pr3" | "pr" => Metric::over_all(Kind::PrecisionRecall),
        "dc5" | "dc" => Metric::over_all(Kind::DensityCoverage),
        "mem" => Metric::over_all(Kind::Memorization),
        "is" => Metric::over_all(Kind::InceptionScore),
        other => match other.parse::<Metric>() {
            Ok(metric) if !matches!(metric.kind, Kind::PathLength(_)) => metric,
            _ => bail!("'{other}' is no metric of images: there are fid, kid, pr3, dc5, mem, is"),
        },
    })
}
