//! `eval leak`: has an augmentation leaked into the generator?

use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{Device, Tensor};
use dataset::{DatasetOptions, ImageDataset, Source};
use fakes::FakeImages;
use leak::{CategoryLeak, LeakMeter};
use metrics::ImageSet;
use rng::RandomState;
use run_folder::{RunRecord, names, timestamp};
use serde_json::json;
use tool_support::find_run;

use crate::args::LeakArgs;
use crate::open::{open_file_on, open_on};
use crate::run_dataset::dataset_of;

pub fn leak(args: &LeakArgs) -> anyhow::Result<()> {
    let run_dir = args.run_dir.as_deref().map(find_run).transpose()?;
    let run = run_dir.as_deref().map(RunRecord::open).transpose()?;
    let dataset = match (&run, &args.data) {
        (Some(run), data) => dataset_of(run, data.as_deref())?,
        (None, Some(data)) => ImageDataset::open(data, &DatasetOptions::default())?,
        (None, None) => bail!("give the folder of a run, or --images and --data"),
    };
    let (what, fakes) = fakes(args, run.as_ref(), &dataset)?;
    let reals = sample(&dataset.into(), args.reals, args.seed)?;
    tracing::info!(
        "learning what augmented images look like from {} reals",
        reals.dim(0)?
    );
    let meter = LeakMeter::new(&reals, &mut RandomState::new(args.seed))?;
    let categories = meter.measure(&fakes)?;
    let line = json!({
        "snapshot": what,
        "n_fakes": fakes.dim(0)?,
        "n_reals": reals.dim(0)?,
        "categories": categories,
        "timestamp": timestamp(),
    });
    if let (Some(run), None) = (&run, &args.images) {
        files::append_json_line(&run.path.join(names::LEAKS), &line, &|_| false)?;
    }
    cli::report(&line, |_| describe(&what, &categories));
    Ok(())
}

fn fakes(
    args: &LeakArgs,
    run: Option<&RunRecord>,
    dataset: &ImageDataset,
) -> anyhow::Result<(String, Tensor)> {
    if let Some(folder) = &args.images {
        let images = ImageSet::try_from(Source::open(folder)?)?;
        return Ok((
            folder.display().to_string(),
            sample(&images, args.fakes, args.seed)?,
        ));
    }
    let path = match (&args.network, run) {
        (Some(path), _) => args.checkpoint.find("--network", path)?,
        (None, Some(run)) => args.checkpoint.find("RUN_DIR", &run.path)?,
        (None, None) => bail!("give the folder of a run, or --images FOLDER, or --network FILE"),
    };
    let opened = match path.is_file() {
        true => open_file_on(&path, &Device::Cpu)?,
        false => open_on(&path, &Device::Cpu)?,
    };
    let (_, generator) = opened.generator()?;
    let mut fakes = FakeImages::new(generator, Some(dataset), args.seed)?;
    let bar = cli::Progress::new("fakes", Some(args.fakes as u64), "images");
    let mut batches = Vec::new();
    let mut done = 0;
    while done < args.fakes {
        let n = (args.fakes - done).min(16);
        batches.push(fakes.batch(n)?);
        done += n;
        bar.inc(n as u64);
    }
    bar.finish();
    let name = Path::new(path.file_name().unwrap_or_default())
        .display()
        .to_string();
    Ok((name, Tensor::cat(&batches, 0)?))
}

/// Random images of a set, all of one size.
fn sample(images: &ImageSet, n: usize, seed: u32) -> anyhow::Result<Tensor> {
    let mut rows = RandomState::new(seed).choice(images.len(), n);
    rows.sort_unstable();
    let batches = rows
        .into_iter()
        .map(|idx| images.batch(idx, 1)?.context("an image is gone"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shape = batches[0].shape().clone();
    ensure!(
        batches.iter().all(|batch| *batch.shape() == shape),
        "the images have different sizes: a leak check needs one size"
    );
    Ok(Tensor::cat(&batches, 0)?)
}

fn describe(what: &str, categories: &[CategoryLeak]) -> String {
    let mut text = format!(
        "{what}\n{:<16} {:>7} {:>8} {:>7}\n",
        "category", "share", "sigma", "power"
    );
    for leak in categories {
        let word = match (leak.leaks, leak.power < 0.2) {
            (true, _) => "  LEAKS",
            (false, true) => "  cannot be told on these images",
            _ => "",
        };
        text += &format!(
            "{:<16} {:>6.1}% {:>8.1} {:>6.0}%{word}\n",
            leak.category.name(),
            leak.share * 100.0,
            leak.significance,
            leak.power * 100.0
        );
    }
    if !categories.iter().any(|leak| leak.leaks) {
        text += "no leak found\n";
    }
    text
}
