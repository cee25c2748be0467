//! `eval metrics`: measures one network against a dataset.

use std::path::Path;

use anyhow::{Context, ensure};
use dataset::{DatasetOptions, ImageDataset};
use fakes::FakeImages;
use files::JsonLines;
use run_folder::timestamp;
use tool_support::device;

use crate::args::MetricsArgs;
use crate::measure::{Features, describe, evaluate, evaluator, ratio_words};
use crate::open::open_on;

pub fn metrics(args: &MetricsArgs) -> anyhow::Result<()> {
    let device = device(&args.measure.device)?;
    for input in [Some(&args.data), args.measure.weights.as_ref()] {
        input
            .into_iter()
            .for_each(|path| files::protect_input(path));
    }
    let network = args.checkpoint.find("--network", &args.network)?;
    let opened = open_on(&network, &device)?;
    let network = network.to_string_lossy();
    let (_, generator) = opened.generator()?;
    let options = DatasetOptions {
        use_labels: generator.config().c_dim > 0,
        xflip: args.mirror,
        ..Default::default()
    };
    if let Some(out) = &args.out {
        check_results(out)?;
    }
    let dataset = ImageDataset::open(&args.data, &options)?;
    warn_of_sizes(generator.config().img_resolution, &dataset);
    let mut fakes = FakeImages::new(generator, Some(&dataset), args.measure.seed)?;
    let (measure, metrics) = (&args.measure, &args.metrics[..]);
    let mut evaluator = evaluator(
        measure,
        Features::of(measure),
        &device,
        metrics,
        dataset.clone().into(),
        args.covariance,
    )?;
    let reals = evaluator.full_reals()?;
    evaluate(&mut evaluator, metrics, &mut fakes, &mut |result| {
        let line = result.to_json(Some(&network), timestamp());
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

/// Fails when results must not be appended to the file `out`, because it is an input or contains something other than
/// results. Called before anything is measured.
fn check_results(out: &Path) -> anyhow::Result<()> {
    files::check_output(out)?;
    if !out.exists() {
        return Ok(());
    }
    let lines = JsonLines::read(out).with_context(|| format!("cannot read '{}'", out.display()))?;
    let is_of_results = match lines.records.first() {
        Some((_, first)) => first.contains_key("metric"),
        // The file is empty, or a kill has left only the beginning of a first line.
        None => match lines.n_lines - lines.n_unwritten {
            0 => true,
            1 => lines.is_cut && lines.n_unwritten == 0,
            _ => false,
        },
    };
    ensure!(
        is_of_results,
        "--out {}: it exists and holds something else than results of `eval`: name another file",
        out.display()
    );
    Ok(())
}

/// Warns when generated images and the images of the dataset differ in size.
pub fn warn_of_sizes(resolution: usize, dataset: &ImageDataset) {
    if resolution != dataset.resolution() {
        tracing::warn!(
            "the network makes {resolution} px images, the dataset has {} px: sharpness alone makes them differ",
            dataset.resolution()
        );
    }
}
