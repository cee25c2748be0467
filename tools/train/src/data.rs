//! Describes, opens and checks the dataset of a run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dataset::{CheckOptions, DatasetOptions, ImageDataset, Source};
use train_settings::DatasetDescription;
use training::DatasetConfig;

use crate::settings::absolute;

/// Describes the dataset at `path`, for the name and the configuration of a run.
///
/// # Errors
/// When the dataset cannot be read, or its images are not squares whose side in pixels is a power of two.
pub fn describe(path: &Path, use_labels: bool) -> Result<DatasetDescription> {
    let options = DatasetOptions {
        use_labels,
        ..DatasetOptions::default()
    };
    let dataset = ImageDataset::open(path, &options)?;
    let [num_channels, height, width] = dataset.shape();
    if height != width || !height.is_power_of_two() || height < 4 {
        bail!(
            "--data: '{}' holds images of {width} x {height} pixels; training needs squares with a power of two as \
             side: pack it with `prep run`, or `prep run --detector none` for whole images",
            path.display()
        );
    }
    let path = absolute(path)?;
    let name = Path::new(&path).file_stem().unwrap_or_default();
    Ok(DatasetDescription {
        name: name.to_string_lossy().into_owned(),
        resolution: height,
        num_channels,
        num_images: dataset.len(),
        label_dim: dataset.label_dim(),
        fingerprint: Some(dataset.source().fingerprint(use_labels)?),
        path,
    })
}

/// Opens the dataset of a run and sets its fingerprint in `config`. Fails when it is not the dataset with which the run
/// began. If `accepted_changes` is given, a dataset with other images, but the same number of images, is accepted, and
/// a warning is added to that list.
pub fn open(
    config: &mut DatasetConfig,
    accepted_changes: Option<&mut Vec<String>>,
) -> Result<Arc<ImageDataset>> {
    let source = Source::open(&config.path)?;
    let found = source.fingerprint(config.use_labels)?;
    if let Some(known) = &config.fingerprint
        && !known.matches(&found)
    {
        let difference = match (known.n_images, found.n_images) {
            (before, now) if before != now => format!("{now} images instead of {before}"),
            _ => "other names, sizes or contents".to_owned(),
        };
        match accepted_changes.filter(|_| known.n_images == found.n_images) {
            Some(warnings) => warnings.push(format!(
                "'{}' has {difference} since the run began; accepted by --accept-changed-data",
                config.path
            )),
            None => bail!(
                "'{}' is not the dataset that the run began with: it has {difference}. Give that one with --data; when \
                 images were only repaired, --accept-changed-data continues with them; to train on other images start a \
                 new run with --init-from and the folder of this run",
                config.path
            ),
        }
    }
    config.fingerprint = Some(found);
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

/// Decodes every image of a dataset, which can take minutes, with a progress bar. The error lists all unusable images.
pub fn check(dataset: &ImageDataset, use_labels: bool) -> Result<()> {
    let source = dataset.source();
    let options = CheckOptions {
        use_labels,
        ..CheckOptions::default()
    };
    let left_out = source.left_out().sentences().into_iter();
    for sentence in left_out.chain(source.images_without_extension()) {
        tracing::warn!("'{}': {sentence}", source.path().display());
    }
    let bar = cli::Progress::new("checking", Some(source.names().len() as u64), "images");
    let report = dataset::check(source, &options, || bar.inc(1))?;
    drop(bar);
    dataset::Error::from_report(report, source.path())?;
    Ok(())
}
