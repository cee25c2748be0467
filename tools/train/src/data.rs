//! The dataset of a run: opened, checked, described.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dataset::{CheckOptions, DatasetOptions, ImageDataset, Source};
use training::{DatasetConfig, DatasetDescription};

/// What the run's name and configuration need to know.
pub fn describe(path: &Path, use_labels: bool) -> Result<DatasetDescription> {
    let options = DatasetOptions {
        use_labels,
        ..DatasetOptions::default()
    };
    let dataset = ImageDataset::open(path, &options)?;
    let [num_channels, height, width] = dataset.shape();
    if height != width || !height.is_power_of_two() || height < 4 {
        bail!(
            "--data: '{}' holds pictures of {width} x {height} pixels; training needs squares with a power of two as \
             side: pack it with `prep run`, or `prep run --detector none` for whole pictures",
            path.display()
        );
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(DatasetDescription {
        name: name.into_owned(),
        path: path.display().to_string(),
        resolution: height,
        num_channels,
        num_images: dataset.len(),
        label_dim: dataset.label_dim(),
    })
}

/// Checks every picture, and opens what the run trains on. All offenders are named.
pub fn open(config: &DatasetConfig) -> Result<Arc<ImageDataset>> {
    let source = Source::open(&config.path)?;
    let options = CheckOptions {
        use_labels: config.use_labels,
        ..CheckOptions::default()
    };
    let bar = cli::Progress::new("checking", Some(source.names().len() as u64), "images");
    let report = dataset::check(&source, &options, || bar.inc(1))?;
    drop(bar);
    report.into_result(&source)?;
    let options = DatasetOptions {
        use_labels: config.use_labels,
        max_size: Some(config.max_size),
        random_seed: config.random_seed.unwrap_or(0) as u32,
        xflip: config.xflip,
    };
    let dataset = ImageDataset::from_source(source, &options)
        .with_context(|| format!("cannot use '{}'", config.path))?;
    Ok(Arc::new(dataset))
}
