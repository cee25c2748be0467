//! Resolves the dataset settings: labels, subset, mirrored copies.

use training::{DatasetConfig, Error, Result};

use super::{DatasetDescription, check};
use crate::overrides::Overrides;
use crate::run_name::RunName;

/// Returns the dataset settings of a run, from its dataset and flags. `random_seed` selects the subset. Appends each
/// flag that the user gave to `name`, the name of the run.
///
/// # Errors
/// `Setting`, with the name of the invalid flag.
pub(super) fn dataset_config(
    dataset: &DatasetDescription,
    flags: &Overrides,
    random_seed: u64,
    name: &mut RunName,
) -> Result<DatasetConfig> {
    let use_labels = flags.cond.unwrap_or(false);
    if use_labels {
        let reason = "the dataset has no labels in its dataset.json";
        check(dataset.label_dim > 0, "cond", reason)?;
        name.note("cond");
    }
    let mut images = DatasetConfig {
        path: dataset.path.clone(),
        use_labels,
        max_size: dataset.num_images,
        xflip: flags.mirror.unwrap_or(false),
        resolution: dataset.resolution,
        random_seed: None,
        fingerprint: dataset.fingerprint.clone(),
    };
    if let Some(subset) = flags.subset {
        if !(1..=dataset.num_images).contains(&subset) {
            let reason = format!("must be from 1 to the {} images", dataset.num_images);
            return Err(Error::setting("subset", reason));
        }
        name.note(&format!("subset{subset}"));
        if subset < dataset.num_images {
            images.max_size = subset;
            images.random_seed = Some(random_seed);
        }
    }
    if images.xflip {
        name.note("mirror");
    }
    Ok(images)
}
