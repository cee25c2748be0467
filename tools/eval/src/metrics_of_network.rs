//! `eval metrics`: one network against a dataset.

use anyhow::Context;
use dataset::{DatasetOptions, ImageDataset};
use evaluation::FakeImages;

use crate::args::MetricsArgs;
use crate::measure::{describe, evaluate, evaluator, ratio_words, timestamp};
use crate::open::{device, open_on};

pub fn metrics(args: &MetricsArgs) -> anyhow::Result<()> {
    let device = device(&args.measure.device)?;
    let opened = open_on(&args.network, &device)?;
    let (_, generator) = opened.generator()?;
    let options = DatasetOptions {
        use_labels: generator.config().c_dim > 0,
        xflip: args.mirror,
        ..Default::default()
    };
    let dataset = ImageDataset::open(&args.data, &options)?;
    warn_of_sizes(generator.config().img_resolution, &dataset);
    let mut fakes = FakeImages::new(generator, Some(&dataset), args.measure.seed)?;
    let (measure, metrics) = (&args.measure, &args.metrics[..]);
    let mut evaluator = evaluator(
        measure,
        &device,
        metrics,
        dataset.clone().into(),
        args.covariance,
    )?;
    let reals = evaluator.full_reals()?;
    evaluate(&mut evaluator, metrics, &mut fakes, &mut |result| {
        let line = result.to_json(Some(&args.network), timestamp());
        cli::report(&line, describe);
        if let Some(path) = &args.out {
            files::append_json_line(path, &line, &|_| false)
                .context("the result was printed but not saved")?;
        }
        for pair in result
            .memorization
            .iter()
            .flat_map(|m| m.nearest.iter().take(5))
        {
            tracing::info!(
                "fake {} is nearest to {}{}",
                pair.fake,
                reals.name(pair.real),
                ratio_words(pair)
            );
        }
        Ok(())
    })
}

/// Tells when images of two sizes are compared.
pub fn warn_of_sizes(resolution: usize, dataset: &ImageDataset) {
    if resolution != dataset.resolution() {
        tracing::warn!(
            "the network makes {resolution} px images, the dataset has {} px: sharpness alone makes them differ",
            dataset.resolution()
        );
    }
}
